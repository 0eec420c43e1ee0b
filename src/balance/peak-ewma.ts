// Hot path: reads every target's latency and in-flight count once a pick; no allocation.
import type { Balancer, GroupView, PickKey } from '../core/balancer.js'

/** Stands in for the latency of a target that nobody has asked yet: small, so that it is soon asked. */
const UNKNOWN_MS = 0.1

/**
 * The target with the least expected wait: its response time, averaged with a memory that fades and jumps up at once on
 * a slow answer, times the requests it would then have in flight, by weight. Equals take turns by ticket.
 */
export class PeakEwma implements Balancer {
  pick(view: GroupView, _key: PickKey, tried: readonly number[]): number {
    const { targets } = view
    if (targets.length === 0) return -1
    // Begins at another place each time, so that of equals not always the first is chosen.
    const start = view.nextTicket() % targets.length
    let best = -1
    let bestCost = Number.POSITIVE_INFINITY
    for (let i = 0, at = start; i < targets.length; i++) {
      const { slot, weight } = targets[at]!
      if (++at === targets.length) at = 0
      if (!(weight > 0) || tried.includes(slot)) continue
      const cost = ((view.latencyMs(slot) + UNKNOWN_MS) * (view.inFlight(slot) + 1)) / weight
      if (cost >= bestCost) continue
      best = slot
      bestCost = cost
    }
    return best
  }
}
