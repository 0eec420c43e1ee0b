// Hot path: once per accepted connection. Nothing is allocated.
import type { ProtectionConfig } from '../core/config.js'
import { REASON } from '../core/reasons.js'
import { isInRanges } from '../net/in-ranges.js'
import {
  NO_SOURCE,
  RATE_CONNECTIONS,
  RATE_HANDSHAKES,
  RATE_REQUESTS,
  type SourceRate,
  type SourceTable,
} from '../shm/source-table.js'

const SECOND_US = 1_000_000
/** In place of the first half of an IPv6 address: no network begins like this. */
const V4_KEY = 0xffff
/** The log tells of one source no more often. */
const TELL_EVERY_S = 600

export type SourceLimits = Pick<
  ProtectionConfig,
  'allow' | 'deny' | 'connectionsPerSource' | 'newConnectionsPerSource' | 'handshakesPerSource' | 'requestsPerSource'
>

/** The key of `protection` that a source is refused by. */
export type RefusingKey =
  | 'connectionsPerSource'
  | 'newConnectionsPerSource'
  | 'handshakesPerSource'
  | 'requestsPerSource'

/** Decides whether a connection may come in, by what its source has open and has done of late. */
export class SourceAdmission {
  limits: SourceLimits
  /** Where the source of the last connection that came in is counted; `NO_SOURCE` where it is not. */
  place = NO_SOURCE
  /** The key that the last one was refused by, where the log has not told of its source for a while. */
  toTell: RefusingKey | undefined = undefined
  readonly #table: SourceTable

  constructor(table: SourceTable, limits: SourceLimits) {
    this.#table = table
    this.limits = limits
  }

  /** Whether no limit holds for the address of 1 or 4 words at word `at`. */
  isAllowed(family: number, words: Int32Array, at: number): boolean {
    return isInRanges(this.limits.allow.ranges, family, words, at)
  }

  /** 0 for one that may come in, which is counted as open at `place` from now on; else the number of the reason. */
  admit(family: number, words: Int32Array, at: number, steadyMs: number): number {
    const { limits } = this
    this.place = NO_SOURCE
    this.toTell = undefined
    if (isInRanges(limits.deny.ranges, family, words, at)) return REASON.SOURCE_DENIED
    if (this.isAllowed(family, words, at)) return 0
    const table = this.#table
    const high = highOf(family, words, at)
    const low = lowOf(family, words, at)
    const nowS = seconds(steadyMs)
    const place = table.place(high, low, nowS)
    if (place === NO_SOURCE) return 0
    if (table.open(place) >= limits.connectionsPerSource) {
      this.#tell(place, nowS, 'connectionsPerSource')
      return REASON.SOURCE_CONNECTIONS
    }
    if (!this.#take(place, RATE_CONNECTIONS, limits.newConnectionsPerSource, steadyMs)) {
      this.#tell(place, nowS, 'newConnectionsPerSource')
      return REASON.SOURCE_CONNECTION_RATE
    }
    if (table.enter(place, high, low)) this.place = place
    return 0
  }

  /** Whether the source may begin another TLS handshake. */
  mayShakeHands(place: number, steadyMs: number): boolean {
    this.toTell = undefined
    if (place === NO_SOURCE) return true
    if (this.#take(place, RATE_HANDSHAKES, this.limits.handshakesPerSource, steadyMs)) return true
    this.#tell(place, seconds(steadyMs), 'handshakesPerSource')
    return false
  }

  /** Where a source is counted that has no connection of its own; `NO_SOURCE` where no limit holds for it. */
  placeOf(family: number, words: Int32Array, at: number, steadyMs: number): number {
    if (this.isAllowed(family, words, at)) return NO_SOURCE
    return this.#table.place(highOf(family, words, at), lowOf(family, words, at), seconds(steadyMs))
  }

  /** Whether the source may send another request. */
  mayAsk(place: number, steadyMs: number): boolean {
    this.toTell = undefined
    if (place === NO_SOURCE) return true
    if (this.#take(place, RATE_REQUESTS, this.limits.requestsPerSource, steadyMs)) return true
    this.#tell(place, seconds(steadyMs), 'requestsPerSource')
    return false
  }

  #take(place: number, rate: SourceRate, perSecond: number, steadyMs: number): boolean {
    if (perSecond === Number.POSITIVE_INFINITY) return true
    const interval = Math.max(1, Math.round(SECOND_US / perSecond))
    return this.#table.take(place, rate, interval, SECOND_US, (steadyMs * 1000) | 0) === 0
  }

  #tell(place: number, nowS: number, key: RefusingKey): void {
    if (this.#table.tell(place, TELL_EVERY_S, nowS)) this.toTell = key
  }
}

const highOf = (family: number, words: Int32Array, at: number): number => (family === 4 ? V4_KEY : words[at]!)

const lowOf = (family: number, words: Int32Array, at: number): number => (family === 4 ? words[at]! : words[at + 1]!)

const seconds = (steadyMs: number): number => Math.floor(steadyMs / 1000) | 0
