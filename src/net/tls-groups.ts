import { createPrivateKey, X509Certificate } from 'node:crypto'
import { CastorError } from '../core/errors.js'
import type { TlsIdentity, TlsVersion } from '../core/tls.js'

/** Identities that serve the same names, at most one for each type of key: the client's abilities choose among them. */
export interface TlsGroup {
  readonly identities: readonly TlsIdentity[]
  readonly names: readonly string[]
}

/** As on the wire. */
export const TLS_VERSION_NUMBERS: Readonly<Record<TlsVersion, number>> = {
  TLSv1: 0x301,
  'TLSv1.1': 0x302,
  'TLSv1.2': 0x303,
  'TLSv1.3': 0x304,
}

/**
 * The first group is the default: the first identity, with those of other key types that share its first name. Where two
 * of one key type claim a name, the first has it. Throws CastorError TLS_CONFIG that names the identity which is wrong.
 */
export function groupIdentities(identities: readonly TlsIdentity[]): TlsGroup[] {
  if (identities.length === 0) throw new CastorError('TLS_CONFIG', 'there is no certificate to serve')
  const types = identities.map(keyType)
  const byName = new Map<string, number[]>()
  for (const [at, identity] of identities.entries()) {
    for (const name of identity.names) {
      const claims = byName.get(name) ?? []
      if (!claims.some((other) => types[other] === types[at])) claims.push(at)
      byName.set(name, claims)
    }
  }
  const first = identities[0]!.names[0]
  const groups = new Map<string, { members: number[]; names: string[] }>()
  const members = (first === undefined ? undefined : byName.get(first)) ?? [0]
  groups.set(members.join(), { members, names: [] })
  for (const [name, claims] of byName) {
    const group = groups.get(claims.join()) ?? { members: claims, names: [] }
    group.names.push(name)
    groups.set(claims.join(), group)
  }
  return [...groups.values()].map((group) => ({
    identities: group.members.map((at) => identities[at]!),
    names: group.names,
  }))
}

/** How messages name an identity. */
export function describeIdentity(identity: TlsIdentity, at: number): string {
  return `certificate ${at + 1}${identity.names.length > 0 ? ` (${identity.names.slice(0, 3).join(', ')})` : ''}`
}

function keyType(identity: TlsIdentity, at: number): string {
  const what = describeIdentity(identity, at)
  if (/ENCRYPTED/.test(identity.key)) {
    throw new CastorError('TLS_CONFIG', `${what}: the key is encrypted: decrypt it into a file only this user may read`)
  }
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(identity.cert)
  } catch (cause) {
    throw new CastorError('TLS_CONFIG', `${what}: the certificate cannot be read`, { cause })
  }
  let key: ReturnType<typeof createPrivateKey>
  try {
    key = createPrivateKey(identity.key)
  } catch (cause) {
    throw new CastorError('TLS_CONFIG', `${what}: the key cannot be read`, { cause })
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new CastorError('TLS_CONFIG', `${what}: the key is not the first certificate's`)
  }
  return key.asymmetricKeyType ?? 'unknown'
}
