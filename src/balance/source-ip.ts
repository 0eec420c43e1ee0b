// Hot path: one hash and one logarithm a target and pick, no allocation.
import type { Balancer, BalancerTarget, GroupView, PickKey } from '../core/balancer.js'
import { Derived } from './derived.js'
import { hashText, mix } from './hash.js'

interface Candidates {
  readonly slots: Int32Array
  readonly hashes: Int32Array
  readonly weights: Float64Array
}

/**
 * The same client address, the same target, on every host: weighted rendezvous hashing over the client's whole address
 * and the targets' ids. Each target draws a number in (0, 1) for the client, and the least of −ln(number) / weight
 * wins, which gives every target a share of clients by its weight. When a target leaves, only its clients move, spread
 * over the others by weight; when one comes, it only takes. A target that was tried gives way to the client's next best.
 */
export class SourceIp implements Balancer {
  readonly #candidates = new Derived(candidates)

  pick(view: GroupView, key: PickKey, tried: readonly number[]): number {
    const { slots, hashes, weights } = this.#candidates.of(view)
    const client = mix(hashText(key.client.address))
    let best = -1
    let bestHash = 0
    let bestScore = Number.POSITIVE_INFINITY
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!
      if (tried.length > 0 && tried.includes(slot)) continue
      const hash = hashes[i]!
      const draw = (mix(client ^ hash) + 0.5) / 2 ** 32
      const score = -Math.log(draw) / weights[i]!
      // Equal scores go by hash, because hosts may list the targets in another order.
      if (score > bestScore || (score === bestScore && hash > bestHash)) continue
      best = slot
      bestHash = hash
      bestScore = score
    }
    return best
  }
}

function candidates(targets: readonly BalancerTarget[]): Candidates {
  return {
    slots: Int32Array.from(targets, (target) => target.slot),
    hashes: Int32Array.from(targets, (target) => mix(hashText(target.id))),
    weights: Float64Array.from(targets, (target) => target.weight),
  }
}
