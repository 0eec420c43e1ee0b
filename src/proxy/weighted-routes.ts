// Hot path: one step per request.
import { smoothSequence } from '../balance/smooth-sequence.js'
import type { RoutedRequest } from '../route/conditions.js'
import { RULE_REQUESTS } from '../shm/layout.js'
import type { SlotCounters } from '../shm/slot-counters.js'
import type { SplitCookie } from '../sticky/split-cookie.js'
import type { Route } from './route.js'

/** Where the requests of a rule are counted: in the thread's `column`. */
export interface RulePlace {
  readonly counters: SlotCounters
  readonly column: number
}

export interface WeightedRoute {
  readonly route: Route
  readonly weight: number
}

/**
 * The routes of one rule, taken in turn by weight, as evenly spread as they can be, and where clients are to stay on their
 * side, by their cookie. Each thread has turns of its own.
 */
export class WeightedRoutes {
  /** Those with a weight, without order. */
  readonly all: readonly Route[]
  readonly #sequence: Int32Array
  /** Its sides are those of `all`. */
  readonly #split: SplitCookie | undefined
  readonly #words: Float64Array
  /** The word of the rule's requests in the thread's column. */
  readonly #at: number
  #turn = 0

  /** At least one weight is above 0. */
  constructor(routes: readonly WeightedRoute[], { counters, column }: RulePlace, split?: SplitCookie) {
    const weighted = routes.filter(({ weight }) => weight > 0)
    this.all = weighted.map(({ route }) => route)
    this.#sequence =
      weighted.length === 1
        ? Int32Array.of(0)
        : smoothSequence(weighted.map(({ weight }, slot) => ({ slot, weight, id: String(slot) })))
    this.#split = split
    this.#words = counters.words
    this.#at = counters.at(column) + RULE_REQUESTS
  }

  /** The route of one more request that matches. */
  next(request: RoutedRequest): Route {
    this.#words[this.#at]!++
    return this.#split === undefined ? this.#takeTurn() : this.#side(this.#split, request)
  }

  #takeTurn(): Route {
    const turn = this.#turn
    this.#turn = turn + 1 === this.#sequence.length ? 0 : turn + 1
    return this.all[this.#sequence[turn]!]!
  }

  /** The client's own, or where it has none that could serve it, the next that can. */
  #side(split: SplitCookie, { parser, buffer, start }: RoutedRequest): Route {
    const side = split.sideOf(parser, buffer, start)
    const own = side < 0 ? undefined : this.all[side]!
    if (own?.group.hasChoosable) return own
    let route = this.#takeTurn()
    for (let i = 1; i < this.#sequence.length && !route.group.hasChoosable; i++) route = this.#takeTurn()
    return route
  }
}
