import type { BalancerTarget, GroupView, PickKey } from '../../../src/core/balancer.js'

/** A view that a test can change: targets by weight, in-flight counts, and its own ticket counter. */
export class TestView implements GroupView {
  readonly groupSlot: number
  version = 1
  targets: readonly BalancerTarget[]
  tickets = 0
  readonly #inFlight = new Map<number, number>()
  /** Response times by slot; 0 where nothing is known. */
  readonly latencies = new Map<number, number>()

  /** Slots are 10, 20, 30 …, so that they cannot pass for indexes. */
  constructor(weights: readonly number[], groupSlot = 0) {
    this.groupSlot = groupSlot
    this.targets = TestView.#make(weights)
  }

  static #make(weights: readonly number[]): BalancerTarget[] {
    return weights.map((weight, i) => ({ slot: (i + 1) * 10, id: `10.0.0.${i + 1}:8080`, weight }))
  }

  /** Replaces the targets, as a config or health change does. */
  change(weights: readonly number[]): void {
    this.targets = TestView.#make(weights)
    this.version++
  }

  load(slot: number, by: number): void {
    this.#inFlight.set(slot, this.inFlight(slot) + by)
  }

  inFlight(slot: number): number {
    return this.#inFlight.get(slot) ?? 0
  }

  latencyMs(slot: number): number {
    return this.latencies.get(slot) ?? 0
  }

  nextTicket(): number {
    return this.tickets++ >>> 0
  }
}

/** A different client each time. */
export function client(n: number): PickKey {
  return { client: { family: 4, address: `198.51.${(n >> 8) & 255}.${n & 255}`, port: 1 + (n % 65_535) }, hash: -1 }
}

export const SOMEONE: PickKey = client(7)

/** How often each slot occurs. */
export function tally(slots: Iterable<number>): Map<number, number> {
  const counts = new Map<number, number>()
  for (const slot of slots) counts.set(slot, (counts.get(slot) ?? 0) + 1)
  return counts
}
