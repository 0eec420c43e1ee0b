// Hot path: every connection, and every request that comes by HTTP/2, is entered here and struck off.
import type { Listener } from './listener.js'

/** A connection being served, as whoever drains or stops the thread sees it. */
export interface Drainable {
  /** Whose connection it is: listeners leave one by one. */
  readonly listener: Listener
  /** Its place, −1 to begin with; it belongs to `Drainables`. */
  drainablesPlace: number
  /** Take no new request; end as soon as nothing is in flight. */
  drain(): void
  /** The target's time is over: end whatever goes on with it. */
  onTargetRemoved(targetSlot: number): void
  /** End now. */
  cut(): void
}

/**
 * What a thread serves, in no order. Not a `Set`: that makes itself anew after some deletions, and the old one points to the
 * new one, so that dead connections are kept alive by one that is in the old generation.
 */
export class Drainables {
  readonly #all: Drainable[] = []

  get size(): number {
    return this.#all.length
  }

  /** Does nothing with one that is in here. */
  add(drainable: Drainable): void {
    if (drainable.drainablesPlace < 0) drainable.drainablesPlace = this.#all.push(drainable) - 1
  }

  /** Does nothing with one that is not in here. */
  delete(drainable: Drainable): void {
    const place = drainable.drainablesPlace
    if (place < 0) return
    drainable.drainablesPlace = -1
    const last = this.#all.pop()!
    if (last === drainable) return
    this.#all[place] = last
    last.drainablesPlace = place
  }

  /** As of now, to be walked through while some come and go. */
  now(): Drainable[] {
    return this.#all.slice()
  }
}
