import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { proxyCore } from '../machine.js'
import { firstLine, isInstalled, start } from '../processes.js'
import { CIPHER_SUITE } from './certificate.js'
import type { Contender, ProxySetup } from './proxy.js'

export const haproxy: Contender = {
  name: 'haproxy',
  title: 'HAProxy',
  version: () =>
    isInstalled('haproxy') ? /version ([\d.]+(?:-dev\d+)?)/.exec(firstLine('haproxy', ['-v']))?.[1] : undefined,
  features: new Set(['http', 'websocket', 'tcp', 'tls', 'grpc', 'access-log']),
  async start(setup) {
    const file = join(setup.folder, 'haproxy.cfg')
    writeFileSync(file, haproxyConfig(setup))
    return start({
      command: 'haproxy',
      args: ['-db', '-f', file],
      core: proxyCore,
      ...(setup.accessLog === undefined ? {} : { stdoutFile: setup.accessLog }),
    })
  },
}

function haproxyConfig({ mode, port, targetPort, certificate, accessLog }: ProxySetup): string {
  const log = accessLog === undefined ? '' : 'log global\n  option httplog'
  const tls =
    certificate === undefined
      ? ''
      : `ssl crt ${certificate.bundle} alpn h2,http/1.1 ssl-min-ver TLSv1.2 ciphersuites ${CIPHER_SUITE}`
  return `
global
  nbthread 1
  maxconn 12000
  no strict-limits
  ${accessLog === undefined ? '' : 'log stdout format raw local0 info'}
defaults
  mode ${mode === 'tcp' ? 'tcp' : 'http'}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  ${mode !== 'tcp' ? 'option forwardfor\n  http-reuse always' : ''}
  ${log}
frontend bench
  bind 127.0.0.1:${port} backlog 4096 ${tls}
  default_backend target
backend target
  server one 127.0.0.1:${targetPort} check inter 5s ${mode === 'grpc' ? 'proto h2' : ''}
`
}
