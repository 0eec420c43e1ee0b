import { ManualClock } from '../../../src/core/clock.js'
import type {
  SessionCounts,
  SessionKey,
  SessionPage,
  SessionStore,
  StickyEntry,
  WriteOutcome,
} from '../../../src/core/session-store.js'

/** A store whose tests say at each call what time it is, in milliseconds from 0. */
export class TimedSessions {
  readonly store: SessionStore
  readonly #clock: ManualClock

  constructor(make: (clock: ManualClock) => SessionStore) {
    this.#clock = new ManualClock(0, 0)
    this.store = make(this.#clock)
  }

  get found(): Readonly<StickyEntry> {
    return this.store.found
  }

  get capacity(): number {
    return this.store.capacity
  }

  find(key: SessionKey, nowMs: number): boolean {
    return this.#at(nowMs).find(key)
  }

  put(key: SessionKey, session: Readonly<StickyEntry>, nowMs: number): WriteOutcome {
    return this.#at(nowMs).put(key, session)
  }

  touch(key: SessionKey, nowMs: number, timeoutMs: number): WriteOutcome {
    return this.#at(nowMs).touch(key, timeoutMs)
  }

  drop(key: SessionKey, nowMs: number, versionHigh?: number, versionLow?: number): WriteOutcome {
    return this.#at(nowMs).drop(key, versionHigh, versionLow)
  }

  scan(cursor: number, limit: number, nowMs: number, group: number): SessionPage {
    return this.#at(nowMs).scan(cursor, limit, group)
  }

  sweep(nowMs: number, places: number): number {
    return this.#at(nowMs).sweep(places)
  }

  counts(): SessionCounts {
    return this.store.counts()
  }

  #at(nowMs: number): SessionStore {
    this.#clock.nowMs = nowMs
    return this.store
  }
}
