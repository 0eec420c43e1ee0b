import type { Clock } from '../../src/core/clock.js'
import type { GroupTargets, TargetSlot } from '../../src/core/directory.js'
import { CHECK_UNCHECKED } from '../../src/core/target-state.js'
import type { Checker } from '../../src/health/checker.js'
import type { TargetTable } from '../../src/shm/targets.js'

/** A target as the last list had it: its address may change while it is checked. */
export interface CurrentTarget {
  placed: TargetSlot
}

interface Checked {
  readonly target: CurrentTarget
  /** Undefined in a group without checks. */
  readonly checker: Checker | undefined
}

/** The targets that there are and their checks, kept up with the lists that the primary sends. */
export class CheckedTargets {
  readonly #check: (target: CurrentTarget) => Checker | undefined
  readonly #table: TargetTable
  readonly #clock: Clock
  readonly #bySlot = new Map<number, Checked>()
  /** By group slot. */
  readonly #lists = new Map<number, GroupTargets>()

  constructor(check: (target: CurrentTarget) => Checker | undefined, table: TargetTable, clock: Clock) {
    this.#check = check
    this.#clock = clock
    this.#table = table
  }

  /** Begins with those that are new and ends with those that are gone. Resolves when the new ones have been checked once. */
  async setTargets(list: GroupTargets): Promise<void> {
    const before = this.#lists.get(list.group)
    if (before !== undefined && list.version <= before.version) return
    this.#lists.set(list.group, list)
    const now = new Map(list.targets.map((placed) => [placed.slot, placed]))
    for (const { slot, generation } of before?.targets ?? []) {
      if (now.get(slot)?.generation === generation) continue
      this.#bySlot.get(slot)?.checker?.stop()
      this.#bySlot.delete(slot)
    }
    const first: Promise<void>[] = []
    for (const placed of list.targets) {
      const known = this.#bySlot.get(placed.slot)
      if (known !== undefined) {
        known.target.placed = placed
        continue
      }
      const target = { placed }
      const checker = this.#check(target)
      this.#bySlot.set(placed.slot, { target, checker })
      if (checker !== undefined) first.push(checker.start())
    }
    this.takeOn(list.version)
    await Promise.all(first)
  }

  /** All lists up to this version are known: nothing is written for what they do not have any more. */
  takeOn(version: number): void {
    this.#table.probeLists = Math.max(this.#table.probeLists, version)
  }

  /**
   * The targets of the group are checked otherwise from here on, or not any more: then what the checks said last does not
   * hold. Resolves when each has been checked once in the new way.
   */
  async checkAnew(group: number): Promise<void> {
    const first: Promise<void>[] = []
    for (const { slot } of this.#lists.get(group)?.targets ?? []) {
      const { target, checker } = this.#bySlot.get(slot)!
      checker?.stop()
      const next = this.#check(target)
      this.#bySlot.set(slot, { target, checker: next })
      if (next !== undefined) first.push(next.start())
      else this.#table.setCheck(slot, CHECK_UNCHECKED, 0, this.#clock.steadyMs)
    }
    await Promise.all(first)
  }

  /** Somebody may want targets checked sooner than their turn comes. */
  look(): void {
    for (const { checker } of this.#bySlot.values()) checker?.look()
  }

  stop(): void {
    for (const { checker } of this.#bySlot.values()) checker?.stop()
  }
}
