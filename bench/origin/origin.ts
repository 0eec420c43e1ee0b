import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadCore } from '../machine.js'
import { order } from '../order.js'
import { freePorts } from '../ports.js'
import { firstLine, type Started, start, temporaryFolder } from '../processes.js'
import { waitForHttp } from '../ready.js'
import { LARGE_BYTES, type OriginOptions, SMALL_PATH } from './content.js'
import { nginxOriginConfig } from './nginx-config.js'

export type OriginKind = 'http' | 'websocket' | 'tcp' | 'grpc'

/** Where the proxies send what they get. */
export interface Origin {
  readonly kind: OriginKind
  readonly port: number
  /** Name and version, for the report. */
  readonly label: string
  readonly process: Started
}

const PROGRAMS = {
  http: 'origin/own-http',
  websocket: 'origin/websocket-echo',
  tcp: 'origin/tcp-echo',
  grpc: 'origin/grpc-echo',
} as const

export async function startOrigin(kind: OriginKind, server: 'nginx' | 'own'): Promise<Origin> {
  if (kind === 'http' && server === 'nginx') return startNginx()
  const [port] = await freePorts(1)
  const options: OriginOptions = { port: port! }
  const { process: started } = await order<OriginOptions, void>(PROGRAMS[kind], options, loadCore, 5000)
  return { kind, port: port!, label: `own ${kind} origin`, process: started }
}

async function startNginx(): Promise<Origin> {
  const folder = temporaryFolder()
  const [port, innerPort] = await freePorts(2)
  writeFileSync(join(folder, 'large'), Buffer.alloc(LARGE_BYTES, 'x'))
  writeFileSync(join(folder, 'nginx.conf'), nginxOriginConfig(folder, port!, innerPort!))
  const started = start({
    command: 'nginx',
    args: ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')],
    core: loadCore,
  })
  await waitForHttp(port!, SMALL_PATH, started, 5000)
  const version = firstLine('nginx', ['-v']).replace(/^nginx version: nginx\//, '')
  return { kind: 'http', port: port!, label: `nginx ${version}`, process: started }
}
