/**
 * 128 bits that stand for one client of one group: four 32-bit words, made with a secret key (`KeyHash`), so that nobody
 * outside can make two clients meet. Implementations read it during the call and never keep it.
 */
export type SessionKey = Int32Array

export const SESSION_KEY_WORDS = 4

/** What is remembered of a client. Times are whole milliseconds of `Clock.steadyMs`: fractions are cut off. */
export interface StickyEntry {
  /** The target group's slot; only the administration looks at it, the key has it mixed in. */
  group: number
  /** The target's slot, and that slot's generation when the session was made: another one now means another target. */
  targetSlot: number
  generation: number
  /** From this moment on the session is gone. */
  expiresMs: number
  /** When it was last used. */
  touchedMs: number
  /** The writer's stamp, 64 bits in two words (of either sign, compared as unsigned): of two writes the one with the greater stamp stands. */
  versionHigh: number
  versionLow: number
  /** The client has come back with it. Those that never did go first where room is needed. */
  used: boolean
}

/**
 * How a write went. `absent`: there is no such session, or it expired. `stale`: a session with a greater version is there
 * and stays. `busy`: another thread held the place too long; nothing was changed, and the caller carries on without.
 */
export type WriteOutcome = 'done' | 'absent' | 'stale' | 'busy'

/** A session as the administration shows it. */
export interface SessionRow extends Readonly<StickyEntry> {
  /** The key in hexadecimal: what the client is known by, without saying who it is. */
  readonly key: string
}

export interface SessionPage {
  readonly sessions: readonly SessionRow[]
  /** Where the next page begins; −1 after the last. */
  readonly next: number
}

/** How many sessions there are, as counted on the last round over the store. */
export interface SessionTotals {
  /** When that round ended, by `Clock.steadyMs`; 0 before the first. */
  readonly asOfMs: number
  ofGroup(group: number): number
  /** Only sessions of the target that is in the slot now. */
  ofTarget(slot: number): number
}

/** Since the store was made, over all threads. */
export interface SessionCounts {
  /** Places taken now. An expired session takes its place until somebody needs it or `sweep` comes by. */
  readonly entries: number
  /** Sessions that went before their time, because there was no room. */
  readonly evictions: number
  /** Writes that were answered with `busy`. */
  readonly busy: number
}

/**
 * Which client goes to which target, for as long as the client keeps coming. Now is the `steadyMs` of the clock that the
 * store was made with: a time handed over at each call would be an object each time, since it does not fit 32 bits.
 * `find`, `put`, `touch` and `drop` never wait, never fail and allocate nothing; the rest is for the control path.
 */
export interface SessionStore {
  /** How many sessions it holds; fixed when it is made. */
  readonly capacity: number
  /** What the last `find` that returned true has found; the next one overwrites it. */
  readonly found: Readonly<StickyEntry>
  /** True when the key has a session that has not expired. */
  find(key: SessionKey): boolean
  /**
   * Remembers a session. One that is there is replaced unless its version is greater, and stays `used` if it was. Where
   * no room is left, the session nearest its expiry goes (of those that could make room), one that was never used before
   * all that were; expired ones count as room. So whoever makes sessions by the thousand pushes out his own.
   */
  put(key: SessionKey, session: Readonly<StickyEntry>): WriteOutcome
  /** The key of the session that the last `put` pushed out before its time, if it did; the next one overwrites it. */
  readonly lastEvicted: SessionKey | undefined
  /** The session was used now, and expires `timeoutMs` from now, unless it would later anyway. The version stays. */
  touch(key: SessionKey, timeoutMs: number): WriteOutcome
  /** Forgets the session, unless its version is greater than the one given; without a version, whatever it is. */
  drop(key: SessionKey, versionHigh?: number, versionLow?: number): WriteOutcome
  /**
   * The sessions that have not expired, up to `limit` of them, from `cursor` on (0 to begin with); of one group, or with
   * −1 of all. A page may hold fewer, even none, and still not be the last. Whoever writes meanwhile is not held up; what
   * is there from the first page to the last is shown once.
   */
  scan(cursor: number, limit: number, group: number): SessionPage
  /** Frees the places of expired sessions among the next `places`, going round; returns how many it freed. */
  sweep(places: number): number
  /** Stores do not grow while they run. @throws RangeError when `capacity` is not what it already is. */
  resize(capacity: number): void
  counts(): SessionCounts
}

/** A session with nothing in it, for callers to fill and use again. */
export function blankEntry(): StickyEntry {
  return {
    group: 0,
    targetSlot: -1,
    generation: 0,
    // Beyond 32 bits from the start, so that the engine keeps room for such a number in the object itself.
    expiresMs: Number.MAX_SAFE_INTEGER,
    touchedMs: Number.MAX_SAFE_INTEGER,
    versionHigh: 0,
    versionLow: 0,
    used: false,
  }
}
