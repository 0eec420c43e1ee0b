import type { BalancerTarget } from '../core/balancer.js'

/**
 * The order in which weighted targets take their turns: each as often as its weight, divided by the weights' greatest
 * common divisor, and so evenly spread that after any k turns no target is a whole turn or more away from its share
 * k × weight / sum. Depends on nothing except the weights and their order, so every thread works out the same.
 *
 * The n-th turn (from 0) of a target that is due every `period` turns must lie in [⌊n × period⌋, ⌈(n + 1) × period⌉).
 * Taking, among the turns whose window has opened, the one whose window closes first, meets every window: the windows
 * are those of proportionate-fair scheduling at full load, which earliest deadline first satisfies.
 *
 * Weights are above 0; fractions are rounded, to 1 at least. O(turns × log targets).
 */
export function smoothSequence(targets: readonly BalancerTarget[]): Int32Array {
  const weights = targets.map((target) => Math.max(1, Math.round(target.weight)))
  const divisor = weights.reduce(greatestCommonDivisor, 0)
  const turns = weights.map((weight) => weight / divisor)
  const length = turns.reduce((sum, count) => sum + count, 0)
  const sequence = new Int32Array(length)
  const taken = new Int32Array(targets.length)
  /** Targets waiting for their window to open: the first by turn, the next by target, −1 at the end. */
  const opensAt = new Int32Array(length + 1).fill(-1)
  const nextOpening = new Int32Array(targets.length).fill(-1)
  const ready = new DeadlineHeap(targets.length)
  const deadline = (index: number): number => Math.ceil(((taken[index]! + 1) * length) / turns[index]!)
  for (let index = 0; index < targets.length; index++) ready.push(index, deadline(index))
  for (let turn = 0; turn < length; turn++) {
    for (let index = opensAt[turn]!; index >= 0; index = nextOpening[index]!) ready.push(index, deadline(index))
    const index = ready.pop()
    sequence[turn] = targets[index]!.slot
    const count = ++taken[index]!
    if (count === turns[index]) continue
    const opens = Math.max(turn + 1, Math.floor((count * length) / turns[index]!))
    nextOpening[index] = opensAt[opens]!
    opensAt[opens] = index
  }
  return sequence
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** A binary heap of target numbers by deadline, equal deadlines by number. */
class DeadlineHeap {
  readonly #keys: Float64Array
  readonly #targets: number
  #size = 0

  constructor(targets: number) {
    this.#targets = targets
    this.#keys = new Float64Array(targets)
  }

  push(index: number, deadline: number): void {
    const keys = this.#keys
    // One number says both: the deadline decides, then the target.
    const key = deadline * this.#targets + index
    let at = this.#size++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (keys[parent]! <= key) break
      keys[at] = keys[parent]!
      at = parent
    }
    keys[at] = key
  }

  pop(): number {
    const keys = this.#keys
    const first = keys[0]!
    const key = keys[--this.#size]!
    let at = 0
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && keys[child + 1]! < keys[child]!) child++
      if (key <= keys[child]!) break
      keys[at] = keys[child]!
      at = child
    }
    keys[at] = key
    return first % this.#targets
  }
}
