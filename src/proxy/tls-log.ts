import type { Logger } from 'pino'
import type { Clock } from '../core/clock.js'
import type { TlsFault } from '../core/tls.js'

/** Whoever scans ports or spoils handshakes on purpose must not fill the disk. */
const LINES_PER_SECOND = 5
const BURST = 20

/** What a failed handshake means to the person who reads of it. */
const WORDS: Readonly<Record<TlsFault, string>> = {
  NO_SHARED_CIPHER:
    'the client offers no cipher that the policy allows, or none for the kind of key the certificate has',
  NO_SHARED_VERSION: 'the client speaks no TLS version that the policy allows',
  NO_SHARED_PROTOCOL: 'the client offers by ALPN only protocols that the listener does not speak',
  PLAIN_HTTP: 'the client speaks plain HTTP to a TLS port',
  NOT_TLS: 'the client speaks something else than TLS',
  UNKNOWN_CA: 'a certificate comes from an authority that is not trusted',
  CERTIFICATE_REQUIRED: 'the client showed no certificate, and one is required',
  CERTIFICATE_REJECTED: 'a certificate does not verify',
  CLIENT_CLOSED: 'the client closed the connection in the middle of the handshake',
  HANDSHAKE_TIMEOUT: 'the handshake took too long',
  PROTOCOL_ERROR: 'the handshake broke the protocol',
}

/** The log lines of a thread about handshakes that failed, held to a few a second; what is left out is counted. */
export class TlsLog {
  readonly #log: Logger
  readonly #clock: Clock
  #tokens = BURST
  #filledMs: number
  #leftOut = 0

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
    this.#filledMs = clock.nowMs
  }

  clientFailed(listener: string, client: string, fault: TlsFault, detail: string | undefined): void {
    if (!this.#mayWrite()) return
    const fields = { listener, client, reason: fault, meaning: WORDS[fault], detail, ...this.#omitted() }
    this.#log.info(fields, 'a TLS handshake failed')
  }

  targetFailed(group: string, target: string, detail: string): void {
    if (!this.#mayWrite()) return
    this.#log.warn({ targetGroup: group, target, detail, ...this.#omitted() }, 'a target’s TLS handshake failed')
  }

  #mayWrite(): boolean {
    const { nowMs } = this.#clock
    this.#tokens = Math.min(BURST, this.#tokens + ((nowMs - this.#filledMs) / 1000) * LINES_PER_SECOND)
    this.#filledMs = nowMs
    if (this.#tokens >= 1) {
      this.#tokens--
      return true
    }
    this.#leftOut++
    return false
  }

  #omitted(): { readonly leftOut?: number } {
    const leftOut = this.#leftOut
    this.#leftOut = 0
    return leftOut === 0 ? {} : { leftOut }
  }
}
