import type { ListedTarget } from '../core/directory.js'
import { ADMIN_ACTIVE } from '../core/target-state.js'
import { isPassing } from '../health/availability.js'
import type { TargetTable } from '../shm/targets.js'

interface GroupOf<T> {
  readonly targets: readonly T[]
  /** Nobody uses it any more. */
  readonly isLeaving: boolean
}

type ReadTable = Pick<TargetTable, 'admin' | 'check' | 'weight'>

interface Replacement {
  /** Threads that know this version know what comes in its place. */
  readonly version: number
  /** What its weight is to be, 0; undefined where the target is to leave. */
  readonly weight: number | undefined
}

/**
 * Targets that a file takes out, or takes the weight from, and that serve on until another one can serve in their place: until
 * every thread knows the others and one of them has passed its first check. Otherwise a file that replaces all targets of a
 * group would leave it without any for a moment.
 */
export class ReplacedTargets<T extends ListedTarget> {
  readonly #table: ReadTable
  readonly #replaced = new Map<T, Replacement>()

  constructor(table: ReadTable) {
    this.#table = table
  }

  /** `weight` as of Replacement. */
  add(target: T, version: number, weight?: number): void {
    this.#replaced.set(target, { version, weight })
  }

  /** Whether it is one, and is to leave. */
  isToLeave(target: T): boolean {
    const replacement = this.#replaced.get(target)
    return replacement !== undefined && replacement.weight === undefined
  }

  /** As it will be. */
  weightOf(target: T): number {
    return this.#replaced.get(target)?.weight ?? this.#table.weight(target.slot)
  }

  /** It is to keep its weight, or is given another one. */
  forgetWeight(target: T): void {
    if (this.#replaced.get(target)?.weight !== undefined) this.#replaced.delete(target)
  }

  /** False where it was none that is to leave. */
  forgetLeaving(target: T): boolean {
    return this.isToLeave(target) && this.#replaced.delete(target)
  }

  forget(target: T): void {
    this.#replaced.delete(target)
  }

  /**
   * Those that nothing depends on any more; they are forgotten. `known` is the version that every thread has taken on.
   */
  *done(known: number, groupOf: (target: T) => GroupOf<T>): Generator<[T, number | undefined]> {
    for (const [target, { version, weight }] of this.#replaced) {
      const { targets, isLeaving } = groupOf(target)
      if (version > known || (!isLeaving && this.#isWaitedFor(targets))) continue
      this.#replaced.delete(target)
      yield [target, weight]
    }
  }

  /** Whether some of the targets have not passed a check that are to take traffic, and no other one takes any. */
  #isWaitedFor(targets: readonly T[]): boolean {
    let isWaitedFor = false
    for (const target of targets) {
      const { slot, leavesMs, address } = target
      const isOut = leavesMs !== undefined || this.#table.admin(slot) !== ADMIN_ACTIVE || this.weightOf(target) === 0
      if (isOut || address === '') continue
      if (isPassing(this.#table, slot)) return false
      isWaitedFor = true
    }
    return isWaitedFor
  }
}
