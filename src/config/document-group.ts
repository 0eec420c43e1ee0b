import type { HashOn, HealthCheckConfig, StickinessConfig, TargetConfig, TargetGroupConfig } from '../core/config.js'
import type { GroupTlsConfig, TargetHttp2Config } from '../core/config-tls.js'
import { FAILURE_KINDS, FAILURE_SERVER_ERROR, failureMask } from '../core/failure-kinds.js'
import { tolerancesOf } from '../core/tolerances.js'
import { formatAddress } from './addresses.js'
import { hasEffect } from './check-health.js'
import { keepAliveDocument } from './document-listener.js'
import type { Fields } from './tree.js'
import { formatDuration } from './units.js'

/** A target group in the form of the file; keys that have no effect in it are left out, as the checks demand. */
export function groupDocument(group: TargetGroupConfig): Fields {
  const { protocol, retries, outlierDetection, timeouts, tls, http2 } = group
  const carriesBytes = protocol === 'tcp' || protocol === 'tls'
  return {
    name: group.name,
    protocol,
    ...(tls === undefined ? {} : { tls: tlsDocument(tls) }),
    ...(http2 === undefined ? {} : { http2: http2Document(http2) }),
    algorithm: group.algorithm,
    ...(group.algorithm === 'maglev' ? { hashOn: hashOnDocument(group.hashOn) } : {}),
    targets: group.targets.map(targetDocument),
    keepAlive: keepAliveDocument(group.keepAliveSeconds),
    ...(carriesBytes ? { proxyProtocol: group.proxyProtocol } : { forwarded: { ...group.forwarded } }),
    ...(protocol === 'http' || protocol === 'https' ? { tolerate: tolerancesOf(group.tolerate) } : {}),
    retries: retries.attempts === 0 && retries.on.length === 0 ? 'off' : { ...retries, on: [...retries.on] },
    timeouts: {
      connect: formatDuration(timeouts.connectMs),
      ...(carriesBytes ? {} : { response: formatDuration(timeouts.responseMs) }),
    },
    failOpen: group.failOpen,
    healthCheck: healthCheckDocument(group.healthCheck, protocol),
    outlierDetection: outlierDetection.on === 0 ? 'off' : outlierDocument(outlierDetection),
    ...(outlierDetection.on === 0 ? {} : { panicPercent: group.panicPercent }),
    slowStart: formatDuration(group.slowStartMs),
    draining: formatDuration(group.drainingMs),
    stickiness: stickinessDocument(group.stickiness),
    maxConnectionsPerTarget: group.maxConnectionsPerTarget === 0 ? 'unlimited' : group.maxConnectionsPerTarget,
    queue: { size: group.queue.size, timeout: formatDuration(group.queue.timeoutMs) },
  }
}

/** `id` only where it is not the address as written. */
export function targetDocument({ id, host, port, weight }: TargetConfig): Fields {
  const address = formatAddress(host, port)
  return { address, ...(id === address ? {} : { id }), weight }
}

function tlsDocument({ verify, ca, serverName, cert, key }: GroupTlsConfig): Fields {
  const given = Object.entries({ ca, serverName, cert, key }).filter(([, value]) => value !== '')
  return { verify, ...Object.fromEntries(given) }
}

function http2Document({ rateWindowMs, pingAfterMs, pingTimeoutMs, ...counts }: TargetHttp2Config): Fields {
  return {
    ...counts,
    rateWindow: formatDuration(rateWindowMs),
    pingAfter: formatDuration(pingAfterMs),
    pingTimeout: formatDuration(pingTimeoutMs),
  }
}

function hashOnDocument(hashOn: HashOn): string {
  return 'name' in hashOn ? `${hashOn.by}:${hashOn.name}` : hashOn.by
}

function healthCheckDocument(check: HealthCheckConfig, ofGroup: TargetGroupConfig['protocol']): Fields {
  const { protocol, intervalMs, timeoutMs, codes, ...rest } = check
  const ranges = codes.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
  const keys = {
    ...rest,
    codes: ranges.join(','),
    interval: formatDuration(intervalMs),
    timeout: formatDuration(timeoutMs),
  }
  return { protocol, ...Object.fromEntries(Object.entries(keys).filter(([key]) => hasEffect(key, protocol, ofGroup))) }
}

function outlierDocument({ on, windowMs, ejectForMs, ...rest }: TargetGroupConfig['outlierDetection']): Fields {
  const kinds = FAILURE_KINDS.filter((kind) => {
    const mask = failureMask([kind])
    // What 5xx says includes gateway.
    return (on & mask) === mask && !(kind === 'gateway' && (on & FAILURE_SERVER_ERROR) !== 0)
  })
  return { on: kinds, ...rest, window: formatDuration(windowMs), ejectFor: formatDuration(ejectForMs) }
}

function stickinessDocument(stickiness: StickinessConfig): Fields | 'off' {
  switch (stickiness.type) {
    case 'off':
      return 'off'
    case 'cookie': {
      const { maxAgeSeconds, ...cookie } = stickiness
      return { ...cookie, maxAge: maxAgeSeconds }
    }
    case 'app-cookie':
      return { type: 'app-cookie', name: stickiness.name, timeout: formatDuration(stickiness.timeoutMs) }
    case 'source-ip':
      return { type: 'source-ip', timeout: formatDuration(stickiness.timeoutMs), ipv6Prefix: stickiness.ipv6Prefix }
  }
}
