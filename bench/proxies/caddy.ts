import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { proxyCore } from '../machine.js'
import { SMALL_PATH } from '../origin/content.js'
import { firstLine, isInstalled, start } from '../processes.js'
import type { Contender, ProxySetup } from './proxy.js'

export const caddy: Contender = {
  name: 'caddy',
  title: 'Caddy',
  version: () => (isInstalled('caddy') ? /v?(\d+\.[\d.]+)/.exec(firstLine('caddy', ['version']))?.[1] : undefined),
  features: new Set(['http', 'websocket', 'access-log']),
  async start(setup) {
    const file = join(setup.folder, 'Caddyfile')
    writeFileSync(file, caddyfile(setup))
    return start({
      command: 'caddy',
      args: ['run', '--adapter', 'caddyfile', '--config', file],
      core: proxyCore,
      env: { GOMAXPROCS: '1', XDG_DATA_HOME: setup.folder, XDG_CONFIG_HOME: setup.folder },
    })
  },
}

function caddyfile({ port, targetPort, accessLog }: ProxySetup): string {
  return `
{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://:${port} {
  bind 127.0.0.1
  ${accessLog === undefined ? '' : `log {\n    level INFO\n    output file ${accessLog} {\n      roll_disabled\n    }\n  }`}
  reverse_proxy 127.0.0.1:${targetPort} {
    health_uri ${SMALL_PATH}
    health_interval 5s
    flush_interval -1
    transport http {
      keepalive_idle_conns 256
      keepalive_idle_conns_per_host 256
    }
  }
}
`
}
