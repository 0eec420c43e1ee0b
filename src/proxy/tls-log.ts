import type { Logger } from 'pino'
import type { Clock } from '../core/clock.js'
import type { TlsFault } from '../core/tls.js'
import { LineBudget } from './line-budget.js'

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
  readonly #budget: LineBudget

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#budget = new LineBudget(clock)
  }

  clientFailed(listener: string, client: string, fault: TlsFault, detail: string | undefined): void {
    if (!this.#budget.take()) return
    const fields = { listener, client, reason: fault, meaning: WORDS[fault], detail, ...this.#budget.omitted() }
    this.#log.info(fields, 'a TLS handshake failed')
  }

  targetFailed(group: string, target: string, detail: string): void {
    if (!this.#budget.take()) return
    this.#log.warn({ targetGroup: group, target, detail, ...this.#budget.omitted() }, 'a target’s TLS handshake failed')
  }
}
