// Hot path: frames that cost more than they bring are counted here.
import type { H2FailureReason, H2Limits } from './engine.js'
import { FLOOD, FLOOD_KINDS, FLOODS, type Flood, LIMIT_OF, REASON_OF } from './flood.js'
import type { FloodHistory } from './flood-history.js'

/** A receiver gives windows back for its stream and for the connection, some of them twice a frame. */
const UPDATES_PER_FRAME = 4
/** Whoever estimates the line's bandwidth asks for the time of a round trip with every frame, at the most. */
const PINGS_PER_FRAME = 1

/**
 * Counts what a peer does within a stretch of time, set against the work that was done for it, and says when it is more
 * than its share.
 */
export class FloodMeter {
  readonly #limits: H2Limits
  readonly #history: FloodHistory | undefined
  readonly #counts = new Int32Array(FLOOD_KINDS)
  #sinceMs = 0

  /** `history` is that of the peer's source, where its connections share one. */
  constructor(limits: H2Limits, history: FloodHistory | undefined) {
    this.#limits = limits
    this.#history = history
  }

  /** The peer's source has used up its resets, and is not served before the stretch is over. */
  isSpent(nowMs: number): boolean {
    const { rateWindowMs, maxResets } = this.#limits
    return (this.#history?.spentOf(FLOOD.RESETS, nowMs, rateWindowMs) ?? 0) > maxResets
  }

  /** One more of `what`; the reason to end the connection when that is too many. */
  count(what: Flood, nowMs: number): H2FailureReason | undefined {
    const { rateWindowMs } = this.#limits
    this.#turn(nowMs)
    let count = ++this.#counts[what]!
    const history = this.#history
    if (history !== undefined) {
      if (what === FLOOD.RESETS) count = Math.max(count, history.addResets(1, nowMs, rateWindowMs))
      else count += history.spentOf(what, nowMs, rateWindowMs)
    }
    return count > this.#limits[LIMIT_OF[what]!] ? REASON_OF[what] : undefined
  }

  /** A DATA frame was sent: the peer will give window back for it. One of some size pays for one that is tiny. */
  dataSent(tiny: boolean): void {
    this.#counts[FLOOD.WINDOW_UPDATES]! -= UPDATES_PER_FRAME
    this.#counts[FLOOD.PINGS]! -= PINGS_PER_FRAME
    if (!tiny) this.#counts[FLOOD.TINY]!--
  }

  /** A DATA frame with content was received. */
  dataReceived(): void {
    this.#counts[FLOOD.PINGS]! -= PINGS_PER_FRAME
  }

  /** A request was answered in full: it pays for one that is taken back. */
  streamServed(nowMs: number): void {
    this.#counts[FLOOD.RESETS]!--
    this.#history?.addResets(-1, nowMs, this.#limits.rateWindowMs)
  }

  /** The connection is over; `abandoned` streams were under way that had just been opened, and are as good as reset. */
  leave(nowMs: number, abandoned: number): void {
    const history = this.#history
    if (history === undefined) return
    const { rateWindowMs } = this.#limits
    this.#turn(nowMs)
    if (abandoned > 0) history.addResets(abandoned, nowMs, rateWindowMs)
    for (const what of FLOODS) {
      if (what === FLOOD.RESETS) continue
      history.spend(what, this.#counts[what]!, this.#limits[LIMIT_OF[what]!], nowMs, rateWindowMs)
    }
  }

  #turn(nowMs: number): void {
    if (nowMs - this.#sinceMs < this.#limits.rateWindowMs) return
    this.#sinceMs = nowMs
    this.#counts.fill(0)
  }
}
