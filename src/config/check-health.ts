import { type Entry, isFields, type Report } from './tree.js'

const EVERY = ['tcp', 'http', 'https', 'h2c', 'h2', 'grpc']

/** The protocols of checks that each key is for. */
const USED_BY: Readonly<Record<string, readonly string[]>> = {
  path: ['http', 'https', 'h2c', 'h2'],
  codes: ['http', 'https', 'h2c', 'h2'],
  httpVersion: ['http', 'https'],
  host: ['http', 'https', 'h2c', 'h2', 'grpc'],
  verify: ['https', 'h2', 'grpc'],
  service: ['grpc'],
  port: EVERY,
  interval: EVERY,
  timeout: EVERY,
  healthyThreshold: EVERY,
  unhealthyThreshold: EVERY,
  proxyProtocol: EVERY,
}
const TLS_GROUPS: readonly unknown[] = ['https', 'h2', 'tls']

/** Whether a key has an effect on a check of that protocol. */
export function hasEffect(key: string, protocol: string, ofGroup: unknown): boolean {
  const inClear = protocol === 'grpc' && !TLS_GROUPS.includes(ofGroup)
  return USED_BY[key]?.includes(protocol) === true && !(key === 'verify' && inClear)
}

/** A key that could have no effect is refused, with the protocol that was probably meant. */
export function checkHealthCheck(group: Entry, report: Report): void {
  const { healthCheck, protocol: ofGroup } = group.fields
  if (!isFields(healthCheck)) return
  const protocol = String(healthCheck.protocol ?? 'tcp')
  const inClear = protocol === 'grpc' && !TLS_GROUPS.includes(ofGroup)
  for (const [key, protocols] of Object.entries(USED_BY)) {
    if (healthCheck[key] === undefined) continue
    const needsTls = key === 'verify' && inClear
    if (protocols.includes(protocol) && !needsTls) continue
    const path = [...group.path, 'healthCheck', key]
    if (protocol === 'off') {
      report(path, `${key} has no effect where checks are off; leave it out`, 'key')
      continue
    }
    // Whoever leaves the protocol out, or writes tcp, and names a path wants to ask for that path.
    const meant = protocol === 'tcp' ? `write protocol: ${meantBy(key, ofGroup)} beside it, or ` : ''
    const where = needsTls ? `${protocol} check without TLS` : `${protocol} check`
    report(
      path,
      `${key} has no effect on ${protocol.startsWith('h') ? 'an' : 'a'} ${where}; ${meant}leave it out`,
      'key',
    )
  }
}

function meantBy(key: string, ofGroup: unknown): string {
  if (key === 'service') return 'grpc'
  const isHttp2 = (ofGroup === 'h2' || ofGroup === 'h2c') && key !== 'httpVersion'
  if (key === 'verify') return isHttp2 ? 'h2' : 'https'
  return isHttp2 ? String(ofGroup) : 'http'
}
