// Hot path: once per request where any request is limited.
import type { SourceTable } from '../shm/source-table.js'
import { NO_SOURCE, RATE_REQUESTS } from '../shm/source-table.js'

/** In place of the first half of an address: what is counted there is a listener. */
const LISTENER_KEY = 0xfffe
/** A second, in units that leave a rate of a million as it is; the table counts them modulo 2^32. */
const SECOND = 16_000_000
const TICKS_PER_MS = SECOND / 1_000

/** Takes from what a listener may be asked for each second. All threads take from the same. */
export class ListenerRates {
  readonly #table: SourceTable

  constructor(table: SourceTable) {
    this.#table = table
  }

  /** Whether the listener in that slot may take another request. */
  take(slot: number, perSecond: number, steadyMs: number): boolean {
    if (perSecond === Number.POSITIVE_INFINITY) return true
    const place = this.#table.place(LISTENER_KEY, slot, Math.floor(steadyMs / 1_000) | 0)
    if (place === NO_SOURCE) return true
    const interval = Math.max(1, Math.round(SECOND / perSecond))
    return this.#table.take(place, RATE_REQUESTS, interval, SECOND, (steadyMs * TICKS_PER_MS) | 0) === 0
  }
}
