// Hot path: once per request where any request is limited.
import type { Clock } from '../core/clock.js'
import type { Config } from '../core/config.js'
import type { RequestParser } from '../http/request-parser.js'
import { ListenerRates } from '../limits/listener-rates.js'
import type { ClientSources } from './client-sources.js'
import type { OwnAnswer } from './own-answer.js'
import type { RequestOrigin } from './request-info.js'

const UNLIMITED = Number.POSITIVE_INFINITY
const OVER_SOURCE: OwnAnswer = { type: 'failure', status: 429, reason: 'SOURCE_REQUEST_RATE' }
const OVER_LISTENER: OwnAnswer = { type: 'failure', status: 429, reason: 'LISTENER_REQUEST_RATE' }
const TOO_LARGE: OwnAnswer = { type: 'failure', status: 413, reason: 'BODY_TOO_LARGE' }

/** Refuses requests that are too many, or too large. */
export class RequestLimits {
  /** Whether any request is limited by anything. */
  isAny = false
  readonly #sources: ClientSources
  readonly #rates: ListenerRates
  readonly #clock: Clock

  constructor(sources: ClientSources, clock: Clock) {
    this.#sources = sources
    this.#rates = new ListenerRates(sources.table)
    this.#clock = clock
  }

  /** By what limits it goes from here on. */
  take({ protection, listeners }: Pick<Config, 'protection' | 'listeners'>): void {
    this.isAny =
      protection.requestsPerSource !== UNLIMITED ||
      listeners.some(({ limits }) => limits.requestsPerSecond !== UNLIMITED || limits.bodyBytes !== UNLIMITED)
  }

  /** What a request is answered with that may not go on; undefined for one that may. */
  refusal({ listener, route, clientAddress }: RequestOrigin, parser: RequestParser): OwnAnswer | undefined {
    const { bodyBytes, requestsPerSecond } = route.settings.config.limits
    const isLimited = this.#sources.admission.limits.requestsPerSource !== UNLIMITED
    if (isLimited && !this.#sources.mayAsk(clientAddress, listener)) return OVER_SOURCE
    if (!this.#rates.take(listener.slot, requestsPerSecond, this.#clock.steadyMs)) return OVER_LISTENER
    return parser.contentLength > bodyBytes ? TOO_LARGE : undefined
  }
}
