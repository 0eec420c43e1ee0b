// Hot path: reads every target's in-flight count once a pick; no allocation once a group's size has been seen.
import type { Balancer, GroupView, PickKey } from '../core/balancer.js'

/**
 * The target that would be least loaded with one more: the minimum of (in flight + 1) / weight. Equals take turns by
 * ticket, so that an idle group does not always begin with its first target.
 */
export class LeastConnections implements Balancer {
  #equals = new Int32Array(16)

  pick(view: GroupView, _key: PickKey, tried: readonly number[]): number {
    const { targets } = view
    if (targets.length > this.#equals.length) this.#equals = new Int32Array(targets.length * 2)
    const equals = this.#equals
    let count = 0
    let leastLoad = 0
    let leastWeight = 1
    for (let i = 0; i < targets.length; i++) {
      const { slot, weight } = targets[i]!
      if (!(weight > 0) || tried.includes(slot)) continue
      const load = view.inFlight(slot) + 1
      // Multiplied crosswise: quotients of equal loads could differ in their last bit.
      const difference = load * leastWeight - leastLoad * weight
      if (count > 0 && difference > 0) continue
      if (count > 0 && difference === 0) {
        equals[count++] = slot
        continue
      }
      leastLoad = load
      leastWeight = weight
      equals[0] = slot
      count = 1
    }
    if (count === 0) return -1
    return count === 1 ? equals[0]! : equals[view.nextTicket() % count]!
  }
}
