import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { FromProxy, ProxyTask, ToProxy } from '../core/messages.js'
import type { Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import { ConnectionRing, createConnectionRing } from '../shm/connection-ring.js'
import type { Place } from './place.js'

/** A worker that lived at least this long is started again at once. */
const HEALTHY_MS = 10_000
const FIRST_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 10_000

export type SlotState = 'starting' | 'running' | 'restarting' | 'stopped'

/** What the supervisor needs of the primary. */
export interface Supervised {
  readonly workerFile: string
  readonly workers: number
  readonly columns: Columns
  readonly log: Logger
  /** Makes a worker's task, all but what the slot brings; called anew for each start. */
  task(column: number): Promise<Omit<ProxyTask, 'column' | 'inbox' | 'port'>>
  /** With the addon: descriptors travel through rings, and this wakes a worker. Without: workers listen themselves. */
  readonly waker: { open(): number; wake(fd: number): void } | undefined
  onMessage(message: FromProxy, reply: (message: ToProxy) => void): void
  /** A worker died: its counters are retired already. */
  onDeath(slot: WorkerSlot): void
}

/** One worker's place in the process; outlives the threads that fill it. */
export class WorkerSlot implements Place {
  readonly column: number
  readonly shared = createConnectionRing()
  readonly ring = new ConnectionRing(this.shared)
  readonly wakerFd: number
  state: SlotState = 'starting'
  restarts = 0
  /** Deaths in a row that came soon after the start. */
  earlyDeaths = 0
  startedMs = 0
  port: MessagePort | undefined
  readonly #wakeFd: (fd: number) => void

  constructor(column: number, wakerFd: number, wakeFd: (fd: number) => void) {
    this.column = column
    this.wakerFd = wakerFd
    this.#wakeFd = wakeFd
  }

  get running(): boolean {
    return this.state === 'running'
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
  readonly #ended: Promise<void>[] = []
  #stopping = false

  constructor(given: Supervised) {
    this.#given = given
    const { waker } = given
    this.slots = Array.from(
      { length: given.workers },
      (_, index) => new WorkerSlot(index + 1, waker?.open() ?? -1, (fd) => waker?.wake(fd)),
    )
    this.#pool = new Piscina({
      filename: given.workerFile,
      minThreads: given.workers,
      maxThreads: given.workers,
      concurrentTasksPerWorker: 1,
      // Waiting on memory would freeze the sockets of a thread between two tasks.
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      // The primary's arguments are none of the threads' business.
      argv: [],
    })
    this.#pool.on('error', (err) => given.log.error({ err }, 'the thread pool reports an error'))
  }

  /** Starts every worker; resolves when all are ready to take connections. Rejects when one dies before that. */
  async start(): Promise<void> {
    await Promise.all(
      this.slots.map(
        (slot) =>
          new Promise<void>((ready, failed) => {
            this.#ended.push(this.#keepRunning(slot, ready, failed))
          }),
      ),
    )
  }

  broadcast(message: ToProxy): void {
    for (const slot of this.slots) slot.port?.postMessage(message)
  }

  /** Lets every worker finish what it has in flight, `timeoutMs` long at the most. */
  async drain(timeoutMs: number): Promise<void> {
    this.#stopping = true
    this.broadcast({ type: 'drain', timeoutMs })
    await Promise.all(this.#ended)
  }

  async destroy(): Promise<void> {
    this.#stopping = true
    await this.#pool.destroy()
  }

  /** Runs tasks in the slot one after the other, until one ends because it was told to. */
  async #keepRunning(slot: WorkerSlot, ready: () => void, failed: (cause: unknown) => void): Promise<void> {
    for (;;) {
      try {
        await this.#run(slot, ready)
        slot.state = 'stopped'
        return
      } catch (cause) {
        const first = slot.restarts === 0 && slot.state === 'starting'
        this.#bury(slot, cause)
        if (this.#stopping) {
          slot.state = 'stopped'
          return
        }
        if (first) failed(cause)
        await pause(this.#backoffMs(slot))
        if (this.#stopping) return
      }
    }
  }

  async #run(slot: WorkerSlot, ready: () => void): Promise<void> {
    const { port1: ours, port2: theirs } = new MessageChannel()
    slot.port = ours
    slot.startedMs = performance.now()
    ours.on('message', (message: FromProxy) => {
      if (message.type === 'ready') {
        slot.state = 'running'
        ready()
      } else {
        this.#given.onMessage(message, (reply) => ours.postMessage(reply))
      }
    })
    try {
      const task: ProxyTask = {
        ...(await this.#given.task(slot.column)),
        column: slot.column,
        ...(slot.wakerFd >= 0 ? { inbox: { ring: slot.shared, wakerFd: slot.wakerFd } } : {}),
        port: theirs,
      }
      await this.#pool.run(task, { transferList: [theirs] })
    } finally {
      slot.port = undefined
      ours.close()
    }
  }

  /** The thread is gone, its sockets with it; what it left in shared memory is put in order. */
  #bury(slot: WorkerSlot, err: unknown): void {
    const livedMs = Math.round(performance.now() - slot.startedMs)
    slot.state = 'restarting'
    slot.restarts++
    slot.earlyDeaths = livedMs >= HEALTHY_MS ? 0 : slot.earlyDeaths + 1
    this.#given.columns.retire(slot.column)
    this.#given.log.error({ err, worker: slot.column, livedMs }, 'a proxy thread died; its connections are lost')
    this.#given.onDeath(slot)
  }

  /** At once the first time; a thread that keeps dying as soon as it starts must not take the processor with it. */
  #backoffMs(slot: WorkerSlot): number {
    if (slot.earlyDeaths <= 1) return 0
    return Math.min(FIRST_BACKOFF_MS * 2 ** (slot.earlyDeaths - 2), MAX_BACKOFF_MS)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
