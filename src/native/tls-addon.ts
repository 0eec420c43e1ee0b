/** What the addon offers where it speaks TLS, once `tlsOpen` succeeded. answers are those of the other functions, and two more. */
export interface TlsAddon {
  /** Answers an id. Versions as on the wire, ALPN protocols each behind its length, `verify` as OpenSSL's flags. */
  tlsContextOpen(
    server: 0 | 1,
    minVersion: number,
    maxVersion: number,
    ciphers: string,
    suites: string,
    alpn: Uint8Array,
    verify: number,
    tickets: 0 | 1,
  ): number
  /** Before the first identity; `system` 1: `pem` is what the system trusts, read once a thread. */
  tlsContextTrust(id: number, pem: string, system: 0 | 1): number
  /** Certificates of one group serve the same names; the first group is the default. Empty texts = none. */
  tlsContextIdentity(id: number, group: number, cert: string, key: string): number
  /** By which group a name is served; for a client whom it speaks to, with group −1. */
  tlsContextName(id: number, name: string, group: number): number
  tlsContextKeys(id: number, keys: Uint8Array): number
  tlsContextClose(id: number): void
  /** What was wrong when one of these answered TLS_BROKEN. */
  tlsContextError(): string
  /** An adopted descriptor speaks TLS from here on; `drop` and `release` end that too. */
  tlsAccept(fd: number, context: number, early: Uint8Array | undefined): number
  tlsConnect(fd: number, context: number, address: string, peer: string): number
  /** 1 when it is done, 0 while more is to come. */
  tlsHandshake(fd: number): number
  /** As `receive`; `toEnd` 1 when the end of the stream may be behind what comes. */
  tlsReceive(fd: number, limit: number, toEnd: 0 | 1): number
  tlsSend(fd: number, which: 0 | 1, start: number, end: number): number
  tlsSendFrom(fd: number, bytes: Uint8Array, start: number, end: number): number
  /** Reads what is left of a message that holds writes up, and no data: 0, or EAGAIN while more of it is to come. */
  tlsProceed(fd: number): number
  /** 0 once the end of the stream is said and sent; EAGAIN: ask again when there is room. */
  tlsEnd(fd: number): number
  /** 1 when something was received that was not handed over yet. */
  tlsUnread(fd: number): number
  /** Why a call on the connection answered TLS_BROKEN. */
  tlsFailure(fd: number): string
  /** Version, cipher, ALPN, server name, "1" if resumed, subject and digest, with a zero behind each. */
  tlsInfo(fd: number): string
}

/** Beyond errno: TLS broke down, or its stream ended unannounced. */
export const TLS_BROKEN = -20001
export const TLS_CUT = -20002
/** Words a call on a TLS connection leaves: there is more to read that no event tells of; the addon holds bytes to send. */
export const TLS_WORDS = 2
export const TLS_MORE = 0
export const TLS_KEPT = 1
