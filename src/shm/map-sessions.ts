import type { Clock } from '../core/clock.js'
import {
  blankEntry,
  type SessionCounts,
  type SessionKey,
  type SessionPage,
  type SessionRow,
  type SessionStore,
  type StickyEntry,
  type WriteOutcome,
} from '../core/session-store.js'
import { isLess, wholeMs } from './sessions-entry.js'
import { keyOf, keyText } from './sessions-scan.js'

/** The sessions of one thread, in a plain Map: what the shared table is measured against, and enough for tests. */
export class MapSessionStore implements SessionStore {
  readonly capacity: number
  readonly found: StickyEntry = blankEntry()
  readonly #sessions = new Map<string, StickyEntry>()
  readonly #clock: Clock
  #evictions = 0
  #evictedKey: SessionKey | undefined

  constructor(capacity: number, clock: Clock) {
    this.capacity = capacity
    this.#clock = clock
  }

  get lastEvicted(): SessionKey | undefined {
    return this.#evictedKey
  }

  find(key: SessionKey): boolean {
    const session = this.#live(key)
    if (!session) return false
    Object.assign(this.found, session)
    return true
  }

  put(key: SessionKey, session: Readonly<StickyEntry>): WriteOutcome {
    this.#evictedKey = undefined
    const old = this.#live(key)
    if (old && isLess(session.versionHigh, session.versionLow, old.versionHigh, old.versionLow)) return 'stale'
    const name = keyText(key)
    if (!this.#sessions.has(name) && this.#sessions.size >= this.capacity) this.#makeRoom()
    this.#sessions.set(name, {
      ...session,
      expiresMs: wholeMs(session.expiresMs),
      touchedMs: wholeMs(session.touchedMs),
      versionHigh: session.versionHigh | 0,
      versionLow: session.versionLow | 0,
      used: session.used || old?.used === true,
    })
    return 'done'
  }

  touch(key: SessionKey, timeoutMs: number): WriteOutcome {
    const session = this.#live(key)
    if (!session) return 'absent'
    const { steadyMs } = this.#clock
    session.expiresMs = Math.max(session.expiresMs, wholeMs(steadyMs + timeoutMs))
    session.touchedMs = Math.max(session.touchedMs, wholeMs(steadyMs))
    session.used = true
    return 'done'
  }

  drop(key: SessionKey, versionHigh = -1, versionLow = -1): WriteOutcome {
    const session = this.#live(key)
    if (!session) return 'absent'
    if (isLess(versionHigh, versionLow, session.versionHigh, session.versionLow)) return 'stale'
    this.#sessions.delete(keyText(key))
    return 'done'
  }

  scan(cursor: number, limit: number, group: number): SessionPage {
    const { steadyMs } = this.#clock
    const sessions: SessionRow[] = []
    let at = 0
    for (const [key, session] of this.#sessions) {
      if (at++ < cursor) continue
      if (sessions.length >= limit) return { sessions, next: at - 1 }
      if (session.expiresMs > steadyMs && (group < 0 || session.group === group)) sessions.push({ key, ...session })
    }
    return { sessions, next: -1 }
  }

  sweep(): number {
    const { steadyMs } = this.#clock
    let freed = 0
    for (const [key, session] of this.#sessions) {
      if (session.expiresMs > steadyMs) continue
      this.#sessions.delete(key)
      freed++
    }
    return freed
  }

  resize(capacity: number): void {
    if (capacity === this.capacity) return
    throw new RangeError(`this store holds ${this.capacity} sessions and cannot be made to hold ${capacity}`)
  }

  counts(): SessionCounts {
    return { entries: this.#sessions.size, evictions: this.#evictions, busy: 0 }
  }

  #live(key: SessionKey): StickyEntry | undefined {
    const session = this.#sessions.get(keyText(key))
    return session && session.expiresMs > this.#clock.steadyMs ? session : undefined
  }

  /** Looks at every session: stores of this kind are small. */
  #makeRoom(): void {
    const { steadyMs } = this.#clock
    let first: [string, StickyEntry] | undefined
    for (const each of this.#sessions) if (first === undefined || goesBefore(each[1], first[1], steadyMs)) first = each
    if (first === undefined) return
    this.#sessions.delete(first[0])
    if (first[1].expiresMs <= steadyMs) return
    this.#evictions++
    this.#evictedKey = keyOf(first[0])
  }
}

/** True when a makes room before b: see `SessionStore.put`. */
function goesBefore(a: StickyEntry, b: StickyEntry, steadyMs: number): boolean {
  const live = a.expiresMs > steadyMs
  if (live !== b.expiresMs > steadyMs) return !live
  if (live && a.used !== b.used) return !a.used
  return a.expiresMs < b.expiresMs
}
