import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { ipToBytes } from '../../../src/net/ip-bytes.js'
import { bits, der, integer, octets, oid, pem, sequence, time, utf8, yes } from './der.js'

export type KeyType = 'ecdsa' | 'rsa'

/** What a certificate is to say, where it is not the ordinary thing. */
export interface CertificateOptions {
  readonly keyType?: KeyType
  /** In the order in which RFC 2253 writes them backwards: `[['O', 'Shop'], ['CN', 'a.example']]`. */
  readonly subject?: readonly (readonly [type: 'CN' | 'O' | 'OU' | 'C', value: string])[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** For a client rather than a server. */
  readonly client?: boolean
}

/** A chain in PEM, leaf first, without its root; fits `TlsIdentity`. */
export interface Identity {
  readonly cert: string
  readonly key: string
  readonly names: readonly string[]
}

interface Body {
  readonly subject: Buffer
  readonly issuer: Buffer
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: readonly Buffer[]
}

const DAY_MS = 86_400_000
const ATTRIBUTES = { CN: '2.5.4.3', C: '2.5.4.6', O: '2.5.4.10', OU: '2.5.4.11' } as const
const SIGNATURES = {
  ec: sequence(oid('1.2.840.10045.4.3.2')),
  rsa: sequence(oid('1.2.840.113549.1.1.11'), der(0x05)),
}
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
/** Bits of KeyUsage, from the left: digital signature and key encipherment; signing certificates and CRLs. */
const LEAF_USAGE = bits(Buffer.of(0xa0), 5)
const CA_USAGE = bits(Buffer.of(0x06), 1)

let rsaPair: { publicKey: KeyObject; privateKey: KeyObject } | undefined

/** All RSA certificates of a process share one key: to make one takes longer than most tests. */
function keyPair(type: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  if (type === 'ecdsa') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return (rsaPair ??= generateKeyPairSync('rsa', { modulusLength: 2048 }))
}

/** Signs certificates for tests. Nothing is cached but RSA keys; a certificate costs about a millisecond. */
export class CertificateAuthority {
  /** Its own certificate: what the other side is to trust. */
  readonly cert: string
  readonly #name: Buffer
  readonly #keys: { publicKey: KeyObject; privateKey: KeyObject }
  readonly #issuer: CertificateAuthority | undefined

  /** With an issuer it is an intermediate, and comes with the chains it signs. */
  constructor(name = 'Castor test CA', issuer?: CertificateAuthority) {
    this.#name = distinguishedName([['CN', name]])
    this.#keys = keyPair('ecdsa')
    this.#issuer = issuer
    const signer = issuer ?? this
    this.cert = certificate({
      subject: this.#name,
      issuer: signer.#name,
      publicKey: this.#keys.publicKey,
      signer: signer.#keys.privateKey,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 365 * DAY_MS),
      extensions: [
        extension('2.5.29.19', true, sequence(yes)),
        extension('2.5.29.15', true, CA_USAGE),
        extension('2.5.29.14', false, octets(keyIdentifier(this.#keys.publicKey))),
      ],
    })
  }

  /** Names may be hosts, wildcards or addresses; the subject is the first of them if none is given. */
  issue(names: readonly string[], options: CertificateOptions = {}): Identity {
    const keys = keyPair(options.keyType ?? 'ecdsa')
    const leaf = certificate({
      subject: distinguishedName(options.subject ?? [['CN', names[0] ?? 'nobody']]),
      issuer: this.#name,
      publicKey: keys.publicKey,
      signer: this.#keys.privateKey,
      notBefore: options.notBefore ?? new Date(Date.now() - DAY_MS),
      notAfter: options.notAfter ?? new Date(Date.now() + 90 * DAY_MS),
      extensions: [
        extension('2.5.29.19', true, sequence()),
        extension('2.5.29.15', true, LEAF_USAGE),
        extension('2.5.29.37', false, sequence(oid(options.client ? CLIENT_AUTH : SERVER_AUTH))),
        extension('2.5.29.14', false, octets(keyIdentifier(keys.publicKey))),
        extension('2.5.29.35', false, sequence(der(0x80, keyIdentifier(this.#keys.publicKey)))),
        ...(names.length > 0 ? [extension('2.5.29.17', false, sequence(...names.map(alternativeName)))] : []),
      ],
    })
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    return { cert: leaf + this.#chain(), key, names }
  }

  /** One that ended yesterday. */
  issueExpired(names: readonly string[], options: CertificateOptions = {}): Identity {
    const notBefore = new Date(Date.now() - 30 * DAY_MS)
    return this.issue(names, { ...options, notBefore, notAfter: new Date(Date.now() - DAY_MS) })
  }

  #chain(): string {
    return this.#issuer === undefined ? '' : this.cert + this.#issuer.#chain()
  }
}

function certificate(body: Body): string {
  const algorithm = SIGNATURES[body.signer.asymmetricKeyType === 'ec' ? 'ec' : 'rsa']
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const signed = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(serial),
    algorithm,
    body.issuer,
    sequence(time(body.notBefore), time(body.notAfter)),
    body.subject,
    body.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...body.extensions)),
  )
  return pem('CERTIFICATE', sequence(signed, algorithm, bits(sign('sha256', signed, body.signer))))
}

function distinguishedName(parts: NonNullable<CertificateOptions['subject']>): Buffer {
  return sequence(...parts.map(([type, value]) => der(0x31, sequence(oid(ATTRIBUTES[type]), utf8(value)))))
}

function extension(id: string, critical: boolean, content: Buffer): Buffer {
  return critical ? sequence(oid(id), yes, octets(content)) : sequence(oid(id), octets(content))
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 0) return der(0x82, Buffer.from(name))
  const bytes = Buffer.alloc(16)
  return der(0x87, bytes.subarray(0, ipToBytes(name, bytes, 0)))
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
}
