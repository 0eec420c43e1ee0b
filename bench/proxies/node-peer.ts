import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { proxyCore } from '../machine.js'
import { peersFolder } from '../paths.js'
import { start } from '../processes.js'
import type { Contender, Feature } from './proxy.js'

/** A proxy made with a package from npm, run by a small program in `bench/peers/`. */
function nodePeer(name: string, packageName: string, features: readonly Feature[]): Contender {
  const manifest = join(peersFolder, 'node_modules', packageName, 'package.json')
  return {
    name,
    title: packageName,
    version: () =>
      existsSync(manifest) ? (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version : undefined,
    features: new Set(features),
    async start({ port, targetPort, accessLog }) {
      const options = JSON.stringify({ port, targetPort, accessLog })
      return start({
        command: process.execPath,
        args: [join(peersFolder, `${name}.mjs`), options],
        core: proxyCore,
        env: { NODE_ENV: 'production' },
      })
    },
  }
}

export const httpProxy3 = nodePeer('http-proxy-3', 'http-proxy-3', ['http', 'websocket'])
export const fastifyHttpProxy = nodePeer('fastify-http-proxy', '@fastify/http-proxy', [
  'http',
  'websocket',
  'access-log',
])
