import type { GroupTargets } from '../../src/core/directory.js'
import { ADMIN_ACTIVE } from '../../src/core/target-state.js'
import { WORKER_TARGET_LISTS } from '../../src/shm/layout.js'
import type { ProxyThread } from './assemble.js'

/** Ends what goes on with targets whose time is over: draining ones at last, those in maintenance or gone at once. */
export class LeavingTargets {
  readonly #thread: ProxyThread
  /** Targets whose connections were ended already. */
  readonly #ended = new Set<number>()

  /** `lists` are those that the thread's groups were made from. */
  constructor(thread: ProxyThread, lists: readonly GroupTargets[]) {
    this.#thread = thread
    for (const list of lists) this.#takeOn(list.version)
  }

  /** To be called every now and then, off the hot path. */
  look(): void {
    const { context, groups, table } = this.#thread
    for (const group of groups) {
      for (const { slot, pool } of group.all) {
        if (table.admin(slot) === ADMIN_ACTIVE) {
          this.#ended.delete(slot)
        } else if (!this.#ended.has(slot) && table.drainUntilMs(slot) <= context.clock.steadyMs) {
          this.#ended.add(slot)
          pool.closeAll()
          for (const session of [...context.drainables]) session.onTargetRemoved(slot)
        }
      }
    }
  }

  /** A group has these targets now. */
  setTargets(list: GroupTargets): void {
    const { context, groups } = this.#thread
    for (const { slot, pool } of groups[list.group]!.set.setTargets(list)) {
      this.#ended.delete(slot)
      pool.closeAll()
      for (const session of [...context.drainables]) session.onTargetRemoved(slot)
    }
    this.#takeOn(list.version)
  }

  /** Whoever reads this may count on nothing being picked here any more that later lists do not have. */
  #takeOn(version: number): void {
    const { columns, column } = this.#thread.context
    const at = columns.workerAt(column) + WORKER_TARGET_LISTS
    columns.words[at] = Math.max(columns.words[at]!, version)
  }
}
