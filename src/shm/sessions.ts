// Hot path: asked on every request of a sticky group. No allocation, and no lock except for writes, one bucket at a time.
import type { Clock } from '../core/clock.js'
import {
  blankEntry,
  SESSION_KEY_WORDS,
  type SessionCounts,
  type SessionKey,
  type SessionPage,
  type SessionStore,
  type StickyEntry,
  type WriteOutcome,
} from '../core/session-store.js'
import {
  goesBefore,
  hasKey,
  hasNewer,
  homeOf,
  isLive,
  isUsed,
  lowestBit,
  otherOf,
  placeOfBit,
  readEntry,
  tagMatches,
  tagOf,
  touchEntry,
  writeEntry,
} from './sessions-entry.js'
import {
  BUCKET_PLACES,
  BUSY,
  ENTRY_KEY,
  EVICTED,
  INSERTED,
  INTENT_FIRST,
  INTENT_SECOND,
  REMOVED,
  SEQUENCE,
  SessionMemory,
  TAGS,
} from './sessions-layout.js'
import { beginWrite, breakLocks, endWrite, lockBucket, unlockBucket } from './sessions-locks.js'
import { scanSessions, sweepSessions } from './sessions-scan.js'

/** How often a reader tries again while the bucket is being written; after that an entry's checksum alone decides. */
const READ_TRIES = 100

/**
 * The sessions of all threads, in shared memory: a hash of fixed entries where each key may lie in two buckets, and goes
 * to the emptier one. Readers take no lock. The checksum says that what they copied is one state of one entry, also on
 * processors that reorder reads, and also while a bucket stands half-written by a thread that died; where it is wrong,
 * or the key another, they copy again until the bucket's sequence is even and the same before and after.
 *
 * Who writes an entry holds the lock of its bucket; who adds a key holds the locks of both, or two threads could add it
 * twice. Entries never move.
 */
export class SessionTable implements SessionStore {
  readonly found: StickyEntry = blankEntry()
  readonly #memory: SessionMemory
  readonly #words: Int32Array
  readonly #tags: Uint16Array
  readonly #counts: Float64Array
  readonly #buckets: number
  readonly #column: number
  readonly #clock: Clock
  readonly #countsAt: number
  #sweptTo = 0
  /** Where `#enter` has been. */
  #entered = 0
  #enteredPlace = 0
  readonly #evictedKey: SessionKey = new Int32Array(SESSION_KEY_WORDS)
  #hasEvicted = false

  /** `column` is the calling thread's own, and no other living thread's: locks are held and writes counted in its name. */
  constructor(shared: SharedArrayBuffer, column: number, clock: Clock) {
    this.#memory = new SessionMemory(shared)
    if (!(column >= 0 && column < this.#memory.columns)) {
      throw new RangeError(`the session table has columns 0 to ${this.#memory.columns - 1}, not ${column}`)
    }
    this.#words = this.#memory.words
    this.#tags = this.#memory.tags
    this.#counts = this.#memory.counts
    this.#buckets = this.#memory.buckets
    this.#column = column
    this.#clock = clock
    this.#countsAt = this.#memory.countsAt(column)
  }

  get capacity(): number {
    return this.#memory.capacity
  }

  get lastEvicted(): SessionKey | undefined {
    return this.#hasEvicted ? this.#evictedKey : undefined
  }

  find(key: SessionKey): boolean {
    const memory = this.#memory
    const words = this.#words
    const tag = tagOf(key)
    const home = homeOf(key, this.#buckets)
    const other = otherOf(key, this.#buckets, home)
    // Both buckets' tags in one number, since which bucket it is cannot be guessed, and a wrong guess costs as much as all
    // the rest. No tag, no entry: one that is there all the while has its tag there all the while, so no order is needed.
    let matches = tagMatches(words, memory.headAt(home) + TAGS, tag)
    matches |= tagMatches(words, memory.headAt(other) + TAGS, tag) << 8
    for (; matches !== 0; matches &= matches - 1) {
      const bit = lowestBit(matches)
      const bucket = home + ((other - home) & -((bit >>> 3) & 1))
      const place = placeOfBit(bit)
      const at = memory.entryAt(bucket, place)
      // Nearly always nobody is writing there: what has the key and the right checksum is one state of the entry.
      const isRead = (hasKey(words, at, key) && readEntry(words, at, key, this.found)) || this.#read(bucket, place, key)
      if (isRead) return this.found.expiresMs > this.#clock.steadyMs
    }
    return false
  }

  put(key: SessionKey, session: Readonly<StickyEntry>): WriteOutcome {
    this.#hasEvicted = false
    const home = homeOf(key, this.#buckets)
    const other = otherOf(key, this.#buckets, home)
    const bucket = this.#bucketOf(home, other, key)
    if (bucket >= 0) {
      if (!this.#lock(bucket, INTENT_FIRST)) return 'busy'
      const outcome = this.#replace(bucket, key, session)
      unlockBucket(this.#memory, bucket)
      // It may have gone between the look and the lock.
      if (outcome !== 'absent') return outcome
    }
    // The lower one first, so that no two threads wait for each other.
    const low = Math.min(home, other)
    const high = Math.max(home, other)
    if (!this.#lock(low, INTENT_FIRST)) return 'busy'
    let outcome: WriteOutcome = 'busy'
    if (this.#lock(high, INTENT_SECOND)) {
      // Or come.
      outcome = this.#replace(home, key, session)
      if (outcome === 'absent') outcome = this.#replace(other, key, session)
      if (outcome === 'absent') outcome = this.#add(home, other, key, session)
      unlockBucket(this.#memory, high)
    }
    unlockBucket(this.#memory, low)
    return outcome
  }

  touch(key: SessionKey, timeoutMs: number): WriteOutcome {
    const outcome = this.#enter(key)
    if (outcome !== 'done') return outcome
    const words = this.#words
    const headAt = this.#memory.headAt(this.#entered)
    beginWrite(words, headAt)
    touchEntry(words, this.#memory.entryAt(this.#entered, this.#enteredPlace), this.#clock, timeoutMs)
    endWrite(words, headAt)
    unlockBucket(this.#memory, this.#entered)
    return 'done'
  }

  drop(key: SessionKey, versionHigh = -1, versionLow = -1): WriteOutcome {
    const outcome = this.#enter(key)
    if (outcome !== 'done') return outcome
    const words = this.#words
    const headAt = this.#memory.headAt(this.#entered)
    const isStale = hasNewer(words, this.#memory.entryAt(this.#entered, this.#enteredPlace), versionHigh, versionLow)
    if (!isStale) {
      beginWrite(words, headAt)
      this.#tags[this.#memory.tagsAt(this.#entered) + this.#enteredPlace] = 0
      this.#counts[this.#countsAt + REMOVED]!++
      endWrite(words, headAt)
    }
    unlockBucket(this.#memory, this.#entered)
    return isStale ? 'stale' : 'done'
  }

  scan(cursor: number, limit: number, group: number): SessionPage {
    return scanSessions(this.#memory, cursor, limit, this.#clock, group)
  }

  sweep(places: number): number {
    const buckets = Math.min(this.#buckets, Math.ceil(places / BUCKET_PLACES))
    let freed = 0
    for (let i = 0; i < buckets; i++) {
      freed += sweepSessions(this.#memory, this.#column, this.#sweptTo, this.#clock)
      this.#sweptTo = (this.#sweptTo + 1) % this.#buckets
    }
    return freed
  }

  /** For the primary, once a thread has ended and before another gets its column: see `breakLocks`. */
  breakLocks(dead: number): number {
    return breakLocks(this.#memory, dead)
  }

  resize(capacity: number): void {
    if (capacity === this.capacity) return
    throw new RangeError(
      `the session table holds ${this.capacity} sessions until the process ends; restart it to hold ${capacity}`,
    )
  }

  counts(): SessionCounts {
    const memory = this.#memory
    const removed = memory.sum(REMOVED)
    return { entries: memory.sum(INSERTED) - removed, evictions: memory.sum(EVICTED), busy: memory.sum(BUSY) }
  }

  /** Reads the entry in a place of a bucket into `found`, if need be again; false unless it is the key's and whole. */
  #read(bucket: number, place: number, key: SessionKey): boolean {
    const words = this.#words
    const sequenceAt = this.#memory.headAt(bucket) + SEQUENCE
    const at = this.#memory.entryAt(bucket, place)
    for (let tries = READ_TRIES; ; tries--) {
      // Acquire: the entry is read after this, so that a writer who has finished before is seen in full.
      const sequence = Atomics.load(words, sequenceAt)
      const isTheKeys = hasKey(words, at, key)
      const isWhole = isTheKeys && readEntry(words, at, key, this.found)
      // For this thread: where a writer came in between, the number it left is another one.
      const isSettled = (sequence & 1) === 0 && Atomics.load(words, sequenceAt) === sequence
      if (tries <= 0 || (isSettled && isWhole === isTheKeys)) return isWhole
    }
  }

  /** The key's place in a bucket, or −1. Certain under the lock, a hint without. */
  #placeOf(bucket: number, key: SessionKey): number {
    const at = this.#memory.headAt(bucket) + TAGS
    for (let matches = tagMatches(this.#words, at, tagOf(key)); matches !== 0; matches &= matches - 1) {
      const place = placeOfBit(lowestBit(matches))
      if (hasKey(this.#words, this.#memory.entryAt(bucket, place), key)) return place
    }
    return -1
  }

  /** Which of its two buckets the key lies in, or −1; a hint. */
  #bucketOf(home: number, other: number, key: SessionKey): number {
    if (this.#placeOf(home, key) >= 0) return home
    return this.#placeOf(other, key) >= 0 ? other : -1
  }

  /**
   * Locks the bucket where the key has a session that has not expired: `#entered` and `#enteredPlace` say where, and the
   * caller unlocks. Unless it says `done` nothing is locked.
   */
  #enter(key: SessionKey): WriteOutcome {
    const home = homeOf(key, this.#buckets)
    const bucket = this.#bucketOf(home, otherOf(key, this.#buckets, home), key)
    if (bucket < 0) return 'absent'
    if (!this.#lock(bucket, INTENT_FIRST)) return 'busy'
    // It may have gone between the look and the lock.
    const place = this.#placeOf(bucket, key)
    if (place < 0 || !isLive(this.#words, this.#memory.entryAt(bucket, place), this.#clock)) {
      unlockBucket(this.#memory, bucket)
      return 'absent'
    }
    this.#entered = bucket
    this.#enteredPlace = place
    return 'done'
  }

  #lock(bucket: number, intent: number): boolean {
    if (lockBucket(this.#memory, this.#column, bucket, intent)) return true
    this.#counts[this.#countsAt + BUSY]!++
    return false
  }

  /** Writes over the key's entry in a bucket that is locked. */
  #replace(bucket: number, key: SessionKey, session: Readonly<StickyEntry>): WriteOutcome {
    const words = this.#words
    const place = this.#placeOf(bucket, key)
    if (place < 0) return 'absent'
    const at = this.#memory.entryAt(bucket, place)
    const live = isLive(words, at, this.#clock)
    if (live && hasNewer(words, at, session.versionHigh, session.versionLow)) return 'stale'
    const used = session.used || (live && isUsed(words, at))
    beginWrite(words, this.#memory.headAt(bucket))
    writeEntry(words, at, key, session, used)
    endWrite(words, this.#memory.headAt(bucket))
    return 'done'
  }

  /** Adds the key to the emptier of its buckets, both locked; where both are full, the entry that `goesBefore` all others goes. */
  #add(home: number, other: number, key: SessionKey, session: Readonly<StickyEntry>): WriteOutcome {
    const homeFree = this.#freePlaces(home)
    const otherFree = this.#freePlaces(other)
    if (homeFree + otherFree > 0) {
      const bucket = otherFree > homeFree ? other : home
      this.#fill(bucket, this.#firstFree(bucket), key, session)
      return 'done'
    }
    const homePlace = this.#nextToGo(home)
    const otherPlace = this.#nextToGo(other)
    const homeAt = this.#memory.entryAt(home, homePlace)
    const otherAt = this.#memory.entryAt(other, otherPlace)
    if (goesBefore(this.#words, otherAt, homeAt, this.#clock)) this.#fill(other, otherPlace, key, session)
    else this.#fill(home, homePlace, key, session)
    return 'done'
  }

  /**
   * Writes a new entry into a place. A thread dies at calls and at the ends of loops only, never between two assignments:
   * so a tag and its count stand next to each other, and no count leaks.
   */
  #fill(bucket: number, place: number, key: SessionKey, session: Readonly<StickyEntry>): void {
    const counts = this.#counts
    const countsAt = this.#countsAt
    const headAt = this.#memory.headAt(bucket)
    const tagAt = this.#memory.tagsAt(bucket) + place
    const tag = tagOf(key)
    const at = this.#memory.entryAt(bucket, place)
    const isEviction = this.#tags[tagAt] !== 0 && isLive(this.#words, at, this.#clock)
    if (isEviction) this.#noteEvicted(at)
    beginWrite(this.#words, headAt)
    if (this.#tags[tagAt] !== 0) {
      this.#tags[tagAt] = 0
      counts[countsAt + REMOVED]!++
      if (isEviction) counts[countsAt + EVICTED]!++
    }
    writeEntry(this.#words, at, key, session, session.used)
    this.#tags[tagAt] = tag
    counts[countsAt + INSERTED]!++
    endWrite(this.#words, headAt)
  }

  #noteEvicted(at: number): void {
    for (let i = 0; i < SESSION_KEY_WORDS; i++) this.#evictedKey[i] = this.#words[at + ENTRY_KEY + i]!
    this.#hasEvicted = true
  }

  #freePlaces(bucket: number): number {
    const at = this.#memory.tagsAt(bucket)
    let free = 0
    for (let place = 0; place < BUCKET_PLACES; place++) if (this.#tags[at + place] === 0) free++
    return free
  }

  #firstFree(bucket: number): number {
    const at = this.#memory.tagsAt(bucket)
    let place = 0
    while (this.#tags[at + place] !== 0) place++
    return place
  }

  /** The place, in a full bucket, whose session makes room before the others. */
  #nextToGo(bucket: number): number {
    let nearest = 0
    for (let place = 1; place < BUCKET_PLACES; place++) {
      const at = this.#memory.entryAt(bucket, place)
      if (goesBefore(this.#words, at, this.#memory.entryAt(bucket, nearest), this.#clock)) nearest = place
    }
    return nearest
  }
}
