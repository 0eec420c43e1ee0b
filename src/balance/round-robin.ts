// Hot path: one atomic add and one array read a pick.
import type { Balancer, GroupView, PickKey } from '../core/balancer.js'
import { Derived } from './derived.js'
import { smoothSequence } from './smooth-sequence.js'

/**
 * Weighted round robin, exact over all threads: each pick takes the group's next ticket, and the ticket says whose turn
 * it is in a sequence that every thread derives alike. Targets that were tried are stepped over on the same ticket.
 */
export class RoundRobin implements Balancer {
  readonly #sequences = new Derived(smoothSequence)

  pick(view: GroupView, _key: PickKey, tried: readonly number[]): number {
    const sequence = this.#sequences.of(view)
    const length = sequence.length
    if (length === 0) return -1
    let at = view.nextTicket() % length
    if (tried.length === 0) return sequence[at]!
    for (let step = 0; step < length; step++) {
      const slot = sequence[at]!
      if (!tried.includes(slot)) return slot
      if (++at === length) at = 0
    }
    return -1
  }
}
