import { isAbsolute, resolve } from 'node:path'
import { isTlsGroup } from '../core/protocols.js'
import { TLS_VERSIONS } from '../core/tls.js'
import type { Finding } from './certificate.js'
import { checkBodyFiles } from './check-rules.js'
import type { ReadFile } from './pem.js'
import type { Path } from './problems.js'
import { unservedCiphers } from './served-ciphers.js'
import { fileItem, fileOfItem, readSourceList } from './source-list.js'
import { readGroupFiles, readListenerFiles } from './tls-files.js'
import { isDeprecated } from './tls-policy.js'
import { type Entry, entries, type Fields, flagOf, isFields, text } from './tree.js'

type Found = (path: Path, message: string, severity: Finding['severity']) => void

/**
 * Reads every certificate, key and bundle that the tree names, also while other values are still wrong, and says what
 * there is to say. Paths count from `directory`.
 */
export function checkFiles(tree: unknown, directory: string, read: ReadFile | undefined, found: Found): void {
  const root = isFields(tree) ? tree : {}
  const nowMs = Date.now()
  const path = (written: unknown): string => {
    const given = text(written) ?? ''
    return given === '' || isAbsolute(given) ? given : resolve(directory, given)
  }
  const tell = (above: Path, findings: readonly Finding[]): void => {
    for (const finding of findings) found([...above, 'tls', ...finding.path], finding.message, finding.severity)
  }
  for (const { path: at, fields } of entries(root, 'listeners')) {
    const { tls, protocol } = fields
    if ((protocol !== 'tls' && protocol !== 'https') || !isFields(tls)) continue
    warnOfVersion(at, tls, found)
    const pairs = entries(tls, 'certificates').filter(hasBoth)
    const certificates = pairs.map(({ fields: { cert, key, domains } }) => ({
      cert: path(cert),
      key: path(key),
      domains: Array.isArray(domains) ? domains.flatMap((domain) => text(domain)?.toLowerCase() ?? []) : [],
    }))
    const clients = isFields(tls.clientCertificates) ? tls.clientCertificates : {}
    const asked = clients.mode === 'request' || clients.mode === 'require'
    const clientCertificates = { mode: 'none', ca: asked ? path(clients.ca) : '' } as const
    const { findings, facts } = readListenerFiles({ certificates, clientCertificates }, read, nowMs)
    tell(at, [...findings, ...unservedCiphers(tls.policy, facts)])
  }
  for (const { path: at, fields } of entries(root, 'targetGroups')) {
    const { tls, protocol } = fields
    if (!isFields(tls) || (protocol !== 'https' && protocol !== 'h2' && protocol !== 'tls')) continue
    const verify = flagOf(tls.verify) ?? true
    const files = { verify, ca: path(tls.ca), serverName: '', cert: path(tls.cert), key: path(tls.key) }
    if (isTlsGroup(protocol)) tell(at, readGroupFiles(files, protocol, read, nowMs).findings)
  }
  checkSourceFiles(root, path, (at, message) => found(at, message, 'error'))
  checkBodyFiles(root, path, (at, message) => found(at, message, 'error'))
  const redis = isFields(root.cluster) && isFields(root.cluster.redis) ? root.cluster.redis : {}
  if (text(redis.ca) && flagOf(redis.tls) === true) {
    const files = { verify: true, ca: path(redis.ca), serverName: '', cert: '', key: '' }
    for (const { path: at, message, severity } of readGroupFiles(files, 'tls', read, nowMs).findings) {
      found(['cluster', 'redis', ...at], message, severity)
    }
  }
}

/** Lists of networks: what cannot be read, and which of their lines are none. */
function checkSourceFiles(
  root: Fields,
  resolvePath: (written: unknown) => string,
  found: (path: Path, message: string) => void,
): void {
  const protection = isFields(root.protection) ? root.protection : {}
  for (const key of ['allow', 'deny']) {
    const written = protection[key]
    if (!Array.isArray(written)) continue
    for (const [index, item] of written.entries()) {
      const file = typeof item === 'string' ? fileOfItem(item) : undefined
      if (file === undefined || file === '') continue
      readSourceList([fileItem(resolvePath(file))], (_index, problem) => found(['protection', key, index], problem))
    }
  }
}

/** Where one is missing the schema has complained about it. */
function hasBoth({ fields }: Entry): boolean {
  return Boolean(text(fields.cert)) && Boolean(text(fields.key))
}

function warnOfVersion(at: Path, tls: Readonly<Record<string, unknown>>, found: Found): void {
  const { policy } = tls
  if (!isFields(policy)) return
  const lowest = TLS_VERSIONS.find((version) => version === policy.minVersion)
  if (lowest === undefined || !isDeprecated(lowest)) return
  const message = `${lowest} is broken and forbidden by RFC 8996; allow it only for clients that nothing else can be done for`
  found([...at, 'tls', 'policy', 'minVersion'], message, 'warning')
}
