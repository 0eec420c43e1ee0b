import { FLOOD, FLOOD_KINDS, type Flood } from './flood.js'

/** Of each limit, the share that a connection uses without leaving a trace: handshakes and short visits are free. */
const FREE_SHARE = 0.1

/**
 * What the connections of one source have spent of their limits, so that a new connection renews nothing. Resets are one
 * budget for all connections of the source at once. Of everything else a connection has a budget of its own, and what a
 * connection that is over had used counts for the others within the same stretch of time.
 */
export class FloodHistory {
  #sinceMs = 0
  /** Of resets, what is beyond the work that was done for the source; below 0 where that is more. */
  readonly #spent = new Int32Array(FLOOD_KINDS)

  /** True when what is counted here is over and forgotten. */
  isStale(nowMs: number, windowMs: number): boolean {
    return nowMs - this.#sinceMs >= windowMs
  }

  spentOf(what: Flood, nowMs: number, windowMs: number): number {
    return this.isStale(nowMs, windowMs) ? 0 : this.#spent[what]!
  }

  /** More or fewer resets; answers how many there are now. */
  addResets(change: number, nowMs: number, windowMs: number): number {
    this.#turn(nowMs, windowMs)
    return (this.#spent[FLOOD.RESETS]! += change)
  }

  /** A connection is over that counted `count` of `what`, of which `limit` were allowed. */
  spend(what: Flood, count: number, limit: number, nowMs: number, windowMs: number): void {
    const beyond = count - Math.floor(limit * FREE_SHARE)
    if (beyond <= 0) return
    this.#turn(nowMs, windowMs)
    this.#spent[what]! += beyond
  }

  #turn(nowMs: number, windowMs: number): void {
    if (!this.isStale(nowMs, windowMs)) return
    this.#sinceMs = nowMs
    this.#spent.fill(0)
  }
}
