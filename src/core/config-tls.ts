import type { TlsVersion } from './tls.js'

/** The parts of the configuration that TLS and HTTP/2 brought; paths are absolute, nothing of the files is read yet. */

export interface CertificateConfig {
  /** Paths of PEM files. */
  readonly cert: string
  readonly key: string
  /** In lower case; empty = those that the certificate names. */
  readonly domains: readonly string[]
}

export interface HstsConfig {
  readonly maxAgeSeconds: number
  readonly includeSubDomains: boolean
  readonly preload: boolean
}

export interface ListenerTlsConfig {
  /** At least one; the first serves names that none is for. */
  readonly certificates: readonly CertificateConfig[]
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
    /** Path of a PEM bundle; empty for `none`. */
    readonly ca: string
  }
  readonly sessionTickets: boolean
  readonly hsts?: HstsConfig
  readonly handshakeTimeoutMs: number
}

/** How a group's targets are spoken to over TLS; paths are empty where nothing was given. */
export interface GroupTlsConfig {
  readonly verify: boolean
  readonly ca: string
  /** Empty = the target's host name; for a target given by address none is sent, and the address is verified. */
  readonly serverName: string
  readonly cert: string
  readonly key: string
}

/** Requests are sent to the same place over https. */
export interface RedirectToHttpsConfig {
  readonly port: number
  /** 0 = 301 for GET and HEAD, 308 for the rest. */
  readonly status: 0 | 301 | 302 | 307 | 308
}

/**
 * What a client may do on one HTTP/2 connection, in the names of the engine, where each is explained. What it is not told
 * here follows from `protection`: field blocks are held to `maxHeaderBytes` and their time to `headerTimeout`.
 */
export interface Http2Config {
  readonly maxStreams: number
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  readonly headerTableBytes: number
  /** Milliseconds that the counts below are for. */
  readonly rateWindowMs: number
  readonly maxResets: number
  readonly maxRefusals: number
  readonly maxSettings: number
  readonly maxPings: number
  readonly maxPriorities: number
  readonly maxUselessFrames: number
  readonly maxWindowUpdates: number
  readonly maxTinyFrames: number
  /** Of one field block. */
  readonly maxContinuations: number
  readonly maxQueuedBytes: number
  readonly stallTimeoutMs: number
  readonly settingsTimeoutMs: number
}

/** What targets of HTTP/2 may do, and when one is asked whether it is still there. */
export interface TargetHttp2Config {
  readonly rateWindowMs: number
  readonly maxResets: number
  readonly maxSettings: number
  readonly maxPings: number
  readonly maxUselessFrames: number
  readonly maxWindowUpdates: number
  readonly maxTinyFrames: number
  /** How long it may say nothing while requests are under way, before it is pinged. */
  readonly pingAfterMs: number
  readonly pingTimeoutMs: number
}
