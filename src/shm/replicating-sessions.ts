// Hot path of replicated sticky groups: a look-up goes straight through; what changes is told to the mesh thread.
import type { HybridClock, Stamp } from '../core/mesh.js'
import {
  blankEntry,
  type SessionCounts,
  type SessionKey,
  type SessionPage,
  type SessionStore,
  type StickyEntry,
  type WriteOutcome,
} from '../core/session-store.js'
import { EVICTED_SLOT, type Outbox } from './outbox.js'

/** A store whose changes go to the other hosts as well. Nobody waits for them: a record in shared memory is all it takes. */
export class ReplicatingSessions implements SessionStore {
  readonly #store: SessionStore
  readonly #outbox: Outbox
  readonly #clock: HybridClock
  readonly #stamp: Stamp = { high: 0, low: 0 }
  readonly #gone = blankEntry()
  readonly #eviction: Readonly<StickyEntry> = { ...blankEntry(), targetSlot: EVICTED_SLOT }

  constructor(store: SessionStore, outbox: Outbox, clock: HybridClock) {
    this.#store = store
    this.#outbox = outbox
    this.#clock = clock
  }

  get capacity(): number {
    return this.#store.capacity
  }

  get found(): Readonly<StickyEntry> {
    return this.#store.found
  }

  get lastEvicted(): SessionKey | undefined {
    return this.#store.lastEvicted
  }

  find(key: SessionKey): boolean {
    return this.#store.find(key)
  }

  put(key: SessionKey, session: Readonly<StickyEntry>): WriteOutcome {
    const outcome = this.#store.put(key, session)
    if (outcome === 'done') this.#outbox.write(key, session)
    const evicted = this.#store.lastEvicted
    if (evicted !== undefined) this.#outbox.write(evicted, this.#eviction)
    return outcome
  }

  touch(key: SessionKey, timeoutMs: number): WriteOutcome {
    const outcome = this.#store.touch(key, timeoutMs)
    if (outcome === 'done' && this.#store.find(key)) this.#outbox.write(key, this.#store.found)
    return outcome
  }

  /** What is dropped leaves a mark until it would have expired: on other hosts an older write must not bring it back. */
  drop(key: SessionKey, versionHigh?: number, versionLow?: number): WriteOutcome {
    if (!this.#store.find(key)) return 'absent'
    const { found } = this.#store
    const gone = this.#gone
    gone.group = found.group
    gone.targetSlot = -1
    gone.generation = 0
    gone.expiresMs = found.expiresMs
    gone.touchedMs = found.touchedMs
    if (versionHigh !== undefined && versionLow !== undefined) {
      gone.versionHigh = versionHigh
      gone.versionLow = versionLow
    } else {
      this.#clock.next(this.#stamp)
      gone.versionHigh = this.#stamp.high
      gone.versionLow = this.#stamp.low
    }
    return this.put(key, gone)
  }

  scan(cursor: number, limit: number, group: number): SessionPage {
    return this.#store.scan(cursor, limit, group)
  }

  sweep(places: number): number {
    return this.#store.sweep(places)
  }

  resize(capacity: number): void {
    this.#store.resize(capacity)
  }

  counts(): SessionCounts {
    return this.#store.counts()
  }
}
