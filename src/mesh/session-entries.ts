import { type Clock, steadyTime, wallTime } from '../core/clock.js'
import type { MergeOutcome, SessionEntry } from '../core/mesh.js'
import { blankEntry, type SessionKey, type SessionStore, type StickyEntry } from '../core/session-store.js'
import { keyOf } from '../shm/sessions-scan.js'
import { replaces } from './merge-order.js'

/** What this host's slots are called by all hosts. */
export interface TargetNames {
  groupOf(groupSlot: number): string | undefined
  /** −1 for a group that this host does not have. */
  groupSlot(group: string): number
  /** The id, where the slot still is what it was in that generation. */
  targetOf(slot: number, generation: number): string | undefined
  /** −1 for a target that this host does not have. */
  targetSlot(group: string, target: string): number
  generation(slot: number): number
}

/**
 * Between sessions as this host keeps them, by slot and in its own steady time, and as hosts tell each other of them, by
 * name and in time since the epoch.
 */
export class SessionEntries {
  readonly #store: SessionStore
  readonly #names: TargetNames
  readonly #clock: Clock
  readonly #onEvicted: (key: SessionKey) => void
  readonly #session = blankEntry()

  /** `onEvicted`: what came from another host pushed this session out, which `store` has no room for. */
  constructor(store: SessionStore, names: TargetNames, clock: Clock, onEvicted: (key: SessionKey) => void) {
    this.#store = store
    this.#names = names
    this.#clock = clock
    this.#onEvicted = onEvicted
  }

  has(key: SessionKey): boolean {
    return this.#store.find(key)
  }

  /** Undefined for a session whose group or target is no longer there. */
  entryOf(key: SessionKey, session: Readonly<StickyEntry>): SessionEntry | undefined {
    const group = this.#names.groupOf(session.group)
    const target = session.targetSlot < 0 ? '' : this.#names.targetOf(session.targetSlot, session.generation)
    if (group === undefined || target === undefined) return undefined
    const { versionHigh: high, versionLow: low } = session
    const expiresMs = Math.round(wallTime(session.expiresMs, this.#clock))
    const touchedMs = Math.round(wallTime(session.touchedMs, this.#clock))
    return { kind: 'session', key: Int32Array.from(key), group, target, expiresMs, touchedMs, high, low }
  }

  current(entry: SessionEntry): SessionEntry | undefined {
    return this.#store.find(entry.key) ? this.entryOf(entry.key, this.#store.found) : undefined
  }

  merge(entry: SessionEntry): MergeOutcome {
    if (entry.expiresMs <= this.#clock.wallMs) return 'known'
    const known = this.current(entry)
    if (known !== undefined && !replaces(entry, known)) return replaces(known, entry) ? 'older' : 'known'
    const group = this.#names.groupSlot(entry.group)
    const slot = entry.target === '' ? -1 : this.#names.targetSlot(entry.group, entry.target)
    if (group < 0 || (slot < 0 && entry.target !== '')) return 'unknown-target'
    const session = this.#session
    session.group = group
    session.targetSlot = slot
    session.generation = slot < 0 ? 0 : this.#names.generation(slot)
    // Half a millisecond, so that what is translated there and back stays what it was.
    session.expiresMs = steadyTime(entry.expiresMs + 0.5, this.#clock)
    session.touchedMs = steadyTime(entry.touchedMs + 0.5, this.#clock)
    session.versionHigh = entry.high
    session.versionLow = entry.low
    // The same write again, with a later use: only that can replace what is known under an equal stamp.
    session.used = known !== undefined
    // Between the look and the write a worker may have written something newer: the store then keeps that.
    const outcome = this.#store.put(entry.key, session)
    if (this.#store.lastEvicted !== undefined) this.#onEvicted(this.#store.lastEvicted)
    return outcome === 'done' ? 'news' : 'known'
  }

  page(cursor: number, limit: number, sinceMs: number): { entries: readonly SessionEntry[]; next: number } {
    const page = this.#store.scan(cursor, limit, -1)
    const entries: SessionEntry[] = []
    for (const row of page.sessions) {
      if (row.touchedMs < sinceMs) continue
      const entry = this.entryOf(keyOf(row.key), row)
      if (entry !== undefined) entries.push(entry)
    }
    return { entries, next: page.next }
  }
}
