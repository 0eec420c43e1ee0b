import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { proxyCore } from '../machine.js'
import { beforeFolder, benchProgram, castorMain, castorVersion } from '../paths.js'
import { freePorts } from '../ports.js'
import { type Command, start } from '../processes.js'
import { waitForHttp } from '../ready.js'
import { SESSIONS_VARIABLE } from './filling.js'
import type { Contender, ProxySetup } from './proxy.js'

const READY_WITHIN_MS = 15_000

export const castor: Contender = contender('castor', 'Castor', castorMain, castorVersion)

/** Another checkout of Castor, built, for what a change costs: `CASTOR_BEFORE` names its folder. */
export const castorBefore: Contender = contender(
  'before',
  'Castor before',
  beforeFolder === undefined ? '' : join(beforeFolder, 'dist/src/main.js'),
  'before',
)

function contender(name: string, title: string, main: string, version: string): Contender {
  return {
    name,
    title,
    version: () => (existsSync(main) ? version : undefined),
    features: new Set(['http', 'websocket', 'tcp', 'tls', 'grpc', 'access-log']),
    async start(setup) {
      const [adminPort] = await freePorts(1)
      const file = join(setup.folder, 'castor.yaml')
      writeFileSync(file, stringify(castorConfig(setup, adminPort!)))
      const { args, env } = program(setup, file, main)
      const started = start({
        command: process.execPath,
        args,
        // What it would keep in the user's state directory goes with the bench's folder.
        env: { ...env, XDG_STATE_HOME: setup.folder },
        ...(setup.unpinned === true ? {} : { core: proxyCore }),
      })
      try {
        await waitForHttp(adminPort!, '/readyz', started, READY_WITHIN_MS)
        return started
      } catch (error) {
        await started.stop()
        throw error
      }
    },
  }
}

/** The program as users start it; where sessions must be there already, the library with a worker that puts them there. */
function program({ castor: changes }: ProxySetup, file: string, main: string): Pick<Command, 'args' | 'env'> {
  if (changes?.sessions === undefined) return { args: [main, 'start', '-c', file] }
  return { args: [benchProgram('proxies/filled-castor'), file], env: { [SESSIONS_VARIABLE]: String(changes.sessions) } }
}

/** Defaults all over, except one proxy thread and, of the headers about the client, only X-Forwarded-For. */
function castorConfig(setup: ProxySetup, adminPort: number): object {
  const { mode, port, targetPort, certificate, accessLog, castor: changes } = setup
  const forwarded = { proto: false, port: false, host: false }
  return {
    node: 'bench',
    workers: 1,
    log: { level: 'warn', access: accessLog ?? 'off' },
    admin: { listen: `127.0.0.1:${adminPort}` },
    shutdownTimeout: '1s',
    // Left to itself it keeps half of the open files for targets: a few hundred are enough here, as with the others.
    protection: { maxConnections: 12_000 },
    listeners: [
      {
        name: 'bench',
        protocol: certificate !== undefined ? 'https' : mode === 'tcp' ? 'tcp' : 'http',
        listen: `127.0.0.1:${port}`,
        targetGroup: 'target',
        ...(certificate === undefined
          ? {}
          : { tls: { certificates: [{ cert: certificate.certificate, key: certificate.key }] } }),
        ...changes?.listener,
      },
    ],
    targetGroups: [
      {
        name: 'target',
        protocol: mode === 'grpc' ? 'h2c' : mode,
        targets: Array.from({ length: changes?.targets ?? 1 }, (_, index) => ({
          id: `target-${index}`,
          address: `127.0.0.1:${targetPort}`,
        })),
        ...(mode === 'tcp' ? {} : { forwarded }),
        ...changes?.group,
      },
    ],
    ...changes?.file,
  }
}
