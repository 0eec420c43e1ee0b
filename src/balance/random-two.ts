// Hot path: two draws and two in-flight reads a pick, whatever the number of targets; no allocation.
import type { Balancer, BalancerTarget, GroupView, PickKey } from '../core/balancer.js'
import { Derived } from './derived.js'

interface Wheel {
  readonly slots: Int32Array
  readonly weights: Float64Array
  /** `ends[i]` is the sum of the weights up to and with i. */
  readonly ends: Float64Array
}

/**
 * Draws two different targets, each by weight, and takes the one with fewer requests in flight for its weight; the
 * first when they are equal, so that an idle group is shared by weight. Needs no common state, and unlike
 * least-connections the threads do not all run to the same idle target at once.
 */
export class RandomTwo implements Balancer {
  readonly #wheels = new Derived(wheel)
  readonly #random: () => number

  /** `random` returns numbers in [0, 1). */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  pick(view: GroupView, _key: PickKey, tried: readonly number[]): number {
    const wheel = this.#wheels.of(view)
    const { slots, weights, ends } = wheel
    if (slots.length === 0) return -1
    if (tried.length > 0) return this.#pickUntried(view, wheel, tried)
    const total = ends[slots.length - 1]!
    const first = indexAt(ends, this.#random() * total)
    if (slots.length === 1) return slots[first]!
    // The second is drawn from what is left of the wheel when the first one's arc is cut out.
    let point = this.#random() * (total - weights[first]!)
    if (point >= ends[first]! - weights[first]!) point += weights[first]!
    const second = indexAt(ends, point)
    return lighter(view, wheel, first, second)
  }

  /** The same by walking, since arcs are missing: for retries only. */
  #pickUntried(view: GroupView, wheel: Wheel, tried: readonly number[]): number {
    const first = this.#drawWalking(wheel, tried, -1)
    if (first < 0) return -1
    const second = this.#drawWalking(wheel, tried, first)
    return second < 0 ? wheel.slots[first]! : lighter(view, wheel, first, second)
  }

  #drawWalking({ slots, weights }: Wheel, tried: readonly number[], except: number): number {
    let total = 0
    for (let i = 0; i < slots.length; i++) if (i !== except && !tried.includes(slots[i]!)) total += weights[i]!
    let point = this.#random() * total
    let last = -1
    for (let i = 0; i < slots.length; i++) {
      if (i === except || tried.includes(slots[i]!)) continue
      last = i
      point -= weights[i]!
      if (point < 0) break
    }
    return last
  }
}

function wheel(targets: readonly BalancerTarget[]): Wheel {
  const weights = Float64Array.from(targets, (target) => target.weight)
  let sum = 0
  const ends = weights.map((weight) => (sum += weight))
  return { slots: Int32Array.from(targets, (target) => target.slot), weights, ends }
}

/** The first index whose end lies beyond `point`; the last when rounding put the point at the very end. */
function indexAt(ends: Float64Array, point: number): number {
  let low = 0
  let high = ends.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle]! > point) high = middle
    else low = middle + 1
  }
  return low
}

function lighter(view: GroupView, { slots, weights }: Wheel, first: number, second: number): number {
  const firstLoad = view.inFlight(slots[first]!) * weights[second]!
  const secondLoad = view.inFlight(slots[second]!) * weights[first]!
  return slots[secondLoad < firstLoad ? second : first]!
}
