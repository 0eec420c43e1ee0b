import type { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { CertificateConfig } from '../core/config-tls.js'
import type { CertificateFacts, TlsIdentity } from '../core/tls.js'
import { holdsPrivateKey, type PemCertificate, type ReadFile, readCertificates, readPrivateKey } from './pem.js'
import type { Path } from './problems.js'
import { exposure } from './read-file.js'

/**
 * Something about files of certificates, and which key of the configuration it is about. `expired` is an error for
 * whoever checks a configuration and can still get another certificate, and a warning at the start: an expired one
 * serves some clients, a balancer that does not start serves none.
 */
export interface Finding {
  readonly path: Path
  readonly severity: 'error' | 'expired' | 'warning'
  readonly message: string
}

/** A certificate with its key, as far as they could be read. */
export interface ReadIdentity {
  readonly identity?: TlsIdentity
  readonly facts?: CertificateFacts
  readonly findings: readonly Finding[]
}

const DAY_MS = 24 * 60 * 60 * 1000
const WARN_DAYS = 30
/** OpenSSL refuses RSA keys that are shorter, at the security level that most systems ask of it. */
const LEAST_RSA_BITS = 2048

/** Reads and checks one pair, shown by the side that `role` names. Paths of findings begin at the pair. */
export function readIdentity(
  config: CertificateConfig,
  role: 'server' | 'client',
  read: ReadFile | undefined,
  nowMs: number,
): ReadIdentity {
  const findings: Finding[] = []
  const find = (key: string, message: string, severity: Finding['severity'] = 'error'): void => {
    findings.push({ path: [key], severity, message })
  }
  const chain = readCertificates(config.cert, read)
  const key = readPrivateKey(config.key, read)
  if (!chain.ok) find('cert', chain.problem)
  if (!key.ok) find('key', key.problem)
  if (!chain.ok) return { findings }
  const leaf = chain.value[0]!.x509
  const disorder = outOfOrder(chain.value)
  if (disorder !== undefined) find('cert', `${config.cert}: ${disorder}`)
  for (const { x509 } of chain.value) {
    checkTime(x509, config.cert, nowMs, find)
    const bits = x509.publicKey.asymmetricKeyDetails?.modulusLength ?? LEAST_RSA_BITS
    if (bits >= LEAST_RSA_BITS) continue
    find('cert', `${config.cert}: ${nameOf(x509)} has a key of ${bits} bits; most refuse less than 2048`, 'warning')
  }
  if (role === 'server' && disorder === undefined && leaf.subjectAltName === undefined) {
    const who = nameOf(leaf)
    find('cert', `${config.cert}: ${who} has no subjectAltName; clients look at nothing else and refuse it`, 'warning')
  }
  if (config.cert !== config.key && holdsPrivateKey(config.cert, read)) {
    find('cert', `${config.cert} holds a private key too; whoever may read it can pass for this server`, 'warning')
  }
  const exposed = read === undefined && key.ok ? exposure(config.key) : undefined
  if (exposed !== undefined) {
    find('key', `${config.key}: ${exposed}; give it mode 640 or 600 (chmod 640 ${config.key})`, 'warning')
  }
  if (key.ok && !leaf.checkPrivateKey(key.value.key)) {
    const other = chain.value.findIndex(({ x509 }) => x509.checkPrivateKey(key.value.key))
    const hint = other < 0 ? '' : `, but to number ${other + 1}; the server’s own certificate must come first`
    find('key', `${config.key} does not belong to the first certificate in ${config.cert}${hint}`)
  }
  for (const [index, domain] of config.domains.entries()) {
    if (covers(leaf, domain)) continue
    const message = `${config.cert} is not for ${domain}, only for ${certificateNames(leaf).join(', ') || 'no name'}; clients will refuse it`
    findings.push({ path: ['domains', index], severity: 'warning', message })
  }
  const facts = describe(leaf, config)
  if (!key.ok || findings.some(({ severity }) => severity === 'error')) return { facts, findings }
  const identity = { cert: chain.value.map(({ pem }) => pem).join(''), key: key.value.pem, names: facts.names }
  const refused = refusal(identity)
  if (refused !== undefined) {
    find('cert', `${config.cert}: OpenSSL refuses it: ${refused}`)
    return { facts, findings }
  }
  return { identity, facts, findings }
}

/** Names in lower case: of the subject alternative names, or, where there are none of any kind, the common name. */
export function certificateNames(x509: X509Certificate): string[] {
  const { subjectAltName } = x509
  if (subjectAltName === undefined) {
    const common = /^CN=(.+)$/m.exec(x509.subject)?.[1]
    return common === undefined ? [] : [common.toLowerCase()]
  }
  const names = [...subjectAltName.matchAll(/(?:^|, )DNS:("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, name]) => name!)
  return names.map((name) => (name.startsWith('"') ? String(JSON.parse(name)) : name).toLowerCase())
}

/** Says so where a certificate, or one of the authorities behind it, is no longer or not yet valid, or soon no longer. */
export function checkTime(
  x509: X509Certificate,
  path: string,
  nowMs: number,
  find: (key: string, message: string, severity: Finding['severity']) => void,
  key = 'cert',
): void {
  const from = Date.parse(x509.validFrom)
  const until = Date.parse(x509.validTo)
  const who = nameOf(x509)
  if (nowMs >= until) find(key, `${path}: ${who} expired ${days(nowMs - until)} ago, at ${iso(until)}`, 'expired')
  else if (nowMs < from) find(key, `${path}: ${who} is valid only from ${iso(from)} on`, 'expired')
  // Those made for a few weeks are renewed when a third of their time is left.
  else if (until - nowMs < Math.min(WARN_DAYS * DAY_MS, (until - from) / 3)) {
    find(key, `${path}: ${who} expires in ${days(until - nowMs)}, at ${iso(until)}`, 'warning')
  }
}

export function nameOf(x509: X509Certificate): string {
  return certificateNames(x509)[0] ?? /^CN=(.+)$/m.exec(x509.subject)?.[1] ?? 'a certificate'
}

/** What is wrong with the order: each certificate must be issued by the one behind it. */
function outOfOrder(chain: readonly PemCertificate[]): string | undefined {
  for (let i = 1; i < chain.length; i++) {
    const issued = chain[i - 1]!.x509
    const issuer = chain[i]!.x509
    if (issued.checkIssued(issuer)) continue
    return `the chain is out of order: certificate ${i + 1} (${nameOf(issuer)}) did not issue certificate ${i} (${nameOf(issued)}); the server’s own comes first, then the one that issued it, and so on`
  }
  return undefined
}

function covers(x509: X509Certificate, domain: string): boolean {
  if (domain.startsWith('*.')) return certificateNames(x509).includes(domain)
  return x509.checkHost(domain) !== undefined
}

function describe(leaf: X509Certificate, config: CertificateConfig): CertificateFacts {
  return {
    path: config.cert,
    names: config.domains.length > 0 ? config.domains : certificateNames(leaf),
    keyType: KEY_TYPES[leaf.publicKey.asymmetricKeyType ?? ''] ?? leaf.publicKey.asymmetricKeyType ?? '',
    issuer: /^CN=(.+)$/m.exec(leaf.issuer)?.[1] ?? /^O=(.+)$/m.exec(leaf.issuer)?.[1] ?? '',
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    validFromMs: Date.parse(leaf.validFrom),
    validUntilMs: Date.parse(leaf.validTo),
  }
}

const KEY_TYPES: Readonly<Record<string, string>> = {
  rsa: 'RSA',
  'rsa-pss': 'RSA',
  ec: 'ECDSA',
  ed25519: 'EdDSA',
  ed448: 'EdDSA',
}

/** Keys that are too short, curves that are no good: what only shows when it is used. */
function refusal({ cert, key }: TlsIdentity): string | undefined {
  try {
    createSecureContext({ cert, key })
    return undefined
  } catch (cause) {
    return (cause as Error).message
  }
}

function days(ms: number): string {
  const count = Math.floor(ms / DAY_MS)
  if (count === 0) return `${Math.floor(ms / 3_600_000)} hours`
  return `${count} day${count === 1 ? '' : 's'}`
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
