// Hot path: asked once a dial.
import type { Columns } from './columns.js'
import { WORKER_DIALS_STARVED, WORKER_DIALS_WAITING, WORKER_UPSTREAM_SOCKETS } from './layout.js'

const LITTLE = 1 / 4

/**
 * One thread's view of the sockets to targets that all threads together may have. Each counts its own in its column, and
 * adds up everybody's when it wants one more: several that do so at the same moment may overshoot by one each, for which
 * the process keeps descriptors in reserve.
 */
export class SharedSocketBudget {
  readonly #columns: Columns
  readonly #max: number
  readonly #usedAt: number
  readonly #waitingAt: number
  readonly #starvedAt: number
  readonly #used: number
  readonly #waiting: number
  readonly #starved: number

  constructor(columns: Columns, column: number, max: number) {
    this.#columns = columns
    this.#max = max
    this.#used = WORKER_UPSTREAM_SOCKETS
    this.#waiting = WORKER_DIALS_WAITING
    this.#starved = WORKER_DIALS_STARVED
    this.#starvedAt = columns.workerAt(column) + this.#starved
    this.#usedAt = columns.workerAt(column) + this.#used
    this.#waitingAt = columns.workerAt(column) + this.#waiting
  }

  get free(): number {
    return this.#max - this.#columns.sumOfWorkers(this.#used)
  }

  /**
   * Dials of any thread wait, and little is free or the system has no sockets: whoever has idle connections should give
   * some up.
   */
  get wanted(): boolean {
    if (this.#columns.sumOfWorkers(this.#waiting) === 0) return false
    return this.free <= this.#max * LITTLE || this.#columns.sumOfWorkers(this.#starved) > 0
  }

  use(change: 1 | -1): void {
    this.#columns.workerWords[this.#usedAt]! += change
  }

  wait(change: 1 | -1, starved: boolean): void {
    this.#columns.workerWords[this.#waitingAt]! += change
    if (starved) this.#columns.workerWords[this.#starvedAt]! += change
  }
}
