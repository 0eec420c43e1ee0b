import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { CastorError } from '../core/errors.js'
import { FAULT } from '../observe/guard.js'
import type { Logger } from '../observe/log.js'
import { backoffMs, countEarlyDeaths } from './backoff.js'
import type { Watchdog, WatchedThread } from './watchdog.js'

/** For a port that nobody closes, since the thread's file could not be loaded. */
const PORT_GRACE_MS = 250
/**
 * Ending a thread that runs JavaScript takes milliseconds where there is processor time. Waited for in small steps: a
 * process that was suspended meanwhile has waited for one of them only.
 */
const TERMINATE_STEPS = 30
const TERMINATE_STEP_MS = 100

/** Threads that run one task each, for as long as it lasts. */
export function openTaskPool(file: string, threads: number, log: Logger): Piscina {
  const pool = new Piscina({
    filename: file,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: 1,
    // Waiting on memory would freeze the sockets of a thread between two tasks.
    atomics: 'disabled',
    idleTimeout: Number.POSITIVE_INFINITY,
    // The primary's arguments are none of the threads' business.
    argv: [],
  })
  pool.on('error', (err) => log.error({ err }, 'the thread pool reports an error'))
  return pool
}

/** What is kept running, and whom it concerns. */
export interface ThreadSpec<To, From> {
  readonly pool: Piscina
  readonly watchdog: Watchdog
  /** As in log lines. */
  readonly name: string
  /** Where the thread shows that it turns. */
  readonly row: number
  /** What the thread is given, all except its end of the port; called anew for each start. `again`: there was one before. */
  task(again: boolean): object | Promise<object>
  onMessage(message: From, reply: (message: To) => void): void
  /** The thread is gone, and with it all that it had not given away; another is started unless it was told to end. */
  onDeath(cause: unknown, livedMs: number): void
  /** Whether the thread stands still just now. */
  onSuspect?(isSuspect: boolean): void
  /** It is given up: its death follows. */
  onStuck?(silentMs: number): void
}

/** Runs a task in a thread, one after the other when one dies, until told that the next end is the last. */
export class SupervisedThread<To, From> implements WatchedThread {
  /** The last one has ended. */
  ended: Promise<void> = Promise.resolve()
  readonly #kept: ThreadSpec<To, From>
  readonly #last = new AbortController()
  #port: MessagePort | undefined
  /** Deaths in a row that came soon after the start. */
  #earlyDeaths = 0

  constructor(kept: ThreadSpec<To, From>) {
    this.#kept = kept
    kept.watchdog.watch(this)
  }

  get name(): string {
    return this.#kept.name
  }

  get row(): number {
    return this.#kept.row
  }

  get stopping(): boolean {
    return this.#last.signal.aborted
  }

  start(): void {
    this.ended = this.#keepRunning()
  }

  /** Lost while no thread is running. */
  send(message: To): void {
    this.#port?.postMessage(message)
  }

  /** A thread runs, or is being started. */
  get alive(): boolean {
    return this.#port !== undefined
  }

  suspect(isSuspect: boolean): void {
    this.#kept.onSuspect?.(isSuspect)
  }

  /** Ends the thread by force, which is a death like any other; false when it is still there after three seconds. */
  async end(silentMs: number): Promise<boolean> {
    const { pool, watchdog, row } = this.#kept
    this.#kept.onStuck?.(silentMs)
    const threadId = watchdog.heartbeats.threadId(row)
    const thread = threadId === 0 ? undefined : pool.threads.find((candidate) => candidate.threadId === threadId)
    // One that hangs before the first line of its task cannot be told from others.
    if (thread === undefined) return !this.alive
    const ended = thread.terminate().then(() => true)
    for (let step = 0; step < TERMINATE_STEPS; step++) {
      if (await Promise.race([ended, setTimeout(TERMINATE_STEP_MS, false, { ref: false })])) return true
    }
    return false
  }

  /** No other is started. The thread goes on until it ends by itself: tell it to. */
  stop(): void {
    this.#last.abort()
  }

  async #keepRunning(): Promise<void> {
    for (let again = false; ; again = true) {
      const startedMs = performance.now()
      try {
        await this.#run(again)
        if (!this.stopping) throw new CastorError('WORKER_DIED', 'a thread ended without being told to')
        return
      } catch (cause) {
        const livedMs = Math.round(performance.now() - startedMs)
        this.#earlyDeaths = countEarlyDeaths(this.#earlyDeaths, livedMs)
        this.#kept.onDeath(cause, livedMs)
        if (!this.stopping) await pause(backoffMs(this.#earlyDeaths), this.#last.signal)
        if (this.stopping) return
      }
    }
  }

  /** A fault in what a message leads to is not the process's end. */
  #onMessage(message: From, port: MessagePort): void {
    try {
      this.#kept.onMessage(message, (reply) => port.postMessage(reply))
    } catch (err) {
      this.#kept.watchdog.log.error({ err, what: `a message of ${this.name}` }, FAULT)
    }
  }

  async #run(again: boolean): Promise<void> {
    const { port1: ours, port2: theirs } = new MessageChannel()
    const closed = once(ours, 'close')
    this.#kept.watchdog.heartbeats.clear(this.#kept.row)
    this.#port = ours
    ours.on('message', (message: From) => this.#onMessage(message, ours))
    try {
      const task = { ...(await this.#kept.task(again)), port: theirs }
      if (this.stopping) return
      await this.#kept.pool.run(task, { transferList: [theirs] })
    } finally {
      this.#port = undefined
      // The thread's end closes the port behind the last log lines it sent; only then is all that it held let go of.
      await Promise.race([closed, setTimeout(PORT_GRACE_MS, undefined, { ref: false })])
      ours.close()
    }
  }
}

/** Resolves early when the signal says so. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return setTimeout(ms, undefined, { signal }).catch(() => {})
}
