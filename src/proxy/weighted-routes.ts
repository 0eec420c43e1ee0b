// Hot path: one step per request.
import { smoothSequence } from '../balance/smooth-sequence.js'
import { RULE_REQUESTS } from '../shm/layout.js'
import type { SlotCounters } from '../shm/slot-counters.js'
import type { Route } from './route.js'

/** The routes of one rule, taken in turn by weight, as evenly spread as they can be. Each thread has turns of its own. */
export class WeightedRoutes {
  /** Those with a weight, without order. */
  readonly all: readonly Route[]
  readonly #sequence: Int32Array
  #turn = 0
  readonly #words: Float64Array
  /** The word of the rule's requests in the thread's column. */
  readonly #at: number

  /** At least one weight is above 0. Requests are counted in the thread's `column` of the rule's counters. */
  constructor(
    routes: readonly { readonly route: Route; readonly weight: number }[],
    counters: SlotCounters,
    column: number,
  ) {
    this.#words = counters.words
    this.#at = counters.at(column) + RULE_REQUESTS
    const weighted = routes.filter(({ weight }) => weight > 0)
    this.all = weighted.map(({ route }) => route)
    this.#sequence =
      weighted.length === 1
        ? Int32Array.of(0)
        : smoothSequence(weighted.map(({ weight }, slot) => ({ slot, weight, id: String(slot) })))
  }

  /** The route of one more request that matches. */
  next(): Route {
    this.#words[this.#at]!++
    const turn = this.#turn
    this.#turn = turn + 1 === this.#sequence.length ? 0 : turn + 1
    return this.all[this.#sequence[turn]!]!
  }
}
