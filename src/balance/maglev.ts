// Hot path: one hash and one look-up a pick. The table is made off it, when the view changes.
import type { Balancer, BalancerTarget, GroupView, PickKey } from '../core/balancer.js'
import { Derived } from './derived.js'
import { hashText, mix } from './hash.js'

/** A prime, over a hundred times the largest group that should be split evenly to within a percent. */
export const TABLE_SIZE = 65_537

/**
 * Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): each target walks the table in an order of its own and
 * takes free places in turn, as often as its weight says, so that the table is filled evenly and hardly changes when a
 * target comes or goes. The same on every host, because only ids and weights decide. A target that was tried gives way
 * to the next other one in the table.
 */
export class Maglev implements Balancer {
  readonly #tables = new Derived(maglevTable)

  prepare(view: GroupView): void {
    this.#tables.of(view)
  }

  pick(view: GroupView, key: PickKey, tried: readonly number[]): number {
    const table = this.#tables.of(view)
    if (table.length === 0) return -1
    const hash = key.hash >= 0 ? key.hash : hashText(key.client.address)
    const start = mix(hash) % TABLE_SIZE
    if (tried.length === 0) return table[start]!
    for (let i = 0, at = start; i < TABLE_SIZE; i++) {
      const slot = table[at]!
      if (!tried.includes(slot)) return slot
      if (++at === TABLE_SIZE) at = 0
    }
    return -1
  }
}

/** Slots by place; empty without targets. */
export function maglevTable(targets: readonly BalancerTarget[]): Int32Array {
  if (targets.length === 0) return new Int32Array(0)
  // Hosts may list targets in another order: only ids may decide who chooses first.
  const sorted = [...targets].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  const heaviest = sorted.reduce((most, target) => Math.max(most, target.weight), 0)
  const offsets = sorted.map((target) => mix(hashText(target.id)) % TABLE_SIZE)
  const skips = sorted.map((target) => (mix(hashText(`skip ${target.id}`)) % (TABLE_SIZE - 1)) + 1)
  const credits = sorted.map(() => 0)
  const table = new Int32Array(TABLE_SIZE).fill(-1)
  const places = [...offsets]
  for (let filled = 0; ; ) {
    for (let i = 0; i < sorted.length; i++) {
      credits[i]! += sorted[i]!.weight
      if (credits[i]! < heaviest) continue
      credits[i]! -= heaviest
      let place = places[i]!
      while (table[place] !== -1) place = (place + skips[i]!) % TABLE_SIZE
      table[place] = sorted[i]!.slot
      places[i] = (place + skips[i]!) % TABLE_SIZE
      if (++filled === TABLE_SIZE) return table
    }
  }
}
