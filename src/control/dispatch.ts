// Hot path of the primary: once a connection.

import { RECORD_WORDS } from '../core/connection-record.js'
import type { Columns } from '../shm/columns.js'
import type { ConnectionRing } from '../shm/connection-ring.js'
import { WORKER_CONNECTIONS_ACTIVE, WORKER_SILENT } from '../shm/layout.js'

/** A worker as the dispatcher sees it. */
export interface Worker {
  /** Its column in shared memory. */
  readonly column: number
  readonly ring: ConnectionRing
  /** It takes connections; one that is being started again is passed over while another is there. */
  readonly running: boolean
  /** Says that there is something in the ring. */
  wake(): void
}

/** Puts each connection on the worker with the fewest open, in turn where several have as few. */
export class Dispatcher {
  readonly #columns: Columns
  readonly #workers: readonly Worker[]
  readonly #close: (records: Int32Array, at: number) => void
  readonly #touched: boolean[]
  #turn = 0

  /** `close` is for the connection of a record that nobody has room for. */
  constructor(columns: Columns, workers: readonly Worker[], close: (records: Int32Array, at: number) => void) {
    this.#columns = columns
    this.#workers = workers
    this.#close = close
    this.#touched = workers.map(() => false)
  }

  /** Connections open or on their way, over all workers. */
  get open(): number {
    let total = 0
    for (const worker of this.#workers) total += this.#load(worker)
    return total
  }

  /** Where each ring stands now; for `hasPassed`. */
  mark(): readonly number[] {
    return this.#workers.map(({ ring }) => ring.pushed)
  }

  /** Whether the workers have taken every connection that was on its way to them when the mark was made. */
  hasPassed(mark: readonly number[]): boolean {
    return this.#workers.every(({ ring }, index) => ring.hasTaken(mark[index]!))
  }

  /** Dispatches `count` connection records, then wakes each worker that got some once. */
  dispatch(records: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.#dispatch(records, i * RECORD_WORDS)
    this.#wakeTouched()
  }

  /** Has `count` connections closed that nothing has come on, each worker its share of them; fewer where there are fewer. */
  shed(count: number): void {
    let silent = 0
    for (const worker of this.#workers) silent += this.#silent(worker)
    if (silent === 0) return
    for (const worker of this.#workers) {
      const share = Math.ceil((Math.min(count, silent) * this.#silent(worker)) / silent)
      if (share === 0 || !worker.running) continue
      worker.ring.askToShed(share)
      worker.wake()
    }
  }

  #silent(worker: Worker): number {
    return this.#columns.workerWords[this.#columns.workerAt(worker.column) + WORKER_SILENT]!
  }

  /** A worker died: what it had not taken out of its ring yet goes to the others; its successor gets what they have no room for. */
  replace(dead: Worker): void {
    if (!this.#workers.some((worker) => worker.running && worker !== dead)) return
    for (let at = dead.ring.peek(); at >= 0; at = dead.ring.peek()) {
      const index = this.#choose(dead)
      if (index < 0) break
      const record = dead.ring.words.slice(at, at + RECORD_WORDS)
      dead.ring.advance()
      this.#push(index, record, 0)
    }
    this.#wakeTouched()
  }

  #dispatch(records: Int32Array, at: number): void {
    this.#push(this.#choose(undefined), records, at)
  }

  #push(index: number, records: Int32Array, at: number): void {
    if (index >= 0 && this.#workers[index]!.ring.push(records, at)) this.#touched[index] = true
    else this.#close(records, at)
  }

  /** −1 where every ring is full. `but` is left out. */
  #choose(but: Worker | undefined): number {
    const count = this.#workers.length
    let best = -1
    let bestLoad = Number.POSITIVE_INFINITY
    for (let step = 1; step <= count; step++) {
      const index = (this.#turn + step) % count
      const worker = this.#workers[index]!
      if (worker === but || worker.ring.full) continue
      // One that is starting keeps what it is given until it is there, but is the last choice.
      const load = this.#load(worker) + (worker.running ? 0 : 1e9)
      if (load < bestLoad) {
        best = index
        bestLoad = load
      }
    }
    if (best >= 0) this.#turn = best
    return best
  }

  #load(worker: Worker): number {
    // What is on its way first: one that the worker takes in between is counted twice for a moment rather than not at all.
    const unsettled = worker.ring.unsettled
    const at = this.#columns.workerAt(worker.column)
    return unsettled + this.#columns.workerWords[at + WORKER_CONNECTIONS_ACTIVE]!
  }

  #wakeTouched(): void {
    for (let i = 0; i < this.#touched.length; i++) {
      if (!this.#touched[i]) continue
      this.#touched[i] = false
      this.#workers[i]!.wake()
    }
  }
}
