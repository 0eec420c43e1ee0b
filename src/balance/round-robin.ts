// Hot path: one atomic add and one array read a pick.
import type { Balancer, GroupView, PickKey } from '../core/balancer.js'
import { Derived } from './derived.js'
import { smoothSequence } from './smooth-sequence.js'

/**
 * Weighted round robin, exact over all threads: each pick takes the group's next ticket, and the ticket says whose turn
 * it is in a sequence that every thread derives alike. Another try after a failure takes no ticket but a count of the
 * thread's own: with tickets, two a request, a dead target of two would be the first choice of every request.
 */
export class RoundRobin implements Balancer {
  readonly #sequences = new Derived(smoothSequence)
  #retries = 0

  pick(view: GroupView, _key: PickKey, tried: readonly number[]): number {
    const sequence = this.#sequences.of(view)
    const length = sequence.length
    if (length === 0) return -1
    if (tried.length === 0) return sequence[view.nextTicket() % length]!
    let at = this.#retries++ % length
    for (let step = 0; step < length; step++) {
      const slot = sequence[at]!
      if (!tried.includes(slot)) return slot
      if (++at === length) at = 0
    }
    return -1
  }
}
