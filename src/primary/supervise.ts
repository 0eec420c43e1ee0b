import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { RECORD_FD } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { FromProxy, ProxyTask, ToProxy } from '../core/messages.js'
import type { Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import { ConnectionRing, createConnectionRing } from '../shm/connection-ring.js'
import { backoffMs, countEarlyDeaths } from './backoff.js'
import type { Place } from './place.js'

/** For a port that nobody closes, since the thread's file could not be loaded. */
const PORT_GRACE_MS = 250

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
  readonly waker: { open(): number; wake(fd: number): void; close(fd: number): void } | undefined
  onMessage(message: FromProxy, reply: (message: ToProxy) => void): void
  /** A worker died: its counters are retired already. */
  onDeath(slot: WorkerSlot): void
  /** For a connection that no worker took before the end. */
  discard(fd: number): void
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
  readonly #stop = new AbortController()
  #destroyed = false

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
    this.#stop.abort()
    this.broadcast({ type: 'drain', timeoutMs })
    await Promise.all(this.#ended)
  }

  /** Ends every thread now and gives back what they had. Idempotent. */
  async destroy(): Promise<void> {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#stop.abort()
    await this.#pool.destroy()
    await Promise.all(this.#ended)
    for (const { ring, wakerFd } of this.slots) {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        this.#given.discard(ring.words[at + RECORD_FD]!)
        ring.advance()
      }
      if (wakerFd >= 0) this.#given.waker?.close(wakerFd)
    }
  }

  /** Runs tasks in the slot one after the other, until one ends because it was told to. */
  async #keepRunning(slot: WorkerSlot, ready: () => void, failed: (cause: unknown) => void): Promise<void> {
    for (;;) {
      try {
        await this.#run(slot, ready)
        if (!this.#stopping) throw new CastorError('WORKER_DIED', 'a proxy thread ended without being told to')
        slot.state = 'stopped'
        return
      } catch (cause) {
        const first = slot.restarts === 0 && slot.state === 'starting'
        this.#bury(slot, cause)
        if (first) failed(cause)
        if (!this.#stopping) await pause(backoffMs(slot.earlyDeaths), this.#stop.signal)
        if (this.#stopping) {
          slot.state = 'stopped'
          return
        }
      }
    }
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted
  }

  async #run(slot: WorkerSlot, ready: () => void): Promise<void> {
    const { port1: ours, port2: theirs } = new MessageChannel()
    const closed = once(ours, 'close')
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
      if (this.#stopping) return
      await this.#pool.run(task, { transferList: [theirs] })
    } finally {
      slot.port = undefined
      // The thread's end closes the port behind the last log lines it sent; only then is all that it held let go of.
      await Promise.race([closed, setTimeout(PORT_GRACE_MS, undefined, { ref: false })])
      ours.close()
    }
  }

  /** The thread is gone, its sockets with it; what it left in shared memory is put in order. */
  #bury(slot: WorkerSlot, err: unknown): void {
    const livedMs = Math.round(performance.now() - slot.startedMs)
    slot.state = 'restarting'
    this.#given.columns.retire(slot.column)
    // It was made to end.
    if (this.#destroyed) return
    slot.restarts++
    slot.earlyDeaths = countEarlyDeaths(slot.earlyDeaths, livedMs)
    this.#given.log.error({ err, worker: slot.column, livedMs }, 'a proxy thread died; its connections are lost')
    this.#given.onDeath(slot)
  }
}

/** Resolves early when the signal says so. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return setTimeout(ms, undefined, { signal }).catch(() => {})
}
