import { CastorError } from './errors.js'

/** TLS as the threads see it: what was configured, already read and checked, and what a handshake agreed on. */
export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
/** The index is the version's place in shared memory. */
export type TlsVersion = (typeof TLS_VERSIONS)[number]

/** A certificate chain with its key, both PEM; several may serve one name with keys of different types. */
export interface TlsIdentity {
  /** Leaf first. */
  readonly cert: string
  readonly key: string
  /** In lower case, `a.example` or `*.example`, which stands for one label. */
  readonly names: readonly string[]
}

/** How one listener speaks TLS. Which identity serves a name: exact before the longest wildcard before the first. */
export interface ServerTlsConfig {
  readonly identities: readonly TlsIdentity[]
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** OpenSSL's list for TLS 1.2 and earlier. */
  readonly ciphers: string
  /** OpenSSL's list for TLS 1.3. */
  readonly cipherSuites: string
  /** By preference; empty = no ALPN. */
  readonly alpn: readonly string[]
  readonly clientCertificates: {
    readonly mode: 'none' | 'request' | 'require'
    /** PEM bundle; empty for `none`. */
    readonly ca: string
  }
  readonly sessionTickets: boolean
}

/** How a group's targets are spoken to over TLS. */
export interface ClientTlsConfig {
  readonly verify: boolean
  /** PEM bundle; empty = the system's. */
  readonly ca: string
  /** For SNI and verification; empty = none is sent, and the address is what is verified. */
  readonly serverName: string
  /** Client certificate and key, PEM; empty = none. */
  readonly cert: string
  readonly key: string
  readonly alpn: readonly string[]
}

/** What a finished handshake agreed on. */
export interface TlsInfo {
  readonly version: TlsVersion
  /** OpenSSL's name of it. */
  readonly cipher: string
  /** Empty = none was agreed on. */
  readonly alpn: string
  /** What the client asked for by SNI, in lower case; empty = nothing. */
  readonly serverName: string
  readonly resumed: boolean
  /** Subject of the client's certificate by RFC 2253, and SHA-256 of the certificate in lower-case hex; empty = none. */
  readonly clientSubject: string
  readonly clientFingerprint: string
}

/** Why a handshake did not come about, in words that counters and logs share. */
export const TLS_FAULTS = [
  'NO_SHARED_CIPHER',
  'NO_SHARED_VERSION',
  'NO_SHARED_PROTOCOL',
  'PLAIN_HTTP',
  'NOT_TLS',
  'UNKNOWN_CA',
  'CERTIFICATE_REQUIRED',
  'CERTIFICATE_REJECTED',
  'CLIENT_CLOSED',
  'HANDSHAKE_TIMEOUT',
  'PROTOCOL_ERROR',
] as const
export type TlsFault = (typeof TLS_FAULTS)[number]

/** TLS_HANDSHAKE_FAILED with its fault; the message has the detail, in words for an operator. */
export class TlsHandshakeError extends CastorError {
  readonly fault: TlsFault

  constructor(fault: TlsFault, detail: string, options?: { cause?: unknown }) {
    super('TLS_HANDSHAKE_FAILED', detail, options)
    this.fault = fault
  }
}

/** What the primary has read for all threads: by index of the listener and by slot of the group. */
export interface TlsMaterial {
  readonly listeners: readonly (ServerTlsConfig | undefined)[]
  readonly groups: readonly (ClientTlsConfig | undefined)[]
}

/** One session ticket key: name (16 bytes), AES-256 key (32), HMAC-SHA-256 key (32). */
export const TICKET_KEY_BYTES = 80
/** What a process can hold of them: the addon searches them one by one. */
export const MAX_TICKET_KEYS = 16

/** A server's certificates and rules, built once in each thread and shared by its connections. */
export interface ServerTls {
  /** `keys`: one or more ticket keys behind one another. The first encrypts; all of them decrypt. */
  setTicketKeys(keys: Uint8Array): void
  /** No new connection will ask for it; those under way keep what they need. Idempotent. */
  dispose(): void
}

/** The same for connections to targets. Keeps the last session of each address, so that the next handshake is short. */
export interface ClientTls {
  dispose(): void
}

/** What is told of a certificate that a listener serves: in metrics, status and logs. */
export interface CertificateFacts {
  /** Of its PEM file. */
  readonly path: string
  /** That it is served for, in lower case; may be empty for the first. */
  readonly names: readonly string[]
  /** `RSA`, `ECDSA`, `EdDSA`, or what OpenSSL calls it. */
  readonly keyType: string
  /** Common name or organisation. */
  readonly issuer: string
  /** SHA-256 in lower-case hex. */
  readonly fingerprint: string
  /** Milliseconds since the epoch. */
  readonly validFromMs: number
  readonly validUntilMs: number
}
