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

/** What a client may do on one HTTP/2 connection. Field blocks are held to `protection.maxHeaderBytes`. */
export interface Http2Config {
  /** SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly maxConcurrentStreams: number
  /** SETTINGS_INITIAL_WINDOW_SIZE: what a stream may send ahead of its target. */
  readonly initialWindowBytes: number
  /** The same for the connection as a whole. */
  readonly connectionWindowBytes: number
  /** SETTINGS_MAX_FRAME_SIZE. */
  readonly maxFrameBytes: number
  /** SETTINGS_HEADER_TABLE_SIZE. */
  readonly headerTableBytes: number
  /** CONTINUATION frames of one field block. */
  readonly maxContinuations: number
  /** Entries of one SETTINGS frame. */
  readonly maxSettings: number
  /** Answers to PING and SETTINGS that the client has not read yet. */
  readonly maxOutboundAcks: number
  /** Streams that the client resets, or has reset by what it sends: so many at once, then so many a second. */
  readonly streamResetBurst: number
  readonly streamResetsPerSecond: number
  /** PING, SETTINGS, PRIORITY, empty DATA and unknown frames, in the same way. */
  readonly controlFrameBurst: number
  readonly controlFramesPerSecond: number
}
