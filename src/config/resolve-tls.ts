import type { ListenerProtocol } from '../core/config.js'
import type { GroupTlsConfig, Http2Config, ListenerTlsConfig } from '../core/config-tls.js'
import type { ListenerFile, TargetGroupFile } from './schema.js'
import { customPolicy, POLICIES } from './tls-policy.js'

type Written = NonNullable<ListenerFile['tls']>

/** `path` makes a path of the file absolute. */
export function resolveListenerTls(
  tls: Written,
  protocol: ListenerProtocol,
  http2: Http2Config | undefined,
  path: (written: string) => string,
): ListenerTlsConfig {
  const { minVersion, maxVersion, ciphers, cipherSuites } =
    typeof tls.policy === 'string'
      ? POLICIES[tls.policy]
      : customPolicy(tls.policy.minVersion, tls.policy.maxVersion, tls.policy.ciphers)
  const { mode, ca } = tls.clientCertificates
  return {
    certificates: tls.certificates.map(({ cert, key, domains }) => ({ cert: path(cert), key: path(key), domains })),
    minVersion,
    maxVersion,
    ciphers,
    cipherSuites,
    alpn: tls.alpn ?? (protocol === 'https' ? defaultAlpn(http2) : []),
    clientCertificates: { mode, ca: mode === 'none' ? '' : path(ca) },
    sessionTickets: tls.sessionTickets,
    handshakeTimeoutMs: tls.handshakeTimeout,
    ...(tls.hsts === 'off'
      ? {}
      : {
          hsts: {
            maxAgeSeconds: tls.hsts.maxAge,
            includeSubDomains: tls.hsts.includeSubDomains,
            preload: tls.hsts.preload,
          },
        }),
  }
}

function defaultAlpn(http2: Http2Config | undefined): string[] {
  return http2 === undefined ? ['http/1.1', 'http/1.0'] : ['h2', 'http/1.1', 'http/1.0']
}

export function resolveGroupTls(tls: TargetGroupFile['tls'], path: (written: string) => string): GroupTlsConfig {
  if (tls === undefined) return { verify: true, ca: '', serverName: '', cert: '', key: '' }
  return {
    verify: tls.verify,
    ca: path(tls.ca),
    serverName: tls.serverName.toLowerCase(),
    cert: path(tls.cert),
    key: path(tls.key),
  }
}
