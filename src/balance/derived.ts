import type { BalancerTarget, GroupView } from '../core/balancer.js'

interface Kept<T> {
  readonly version: number
  readonly value: T
}

/** What a balancer works out from a group's targets, kept until the group's version changes. */
export class Derived<T> {
  readonly #derive: (targets: readonly BalancerTarget[]) => T
  readonly #byGroup: (Kept<T> | undefined)[] = []

  /** `derive` gets the targets that may be chosen at all: those with a weight above 0, in config order. */
  constructor(derive: (targets: readonly BalancerTarget[]) => T) {
    this.#derive = derive
  }

  of(view: GroupView): T {
    const kept = this.#byGroup[view.groupSlot]
    if (kept !== undefined && kept.version === view.version) return kept.value
    const value = this.#derive(view.targets.filter((target) => target.weight > 0))
    this.#byGroup[view.groupSlot] = { version: view.version, value }
    return value
  }
}
