import {
  blankSession,
  type Session,
  type SessionCounts,
  type SessionKey,
  type SessionPage,
  type SessionRow,
  type SessionStore,
  type WriteOutcome,
} from '../core/session-store.js'
import { isOlder, wholeMs } from './sessions-entry.js'
import { keyText } from './sessions-scan.js'

/** The sessions of one thread, in a plain Map: what the shared table is measured against, and enough for tests. */
export class MapSessionStore implements SessionStore {
  readonly capacity: number
  readonly found: Session = blankSession()
  readonly #sessions = new Map<string, Session>()
  #evictions = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  find(key: SessionKey, nowMs: number): boolean {
    const session = this.#live(key, nowMs)
    if (!session) return false
    Object.assign(this.found, session)
    return true
  }

  put(key: SessionKey, session: Readonly<Session>, nowMs: number): WriteOutcome {
    const old = this.#live(key, nowMs)
    if (old && isOlder(session.versionHigh, session.versionLow, old.versionHigh, old.versionLow)) return 'stale'
    const name = keyText(key)
    if (!this.#sessions.has(name) && this.#sessions.size >= this.capacity) this.#makeRoom(nowMs)
    this.#sessions.set(name, {
      ...session,
      expiresMs: wholeMs(session.expiresMs),
      touchedMs: wholeMs(session.touchedMs),
      versionHigh: session.versionHigh | 0,
      versionLow: session.versionLow | 0,
    })
    return 'done'
  }

  touch(key: SessionKey, nowMs: number, expiresMs: number): WriteOutcome {
    const session = this.#live(key, nowMs)
    if (!session) return 'absent'
    session.expiresMs = Math.max(session.expiresMs, wholeMs(expiresMs))
    session.touchedMs = Math.max(session.touchedMs, wholeMs(nowMs))
    return 'done'
  }

  drop(key: SessionKey, nowMs: number, versionHigh = -1, versionLow = -1): WriteOutcome {
    const session = this.#live(key, nowMs)
    if (!session) return 'absent'
    if (isOlder(versionHigh, versionLow, session.versionHigh, session.versionLow)) return 'stale'
    this.#sessions.delete(keyText(key))
    return 'done'
  }

  scan(cursor: number, limit: number, nowMs: number, group: number): SessionPage {
    const sessions: SessionRow[] = []
    let at = 0
    for (const [key, session] of this.#sessions) {
      if (at++ < cursor) continue
      if (sessions.length >= limit) return { sessions, next: at - 1 }
      if (session.expiresMs > nowMs && (group < 0 || session.group === group)) sessions.push({ key, ...session })
    }
    return { sessions, next: -1 }
  }

  sweep(nowMs: number): number {
    let freed = 0
    for (const [key, session] of this.#sessions) {
      if (session.expiresMs > nowMs) continue
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

  #live(key: SessionKey, nowMs: number): Session | undefined {
    const session = this.#sessions.get(keyText(key))
    return session && session.expiresMs > nowMs ? session : undefined
  }

  /** Looks at every session: stores of this kind are small. */
  #makeRoom(nowMs: number): void {
    let nearest: string | undefined
    let nearestMs = Number.POSITIVE_INFINITY
    for (const [key, session] of this.#sessions) {
      if (session.expiresMs >= nearestMs) continue
      nearest = key
      nearestMs = session.expiresMs
    }
    if (nearest === undefined) return
    this.#sessions.delete(nearest)
    if (nearestMs > nowMs) this.#evictions++
  }
}
