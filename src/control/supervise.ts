import type { Piscina } from 'piscina'
import type { WorkerFacts } from '../admin/facts.js'
import type { FromProxy, ProxyTask, ToProxy } from '../core/messages.js'
import type { Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import { ConnectionRing, createConnectionRing } from '../shm/connection-ring.js'
import type { Worker } from './dispatch.js'
import { openTaskPool, SupervisedThread } from './supervised-thread.js'
import type { Watchdog } from './watchdog.js'
import { within } from './within.js'

/** `stuck`: its thread is given up and being ended. */
export type SlotState = 'starting' | 'running' | 'stuck' | 'restarting' | 'stopped'

/** What a worker may take beyond the time of a drain: for cutting what is left, and its last log lines. */
const DRAIN_GRACE_MS = 2_000

/** What the supervisor needs of the primary. */
export interface Supervised {
  readonly workerFile: string
  readonly workers: number
  readonly columns: Columns
  readonly watchdog: Watchdog
  readonly log: Logger
  /** Makes a worker's task, all except what the slot brings; called anew for each start. */
  task(column: number): Promise<Omit<ProxyTask, 'column' | 'inbox' | 'port'>>
  /** With the addon: descriptors travel through rings, and this wakes a worker. Without: workers listen themselves. */
  readonly waker: { open(): number; wake(fd: number): void; close(fd: number): void } | undefined
  onMessage(message: FromProxy, reply: (message: ToProxy) => void): void
  /** A worker died: its counters are retired already. */
  onDeath(slot: WorkerSlot): void
  /** For a connection that no worker took before the end. */
  discard(records: Int32Array, at: number): void
}

/** One worker's place in the process; outlives the threads that fill it. */
export class WorkerSlot implements Worker {
  readonly column: number
  readonly shared = createConnectionRing()
  readonly ring = new ConnectionRing(this.shared)
  readonly wakerFd: number
  state: SlotState = 'starting'
  /** Its thread stands still just now. */
  isSuspect = false
  restarts = 0
  /** Of those, after how many the thread had been stuck. */
  stuck = 0
  readonly #wakeFd: (fd: number) => void

  constructor(column: number, wakerFd: number, wakeFd: (fd: number) => void) {
    this.column = column
    this.wakerFd = wakerFd
    this.#wakeFd = wakeFd
  }

  get running(): boolean {
    return this.state === 'running' && !this.isSuspect
  }

  wake(): void {
    this.#wakeFd(this.wakerFd)
  }
}

/** Keeps one proxy task running in each slot: as long as the process lives, or until told to drain. */
export class Supervisor {
  readonly slots: readonly WorkerSlot[]
  readonly #given: Supervised
  readonly #pool: Piscina
  readonly #kept: readonly SupervisedThread<ToProxy, FromProxy>[]
  /** By slot: what `start` waits for. */
  readonly #waiting = new Map<WorkerSlot, { ready(): void; failed(cause: unknown): void }>()
  #destroyed = false

  constructor(given: Supervised) {
    this.#given = given
    const { waker } = given
    this.slots = Array.from(
      { length: given.workers },
      (_, index) => new WorkerSlot(index + 1, waker?.open() ?? -1, (fd) => waker?.wake(fd)),
    )
    this.#pool = openTaskPool(given.workerFile, given.workers, given.log)
    this.#kept = this.slots.map((slot) => this.#keep(slot))
  }

  get facts(): readonly WorkerFacts[] {
    return this.slots.map(({ column, state, restarts, stuck }) => ({
      id: column,
      state: state === 'stopped' ? 'restarting' : state,
      restarts,
      stuck,
    }))
  }

  /** Starts every worker; resolves when all are ready to take connections. Rejects when one dies before that. */
  async start(): Promise<void> {
    const all = this.slots.map(
      (slot) => new Promise<void>((ready, failed) => this.#waiting.set(slot, { ready, failed })),
    )
    this.#kept.forEach((kept, index) => {
      kept.start()
      // Each by itself: who has drained must not be given another's connections.
      void kept.ended.then(() => (this.slots[index]!.state = 'stopped'))
    })
    await Promise.all(all)
  }

  broadcast(message: ToProxy): void {
    for (const kept of this.#kept) kept.send(message)
  }

  /** A message of its own for each worker, by its place. */
  tellEach(message: (index: number) => ToProxy): void {
    this.#kept.forEach((kept, index) => {
      kept.send(message(index))
    })
  }

  /** Lets every worker finish what it has in flight, `timeoutMs` long at the most, also where one has stopped to turn. */
  async drain(timeoutMs: number, idleGraceMs: number): Promise<void> {
    for (const kept of this.#kept) kept.stop()
    this.broadcast({ type: 'drain', timeoutMs, idleGraceMs })
    await within(timeoutMs + DRAIN_GRACE_MS, Promise.all(this.#kept.map(({ ended }) => ended)))
  }

  /** Ends every thread now and gives back what they had. Idempotent. */
  async destroy(): Promise<void> {
    if (this.#destroyed) return
    this.#destroyed = true
    for (const kept of this.#kept) kept.stop()
    await this.#pool.destroy()
    await Promise.all(this.#kept.map(({ ended }) => ended))
    for (const { ring, wakerFd } of this.slots) {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        this.#given.discard(ring.words, at)
        ring.advance()
      }
      if (wakerFd >= 0) this.#given.waker?.close(wakerFd)
    }
  }

  #keep(slot: WorkerSlot): SupervisedThread<ToProxy, FromProxy> {
    const { column, wakerFd } = slot
    const inbox = wakerFd >= 0 ? { inbox: { ring: slot.shared, wakerFd } } : {}
    return new SupervisedThread<ToProxy, FromProxy>({
      pool: this.#pool,
      watchdog: this.#given.watchdog,
      name: `proxy-${column}`,
      row: column,
      onSuspect: (isSuspect) => {
        slot.isSuspect = isSuspect
      },
      onStuck: () => {
        slot.state = 'stuck'
      },
      task: async (): Promise<Omit<ProxyTask, 'port'>> => ({ ...(await this.#given.task(column)), column, ...inbox }),
      onMessage: (message, reply) => {
        if (message.type !== 'ready') {
          this.#given.onMessage(message, reply)
          return
        }
        slot.state = 'running'
        this.#waiting.get(slot)?.ready()
      },
      onDeath: (cause, livedMs) => this.#onWorkerExit(slot, cause, livedMs),
    })
  }

  /** The thread is gone, its sockets with it; what it left in shared memory is put in order. */
  #onWorkerExit(slot: WorkerSlot, err: unknown, livedMs: number): void {
    const first = slot.restarts === 0 && slot.state === 'starting'
    const wasStuck = slot.state === 'stuck'
    slot.state = 'restarting'
    this.#given.columns.retire(slot.column)
    // It was made to end.
    if (!this.#destroyed) {
      slot.restarts++
      if (wasStuck) slot.stuck++
      const reason = wasStuck ? 'stuck' : 'died'
      this.#given.log.error(
        { ...(wasStuck ? {} : { err }), worker: slot.column, livedMs, reason },
        'a proxy thread died; its connections are lost',
      )
      this.#given.onDeath(slot)
    }
    if (first) this.#waiting.get(slot)?.failed(err)
  }
}
