import type { GroupTargets } from '../../src/core/directory.js'
import { ADMIN_ACTIVE } from '../../src/core/target-state.js'
import type { WorkerContext } from '../../src/proxy/worker-context.js'
import { WORKER_TARGET_LISTS } from '../../src/shm/layout.js'
import type { TargetTable } from '../../src/shm/targets.js'
import type { LiveConfiguration } from './live-configuration.js'

/** Ends what goes on with targets whose time is over: draining ones at last, those in maintenance or gone at once. */
export class LeavingTargets {
  readonly #context: WorkerContext
  readonly #table: TargetTable
  readonly #live: LiveConfiguration
  /** Targets whose connections were ended already. */
  readonly #ended = new Set<number>()

  constructor(context: WorkerContext, table: TargetTable, live: LiveConfiguration) {
    this.#context = context
    this.#table = table
    this.#live = live
  }

  /** To be called every now and then, off the hot path. */
  look(): void {
    const { clock, drainables } = this.#context
    const table = this.#table
    for (const set of this.#live.allSets()) {
      for (const { slot, pool } of set.all) {
        if (table.admin(slot) === ADMIN_ACTIVE) {
          this.#ended.delete(slot)
        } else if (!this.#ended.has(slot) && table.drainUntilMs(slot) <= clock.steadyMs) {
          this.#ended.add(slot)
          pool.closeAll()
          for (const session of drainables.now()) session.onTargetRemoved(slot)
        }
      }
    }
  }

  /** A group has these targets now. Of a group that is not there any more the list says nothing. */
  setTargets(list: GroupTargets): void {
    this.replaceTargets(list)
    this.takeOn(list.version)
  }

  /** The same for one of several lists: they are taken on when the last of them is here. */
  replaceTargets(list: GroupTargets): void {
    const { drainables } = this.#context
    for (const { slot, pool } of this.#live.setIn(list.group)?.setTargets(list) ?? []) {
      this.#ended.delete(slot)
      pool.closeAll()
      for (const session of drainables.now()) session.onTargetRemoved(slot)
    }
  }

  /** Whoever reads this may count on nothing being picked here any more that later lists do not have. */
  takeOn(version: number): void {
    const { columns, column } = this.#context
    const at = columns.workerAt(column) + WORKER_TARGET_LISTS
    columns.workerWords[at] = Math.max(columns.workerWords[at]!, version)
  }
}
