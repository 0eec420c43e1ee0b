// Hot path: one look-up a request in groups whose sessions are learned.
import type { Clock } from '../core/clock.js'
import type { HybridClock, Stamp } from '../core/mesh.js'
import { blankEntry, type SessionKey, type SessionStore } from '../core/session-store.js'
import type { TargetTable } from '../shm/targets.js'

/** A session's time is moved on at most this often, in parts of its time-out: readers must not all become writers. */
const TOUCH_PARTS = 4

/** What learned sessions need of their thread. */
export interface SessionServices {
  readonly store: SessionStore
  readonly table: TargetTable
  readonly clock: Clock
  /** Orders what is written here among what other threads and hosts write. */
  readonly stamps: HybridClock
}

/** Which client goes to which target, remembered for as long as the client keeps coming. One group's, in one thread. */
export class LearnedSessions {
  readonly #store: SessionStore
  readonly #table: TargetTable
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #stamps: HybridClock
  readonly #stamp: Stamp = { high: 0, low: 0 }
  readonly #session = blankEntry()
  /** Whether the last `find` found a session, be its target gone or not. */
  isKnown = false

  constructor({ store, table, clock, stamps }: SessionServices, groupSlot: number, timeoutMs: number) {
    this.#store = store
    this.#table = table
    this.#clock = clock
    this.#stamps = stamps
    this.#timeoutMs = timeoutMs
    this.#session.group = groupSlot
  }

  /** The slot the client's session is on, −1 without one. Being asked for keeps a session alive. */
  find(key: SessionKey): number {
    const nowMs = this.#clock.steadyMs
    this.isKnown = this.#store.find(key)
    if (!this.isKnown) return -1
    const { targetSlot, generation, touchedMs, used } = this.#store.found
    if (targetSlot < 0 || generation !== this.#table.generation(targetSlot)) return -1
    if (!used || nowMs - touchedMs >= this.#timeoutMs / TOUCH_PARTS) this.#store.touch(key, this.#timeoutMs)
    return targetSlot
  }

  /** How often at least `keep` has to be called, so that a session is not forgotten. */
  get keepEveryMs(): number {
    return this.#timeoutMs / TOUCH_PARTS
  }

  /** A connection of the client's is open, which is use. Does nothing for a session that is not there. */
  keep(key: SessionKey): void {
    this.#store.touch(key, this.#timeoutMs)
  }

  /** The client was given to a target, and stays there. */
  remember(key: SessionKey, targetSlot: number): void {
    const nowMs = this.#clock.steadyMs
    const session = this.#session
    session.targetSlot = targetSlot
    session.generation = this.#table.generation(targetSlot)
    session.touchedMs = nowMs
    session.expiresMs = nowMs + this.#timeoutMs
    this.#stamps.next(this.#stamp)
    session.versionHigh = this.#stamp.high
    session.versionLow = this.#stamp.low
    this.#store.put(key, session)
  }
}
