import type { Logger } from '../observe/log.js'
import { type Heartbeats, PRIMARY_ROW } from '../shm/heartbeats.js'
import { pollMs, Silence } from '../shm/silence.js'

/** Loading a thread's modules and making its tables takes a fraction of this, also on a host that is busy. */
const START_LIMIT_MS = 30_000
/** After this share of the limit nothing new is given to the thread. */
const SUSPECT_SHARE = 0.25

/** A thread that is watched; each of its starts anew. */
export interface WatchedThread {
  readonly name: string
  readonly row: number
  /** A thread runs, or is being started. */
  readonly alive: boolean
  /** It stands still, not long enough to give it up; or has turned again. */
  suspect?(isSuspect: boolean): void
  /** It is given up. Resolves with false when it cannot be ended. */
  end(silentMs: number): Promise<boolean>
}

interface Entry {
  readonly thread: WatchedThread
  readonly silence: Silence
  isSuspect: boolean
  isEnding: boolean
}

/** Sees to threads that have not turned their loop for `limitMs`; docs/adr has why it is made like this. */
export class Watchdog {
  readonly heartbeats: Heartbeats
  readonly #limitMs: number
  readonly log: Logger
  readonly #onUnendable: (name: string) => void
  readonly #entries: Entry[] = []
  #looking: NodeJS.Timeout | undefined
  #lastLookMs = 0

  /** `limitMs` 0 = off. `onUnendable`: the thread is stuck where not even the engine can end it. */
  constructor(heartbeats: Heartbeats, limitMs: number, log: Logger, onUnendable: (name: string) => void) {
    this.heartbeats = heartbeats
    this.#limitMs = limitMs
    this.log = log
    this.#onUnendable = onUnendable
  }

  watch(thread: WatchedThread): void {
    this.#entries.push({ thread, silence: new Silence(), isSuspect: false, isEnding: false })
  }

  start(): void {
    this.heartbeats.beat(PRIMARY_ROW)
    this.#lastLookMs = performance.now()
    this.#looking = setInterval(() => this.#look(), pollMs(this.#limitMs)).unref()
  }

  stop(): void {
    clearInterval(this.#looking)
  }

  #look(): void {
    const nowMs = performance.now()
    const sinceMs = nowMs - this.#lastLookMs
    this.#lastLookMs = nowMs
    this.heartbeats.beat(PRIMARY_ROW)
    if (this.#limitMs === 0) return
    for (const entry of this.#entries) this.#check(entry, sinceMs)
  }

  #check(entry: Entry, sinceMs: number): void {
    const { thread, silence } = entry
    if (entry.isEnding) return
    if (!thread.alive) {
      silence.reset()
      this.#suspect(entry, false)
      return
    }
    const turns = this.heartbeats.turns(thread.row)
    const silentMs = silence.look(turns, sinceMs, pollMs(this.#limitMs))
    const limitMs = turns === 0 ? Math.max(this.#limitMs, START_LIMIT_MS) : this.#limitMs
    if (silentMs >= limitMs) void this.#end(entry, silentMs)
    else this.#suspect(entry, turns !== 0 && silentMs >= limitMs * SUSPECT_SHARE)
  }

  #suspect(entry: Entry, isSuspect: boolean): void {
    if (entry.isSuspect === isSuspect) return
    entry.isSuspect = isSuspect
    entry.thread.suspect?.(isSuspect)
  }

  async #end(entry: Entry, silentMs: number): Promise<void> {
    const { thread, silence } = entry
    entry.isEnding = true
    const shown = { thread: thread.name, silentMs: Math.round(silentMs) }
    this.log.error(shown, 'a thread is stuck: its loop has not turned for so long; it is ended and replaced')
    if (!(await thread.end(silentMs))) {
      this.#onUnendable(thread.name)
      return
    }
    silence.reset()
    entry.isEnding = false
    this.#suspect(entry, false)
  }
}
