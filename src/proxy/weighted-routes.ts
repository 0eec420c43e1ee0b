// Hot path: one step per request.
import { smoothSequence } from '../balance/smooth-sequence.js'
import type { Route } from './route.js'

/** The routes of one rule, taken in turn by weight, as evenly spread as they can be. Each thread has turns of its own. */
export class WeightedRoutes {
  /** Those with a weight, without order. */
  readonly all: readonly Route[]
  readonly #sequence: Int32Array
  #turn = 0

  /** At least one weight is above 0. */
  constructor(routes: readonly { readonly route: Route; readonly weight: number }[]) {
    const weighted = routes.filter(({ weight }) => weight > 0)
    this.all = weighted.map(({ route }) => route)
    this.#sequence =
      weighted.length === 1
        ? Int32Array.of(0)
        : smoothSequence(weighted.map(({ weight }, slot) => ({ slot, weight, id: String(slot) })))
  }

  next(): Route {
    const turn = this.#turn
    this.#turn = turn + 1 === this.#sequence.length ? 0 : turn + 1
    return this.all[this.#sequence[turn]!]!
  }
}
