import type { ListenerConfig, ListenerLimits } from '../core/config.js'
import type { Http2Config, ListenerTlsConfig } from '../core/config-tls.js'
import { formatAddress } from './addresses.js'
import { rulesDocument } from './document-rules.js'
import type { ShownFile } from './shown-file.js'
import { POLICIES } from './tls-policy.js'
import type { Fields } from './tree.js'
import { formatDuration, formatSize } from './units.js'

/** A listener in the form of the file; keys that have no effect on it are left out, as the checks demand. */
export function listenerDocument(listener: ListenerConfig, file: ShownFile): Fields {
  const { protocol, tls, http2, redirectToHttps } = listener
  const speaksHttp = protocol === 'http' || protocol === 'https'
  return {
    name: listener.name,
    protocol,
    listen: list(listener.listen.map(({ address, port }) => formatAddress(address, port))),
    ...(listener.targetGroup === '' ? {} : { targetGroup: listener.targetGroup }),
    ...(listener.rules.length === 0 ? {} : { rules: rulesDocument(listener.rules, file) }),
    ...(tls === undefined ? {} : { tls: tlsDocument(tls, protocol) }),
    ...(speaksHttp ? { http2: http2 === undefined ? false : http2Document(http2) } : {}),
    ...(protocol === 'http'
      ? { redirectToHttps: redirectToHttps === undefined ? false : redirect(redirectToHttps) }
      : {}),
    keepAlive: keepAliveDocument(listener.keepAliveSeconds),
    idleTimeout: listener.idleTimeoutMs === Number.POSITIVE_INFINITY ? 'off' : formatDuration(listener.idleTimeoutMs),
    ...(speaksHttp && redirectToHttps === undefined
      ? {
          upgrades: [...listener.upgrades],
          halfClose: listener.halfClose,
          websocketIdleTimeout: formatDuration(listener.websocketIdleTimeoutMs),
        }
      : {}),
    acceptProxyProtocol: [...listener.acceptProxyProtocol],
    limits: limitsDocument(listener.limits, speaksHttp),
    ...(speaksHttp
      ? { trustForwardedFrom: [...listener.trustForwardedFrom], explainFrom: [...listener.explainFrom] }
      : {}),
  }
}

function limitsDocument({ connections, requestsPerSecond, bodyBytes }: ListenerLimits, speaksHttp: boolean): Fields {
  return {
    connections: orUnlimited(connections),
    ...(speaksHttp
      ? {
          requestsPerSecond: orUnlimited(requestsPerSecond),
          bodyBytes: bodyBytes === Number.POSITIVE_INFINITY ? 'unlimited' : formatSize(bodyBytes),
        }
      : {}),
  }
}

export const orUnlimited = (limit: number): number | string =>
  limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit

/** One value where there is one, as most files have it. */
export function list<T>(values: readonly T[]): T | readonly T[] {
  return values.length === 1 ? values[0]! : values
}

export function keepAliveDocument(seconds: number): Fields | 'off' {
  return seconds === 0 ? 'off' : { idle: formatDuration(seconds * 1000) }
}

function redirect({ port, status }: NonNullable<ListenerConfig['redirectToHttps']>): Fields {
  return { port, ...(status === 0 ? {} : { status }) }
}

function tlsDocument(tls: ListenerTlsConfig, protocol: ListenerConfig['protocol']): Fields {
  const { mode, ca } = tls.clientCertificates
  const { hsts } = tls
  return {
    certificates: tls.certificates.map(({ cert, key, domains }) => ({ cert, key, domains: [...domains] })),
    policy: policyDocument(tls),
    ...(protocol === 'https' || tls.alpn.length > 0 ? { alpn: [...tls.alpn] } : {}),
    clientCertificates: { mode, ...(ca === '' ? {} : { ca }) },
    sessionTickets: tls.sessionTickets,
    ...(protocol === 'https'
      ? {
          hsts:
            hsts === undefined
              ? 'off'
              : { maxAge: hsts.maxAgeSeconds, includeSubDomains: hsts.includeSubDomains, preload: hsts.preload },
        }
      : {}),
    handshakeTimeout: formatDuration(tls.handshakeTimeoutMs),
  }
}

/** By its name where it has one. */
function policyDocument({ minVersion, maxVersion, ciphers, cipherSuites }: ListenerTlsConfig): Fields | string {
  for (const [name, policy] of Object.entries(POLICIES)) {
    const isSame =
      policy.minVersion === minVersion &&
      policy.maxVersion === maxVersion &&
      policy.ciphers === ciphers &&
      policy.cipherSuites === cipherSuites
    if (isSame) return name
  }
  // Suites of versions that are not spoken have no effect and are refused.
  const parts = [...(maxVersion === 'TLSv1.3' ? [cipherSuites] : []), ...(minVersion === 'TLSv1.3' ? [] : [ciphers])]
  return { minVersion, maxVersion, ciphers: parts.join(':') }
}

function http2Document(http2: Http2Config): Fields {
  return {
    maxConcurrentStreams: http2.maxStreams,
    initialWindow: formatSize(http2.streamWindowBytes),
    connectionWindow: formatSize(http2.connectionWindowBytes),
    headerTableSize: formatSize(http2.headerTableBytes),
    rateWindow: formatDuration(http2.rateWindowMs),
    maxResets: http2.maxResets,
    maxRefusals: http2.maxRefusals,
    maxSettings: http2.maxSettings,
    maxPings: http2.maxPings,
    maxPriorities: http2.maxPriorities,
    maxUselessFrames: http2.maxUselessFrames,
    maxWindowUpdates: http2.maxWindowUpdates,
    maxTinyFrames: http2.maxTinyFrames,
    maxContinuations: http2.maxContinuations,
    maxOutboundQueue: formatSize(http2.maxQueuedBytes),
    stallTimeout: formatDuration(http2.stallTimeoutMs),
    settingsTimeout: formatDuration(http2.settingsTimeoutMs),
  }
}
