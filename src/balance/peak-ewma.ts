// Hot path: reads every target's latency and in-flight count once a pick; no allocation.
import type { Balancer, GroupView, PickKey } from '../core/balancer.js'

/** So that a target which answers in no time still costs more the busier it is. */
const LEAST_MS = 0.1

/**
 * The target with the least expected wait: its response time, averaged with a memory that fades and jumps up at once on
 * a slow answer, times the requests it would then have in flight, by weight. Equals take turns by ticket. A target of
 * which nothing is known gets one request to find out; until that is answered it counts as the group's average.
 */
export class PeakEwma implements Balancer {
  pick(view: GroupView, _key: PickKey, tried: readonly number[]): number {
    const { targets } = view
    if (targets.length === 0) return -1
    // Begins at another place each time, so that of equals not always the first is chosen.
    const start = view.nextTicket() % targets.length
    let averageMs = -1
    let best = -1
    let bestCost = Number.POSITIVE_INFINITY
    for (let i = 0, at = start; i < targets.length; i++) {
      const { slot, weight } = targets[at]!
      if (++at === targets.length) at = 0
      if (!(weight > 0) || tried.includes(slot)) continue
      const inFlight = view.inFlight(slot)
      let latencyMs = view.latencyMs(slot)
      if (latencyMs === 0 && inFlight > 0) {
        if (averageMs < 0) averageMs = averageOf(view)
        latencyMs = averageMs
      }
      const cost = ((latencyMs + LEAST_MS) * (inFlight + 1)) / weight
      if (cost >= bestCost) continue
      best = slot
      bestCost = cost
    }
    return best
  }
}

/** Over the targets of which something is known; harmonic, so that one that is failing hardly counts. */
function averageOf(view: GroupView): number {
  const { targets } = view
  let known = 0
  let sum = 0
  for (let i = 0; i < targets.length; i++) {
    const latencyMs = view.latencyMs(targets[i]!.slot)
    if (latencyMs === 0) continue
    known++
    sum += 1 / latencyMs
  }
  return known === 0 ? 0 : known / sum
}
