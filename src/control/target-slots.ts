import type { SegmentMessage } from '../core/messages.js'
import type { Columns } from '../shm/columns.js'
import { WORKER_TARGET_LISTS } from '../shm/layout.js'
import type { TargetTable } from '../shm/targets.js'
import { growTables } from './grow-tables.js'
import { LeftSlots } from './left-slots.js'

/**
 * Which places for targets in shared memory are free. A place that a target has left is free again only when nobody
 * refers to it: every proxy thread and the probe thread has taken on a list of targets without it, no request is with it
 * and no connection to it is open. What may outlive that, a client's session, names the place with its generation.
 */
export class TargetSlots {
  readonly #columns: Columns
  readonly #table: TargetTable
  /** Those never used come first, then those that have been free for longest. */
  readonly #free: number[]
  readonly #tell: (message: SegmentMessage) => void
  /** Slots from here on are in nobody's list yet. */
  #known: number
  readonly #left: LeftSlots

  /** `tell` reaches every thread. */
  constructor(columns: Columns, table: TargetTable, tell: (message: SegmentMessage) => void) {
    this.#columns = columns
    this.#table = table
    this.#tell = tell
    this.#known = columns.capacity.targets
    this.#left = new LeftSlots({
      isQuiet: (slot) => columns.isTargetQuiet(slot),
      clear: (slot) => columns.clearTarget(slot),
    })
    this.#free = Array.from({ length: this.#known }, (_, slot) => slot)
  }

  /** Grows the tables where no place is free. @throws RangeError when there is no memory for that. */
  take(): number {
    const free = this.#free.shift()
    if (free !== undefined) return free
    const [columns, table] = [this.#columns, this.#table]
    growTables({ targets: this.#known + 1 }, { columns, table }, this.#tell)
    const { targets } = columns.capacity
    for (; this.#known < targets; this.#known++) this.#free.push(this.#known)
    return this.#free.shift()!
  }

  /** The target in the slot is gone, from lists of this version on. */
  onTargetRemoved(slot: number, version: number): void {
    this.#left.add(slot, version)
  }

  /** To be called every now and then: frees what nobody refers to any more. */
  look(): void {
    this.#left.look(this.known, (slot) => this.#free.push(slot))
  }

  /** The version that every thread has taken on. A worker that is being replaced has none until it is back. */
  get known(): number {
    return Math.min(this.#table.probeLists, this.#columns.leastOfWorkers(WORKER_TARGET_LISTS))
  }
}
