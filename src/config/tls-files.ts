import type { GroupProtocol } from '../core/config.js'
import type { CertificateConfig, GroupTlsConfig, ListenerTlsConfig } from '../core/config-tls.js'
import { isHttp2Group } from '../core/protocols.js'
import type { CertificateFacts, ClientTlsConfig, ServerTlsConfig, TlsIdentity } from '../core/tls.js'
import { checkTime, type Finding, nameOf, readIdentity } from './certificate.js'
import { type ReadFile, readCertificates } from './pem.js'

/** The files of a listener, as far as they are good; one of each for a certificate where all of them are. */
export interface ListenerFiles {
  readonly identities: readonly TlsIdentity[]
  readonly facts: readonly CertificateFacts[]
  readonly ca: string
  /** Paths begin at the listener's `tls`. */
  readonly findings: readonly Finding[]
}

/**
 * Reads everything that a listener's TLS is made of, and says all that is to be said about it. `before` is what was good
 * the last time: it stands in for what is not good now.
 */
export function readListenerFiles(
  tls: Pick<ListenerTlsConfig, 'certificates' | 'clientCertificates'>,
  read: ReadFile | undefined,
  nowMs: number,
  before?: ListenerFiles,
): ListenerFiles {
  const findings: Finding[] = []
  const identities: TlsIdentity[] = []
  const facts: CertificateFacts[] = []
  /** Index of the certificate by name and type of key. */
  const taken = new Map<string, number>()
  for (const [index, config] of tls.certificates.entries()) {
    const found = readIdentity(config, 'server', read, nowMs)
    const path = ['certificates', index]
    for (const finding of found.findings) findings.push({ ...finding, path: [...path, ...finding.path] })
    const fault = found.facts === undefined ? undefined : misplaced(found.facts, index, taken)
    if (fault !== undefined) findings.push({ path: [...path, 'cert'], severity: 'error', message: fault })
    const good = found.identity !== undefined && fault === undefined
    const identity = good ? found.identity : before?.identities[index]
    const known = good ? found.facts : (before?.facts[index] ?? found.facts)
    if (identity !== undefined) identities.push(identity)
    if (known === undefined) continue
    facts.push(known)
    for (const name of known.names) taken.set(`${name} ${known.keyType}`, index)
  }
  const { ca: caPath } = tls.clientCertificates
  const ca = readBundle(caPath, ['clientCertificates', 'ca'], read, nowMs, findings) || (before?.ca ?? '')
  return { identities, facts, ca, findings }
}

export function serverTls(tls: ListenerTlsConfig, files: ListenerFiles): ServerTlsConfig {
  const { minVersion, maxVersion, ciphers, cipherSuites, alpn, sessionTickets } = tls
  const clientCertificates = { mode: tls.clientCertificates.mode, ca: files.ca }
  const { identities } = files
  return { identities, minVersion, maxVersion, ciphers, cipherSuites, alpn, clientCertificates, sessionTickets }
}

/** What a group's targets are spoken to with, without what differs from target to target. */
export interface GroupFiles {
  readonly config?: ClientTlsConfig
  /** Paths begin at the group's `tls`. */
  readonly findings: readonly Finding[]
}

export function readGroupFiles(
  tls: GroupTlsConfig,
  protocol: GroupProtocol,
  read: ReadFile | undefined,
  nowMs: number,
): GroupFiles {
  const findings: Finding[] = []
  const ca = readBundle(tls.ca, ['ca'], read, nowMs, findings)
  const own: CertificateConfig = { cert: tls.cert, key: tls.key, domains: [] }
  const shown = tls.cert === '' || tls.key === '' ? undefined : readIdentity(own, 'client', read, nowMs)
  if (shown !== undefined) findings.push(...shown.findings)
  if (findings.some(({ severity }) => severity === 'error')) return { findings }
  const { cert, key } = shown?.identity ?? { cert: '', key: '' }
  const config = { verify: tls.verify, ca, serverName: tls.serverName, cert, key, alpn: groupAlpn(protocol) }
  return { config, findings }
}

function groupAlpn(protocol: GroupProtocol): string[] {
  if (protocol === 'tls') return []
  return isHttp2Group(protocol) ? ['h2'] : ['http/1.1']
}

/** The certificates of authorities in one PEM text; empty for an empty path, and where a finding says why. */
function readBundle(
  path: string,
  key: readonly string[],
  read: ReadFile | undefined,
  nowMs: number,
  findings: Finding[],
): string {
  if (path === '') return ''
  const bundle = readCertificates(path, read)
  if (!bundle.ok) {
    findings.push({ path: key, severity: 'error', message: bundle.problem })
    return ''
  }
  for (const { x509 } of bundle.value) {
    checkTime(x509, path, nowMs, (_, message) => findings.push({ path: key, severity: 'warning', message }))
    if (x509.ca) continue
    const message = `${path}: ${nameOf(x509)} is no authority: certificates that it issued are refused`
    findings.push({ path: key, severity: 'warning', message })
  }
  return bundle.value.map(({ pem }) => pem).join('')
}

/**
 * Why a certificate has no place beside those before it. A name may have several only where their keys differ in type:
 * else which one serves is a matter of luck.
 */
function misplaced(facts: CertificateFacts, index: number, taken: ReadonlyMap<string, number>): string | undefined {
  const { path, names, keyType } = facts
  if (index > 0 && names.length === 0) {
    return `${path} names nothing that a client could ask for, and is not the first; set domains`
  }
  for (const name of names) {
    const other = taken.get(`${name} ${keyType}`)
    if (other === undefined) continue
    return `${path} is for ${name} with a key of type ${keyType}, and so is certificates.${other}; say with domains which one serves it`
  }
  return undefined
}
