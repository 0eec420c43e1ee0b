import { TLS_VERSIONS } from '../core/tls.js'
import { isTls13Suite } from './tls-policy.js'
import { type Entry, type Fields, flagOf, isFields, type Report, text } from './tree.js'

/** Keys of TLS and HTTP/2 that do not go together, or have no effect where they stand. */

/** What an https listener may agree on by ALPN. */
const HTTPS_PROTOCOLS: readonly string[] = ['h2', 'http/1.1', 'http/1.0']

export function checkListenerTls(listener: Entry, report: Report): void {
  const { protocol, tls } = listener.fields
  const encrypted = protocol === 'tls' || protocol === 'https'
  if (encrypted && tls === undefined) {
    report([...listener.path, 'protocol'], `${a(protocol)} listener needs certificates; give it tls`)
  }
  if (!encrypted && tls !== undefined && (protocol === 'tcp' || protocol === 'http')) {
    const instead = protocol === 'tcp' ? 'tls' : 'https'
    report([...listener.path, 'tls'], `tls has no effect on ${a(protocol)} listener; write protocol: ${instead}`, 'key')
  }
  if (encrypted && isFields(tls)) checkTls({ path: [...listener.path, 'tls'], fields: tls }, protocol, report)
  checkHttp2(listener, report)
  checkRedirect(listener, report)
}

function checkTls({ path, fields }: Entry, protocol: string, report: Report): void {
  if (isFields(fields.policy)) checkPolicy({ path: [...path, 'policy'], fields: fields.policy }, report)
  const { clientCertificates, hsts } = fields
  if (isFields(clientCertificates)) {
    const { mode, ca } = clientCertificates
    if ((mode === 'request' || mode === 'require') && (ca === undefined || ca === '')) {
      report([...path, 'clientCertificates', 'ca'], `is needed to ${mode} certificates: who may issue them?`)
    }
    // Whoever writes `mode: none` knows; whoever leaves it out believes that certificates are asked for.
    if (mode === undefined && given(clientCertificates, 'ca')) {
      const message = 'has no effect without mode; write mode: require, or request'
      report([...path, 'clientCertificates', 'ca'], message)
    }
  }
  if (protocol === 'tls' && hsts !== undefined && flagOf(hsts) !== false) {
    report([...path, 'hsts'], 'hsts has no effect on a tls listener; leave it out', 'key')
  }
  if (isFields(hsts) && flagOf(hsts.preload) === true) {
    const year = 31_536_000
    const short = typeof hsts.maxAge === 'number' && hsts.maxAge < year
    if (short || flagOf(hsts.includeSubDomains) !== true) {
      report([...path, 'hsts', 'preload'], `asks for includeSubDomains: true and a maxAge of ${year} or more`)
    }
  }
  if (protocol !== 'https' || !Array.isArray(fields.alpn)) return
  for (const [index, name] of fields.alpn.entries()) {
    if (typeof name !== 'string' || HTTPS_PROTOCOLS.includes(name)) continue
    report([...path, 'alpn', index], `an https listener speaks h2, http/1.1 and http/1.0, not ${JSON.stringify(name)}`)
  }
}

function checkPolicy({ path, fields }: Entry, report: Report): void {
  const versions: readonly string[] = TLS_VERSIONS
  const min = versions.indexOf(text(fields.minVersion) ?? 'TLSv1.2')
  const max = versions.indexOf(text(fields.maxVersion) ?? 'TLSv1.3')
  if (min < 0 || max < 0) return
  if (min > max) {
    const at = fields.minVersion === undefined ? 'maxVersion' : 'minVersion'
    report([...path, at], `no version lies between ${versions[min]} and ${versions[max]}`)
  }
  const ciphers = text(fields.ciphers)
  if (ciphers === undefined) return
  const names = ciphers.split(/[:, ]+/).filter((name) => name !== '')
  const only13 = min === versions.length - 1
  const older = names.filter((name) => !isTls13Suite(name))
  if (only13 && older.length > 0) {
    report([...path, 'ciphers'], `${older[0]} has no effect with TLSv1.3 only; its suites begin with TLS_`)
  }
  if (max < versions.length - 1 && names.some(isTls13Suite)) {
    report([...path, 'ciphers'], `${names.find(isTls13Suite)} has no effect below TLSv1.3`)
  }
}

function checkHttp2({ path, fields }: Entry, report: Report): void {
  const { protocol, http2, tls } = fields
  if (http2 === undefined) return
  const on = isFields(http2) || flagOf(http2) === true
  if (protocol === 'tcp' || protocol === 'tls') {
    report([...path, 'http2'], `http2 has no effect on a ${protocol} listener; leave it out`, 'key')
    return
  }
  const alpn = protocol === 'https' && isFields(tls) && Array.isArray(tls.alpn) ? tls.alpn : undefined
  if (alpn === undefined) return
  if (on && !alpn.includes('h2')) report([...path, 'http2'], 'has no effect while tls.alpn is without h2; add it there')
  if (flagOf(http2) === false && alpn.includes('h2'))
    report([...path, 'http2'], 'is off and tls.alpn offers h2; take it out there')
}

/** Keys of listeners for what passes between clients and targets. */
const OF_TARGETS = ['upgrades', 'halfClose', 'websocketIdleTimeout']

function checkRedirect({ path, fields }: Entry, report: Report): void {
  const { protocol, redirectToHttps } = fields
  const redirects = isFields(redirectToHttps) || flagOf(redirectToHttps) === true
  if (redirects && (protocol === 'tcp' || protocol === 'tls' || protocol === 'https')) {
    report([...path, 'redirectToHttps'], `works on http listeners only, not on ${a(protocol)} one; leave it out`, 'key')
  }
  if (redirects && protocol === 'http') {
    for (const key of OF_TARGETS) {
      if (fields[key] === undefined) continue
      report(
        [...path, key],
        `${key} has no effect beside redirectToHttps, which answers everything; leave it out`,
        'key',
      )
    }
  }
  const routed = (protocol === 'http' || protocol === 'https') && 'rules' in fields
  if (!redirects && !routed && !('targetGroup' in fields)) report([...path, 'targetGroup'], 'is required and missing')
}

export function checkGroupTls({ path, fields }: Entry, report: Report): void {
  const { protocol, tls } = fields
  if (fields.http2 !== undefined && protocol !== 'h2' && protocol !== 'h2c') {
    report([...path, 'http2'], `http2 has no effect in ${a(protocol)} group; leave it out`, 'key')
  }
  if (tls === undefined) return
  const instead = PLAIN_GROUPS[String(protocol)]
  if (instead !== undefined) {
    report([...path, 'tls'], `tls has no effect in ${a(protocol)} group; write protocol: ${instead}`, 'key')
  }
  if (!isFields(tls)) return
  if (given(tls, 'cert') !== given(tls, 'key')) {
    const [there, missing] = given(tls, 'cert') ? ['cert', 'key'] : ['key', 'cert']
    report([...path, 'tls', there], `needs ${missing} beside it`)
  }
  if (flagOf(tls.verify) === false && given(tls, 'ca')) {
    report([...path, 'tls', 'ca'], 'ca has no effect with verify: false; leave one out', 'key')
  }
}

const given = (fields: Fields, key: string): boolean => fields[key] !== undefined && fields[key] !== ''

/** Groups without TLS, and the same with it. */
const PLAIN_GROUPS: Readonly<Record<string, string>> = { tcp: 'tls', http: 'https', h2c: 'h2' }

function a(protocol: unknown): string {
  return protocol === 'http' || protocol === 'https' || protocol === 'h2' || protocol === 'h2c'
    ? `an ${protocol}`
    : `a ${String(protocol)}`
}
