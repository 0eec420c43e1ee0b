// Hot path: one look-up a request in groups whose sessions are learned.
import type { Clock } from '../core/clock.js'
import { blankSession, type SessionKey, type SessionStore } from '../core/session-store.js'
import type { TargetTable } from '../shm/targets.js'

/** A session's time is moved on at most this often, in parts of its time-out: readers must not all become writers. */
const TOUCH_PARTS = 4

/** Which client goes to which target, remembered for as long as the client keeps coming. One group's, in one thread. */
export class LearnedSessions {
  readonly #store: SessionStore
  readonly #table: TargetTable
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #session = blankSession()

  constructor(store: SessionStore, table: TargetTable, clock: Clock, groupSlot: number, timeoutMs: number) {
    this.#store = store
    this.#table = table
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#session.group = groupSlot
  }

  /** The slot the client's session is on, −1 without one. Being asked for keeps a session alive. */
  find(key: SessionKey): number {
    const nowMs = this.#clock.wallMs
    if (!this.#store.find(key)) return -1
    const { targetSlot, generation, touchedMs } = this.#store.found
    if (generation !== this.#table.generation(targetSlot)) return -1
    if (nowMs - touchedMs >= this.#timeoutMs / TOUCH_PARTS) this.#store.touch(key, this.#timeoutMs)
    return targetSlot
  }

  /** The client was given to a target, and stays there. */
  remember(key: SessionKey, targetSlot: number): void {
    const nowMs = this.#clock.wallMs
    const session = this.#session
    session.targetSlot = targetSlot
    session.generation = this.#table.generation(targetSlot)
    session.touchedMs = nowMs
    session.expiresMs = nowMs + this.#timeoutMs
    session.versionHigh = Math.floor(nowMs / 2 ** 32)
    session.versionLow = nowMs >>> 0
    this.#store.put(key, session)
  }
}
