import { ADMIN_ACTIVE } from '../../src/core/target-state.js'
import type { ProxyThread } from './assemble.js'

/** Ends what goes on with a draining target once its time is over, and with one in maintenance at once. */
export class LeavingTargets {
  readonly #thread: ProxyThread
  /** Targets whose connections were ended already. */
  readonly #ended = new Set<number>()

  constructor(thread: ProxyThread) {
    this.#thread = thread
  }

  /** To be called every now and then, off the hot path. */
  look(): void {
    const { plane, groups, table } = this.#thread
    for (const group of groups) {
      for (const { slot, pool } of group.all) {
        if (table.admin(slot) === ADMIN_ACTIVE) {
          this.#ended.delete(slot)
        } else if (!this.#ended.has(slot) && table.drainUntilMs(slot) <= plane.clock.wallMs) {
          this.#ended.add(slot)
          pool.closeAll()
          for (const session of [...plane.sessions]) session.leave(slot)
        }
      }
    }
  }
}
