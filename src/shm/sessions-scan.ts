import type { Clock } from '../core/clock.js'
import {
  blankEntry,
  SESSION_KEY_WORDS,
  type SessionKey,
  type SessionPage,
  type SessionRow,
  type StickyEntry,
} from '../core/session-store.js'
import { isLive, readEntry } from './sessions-entry.js'
import { BUCKET_PLACES, ENTRY_KEY, INTENT_FIRST, REMOVED, SEQUENCE, type SessionMemory } from './sessions-layout.js'
import { beginWrite, endWrite, lockBucket, unlockBucket } from './sessions-locks.js'

/** Places one page looks at, at most: about a millisecond of the thread that asks. */
const SCAN_PLACES = 16_384
const READ_TRIES = 100

/** See `SessionStore.scan`. A cursor is a number of a place; entries never move, so none is shown twice or passed over. */
export function scanSessions(
  memory: SessionMemory,
  cursor: number,
  limit: number,
  clock: Clock,
  group: number,
): SessionPage {
  const sessions: SessionRow[] = []
  const key = new Int32Array(SESSION_KEY_WORDS)
  const session = blankEntry()
  const end = Math.min(memory.capacity, cursor + SCAN_PLACES)
  let place = cursor
  for (; place < end && sessions.length < limit; place++) {
    if (!readPlace(memory, Math.floor(place / BUCKET_PLACES), place % BUCKET_PLACES, key, session)) continue
    if (session.expiresMs <= clock.steadyMs || (group >= 0 && session.group !== group)) continue
    sessions.push({ key: keyText(key), ...session })
  }
  return { sessions, next: place < memory.capacity ? place : -1 }
}

/** Reads what is in a place; false when it is free, or was being written all the time. */
export function readPlace(
  memory: SessionMemory,
  bucket: number,
  place: number,
  key: Int32Array,
  into: StickyEntry,
): boolean {
  const { words, tags } = memory
  const sequenceAt = memory.headAt(bucket) + SEQUENCE
  const tagAt = memory.tagsAt(bucket) + place
  const at = memory.entryAt(bucket, place)
  for (let tries = READ_TRIES; ; tries--) {
    // Acquire and check, as in `SessionTable.find`: for this thread, the copy lies between two sights of one number.
    const sequence = Atomics.load(words, sequenceAt)
    if (tags[tagAt] === 0) return false
    for (let i = 0; i < SESSION_KEY_WORDS; i++) key[i] = words[at + ENTRY_KEY + i]!
    const isWhole = readEntry(words, at, key, into)
    const isSettled = (sequence & 1) === 0 && Atomics.load(words, sequenceAt) === sequence
    // Perhaps a thread died over another entry of the bucket: this one stands if it is whole.
    if (tries <= 0 || (isSettled && isWhole)) return isWhole
  }
}

/** Frees the places of a bucket whose sessions have expired; returns how many. One that stays locked is left as it is. */
export function sweepSessions(memory: SessionMemory, column: number, bucket: number, clock: Clock): number {
  // A look without the lock first: most buckets have nothing to free, and nobody is disturbed.
  if (!hasExpired(memory, bucket, clock)) return 0
  if (!lockBucket(memory, column, bucket, INTENT_FIRST)) return 0
  const { words, tags, counts } = memory
  const countsAt = memory.countsAt(column)
  let freed = 0
  beginWrite(words, memory.headAt(bucket))
  for (let place = 0; place < BUCKET_PLACES; place++) {
    const tagAt = memory.tagsAt(bucket) + place
    if (tags[tagAt] === 0 || isLive(words, memory.entryAt(bucket, place), clock)) continue
    tags[tagAt] = 0
    counts[countsAt + REMOVED]!++
    freed++
  }
  endWrite(words, memory.headAt(bucket))
  unlockBucket(memory, bucket)
  return freed
}

function hasExpired(memory: SessionMemory, bucket: number, clock: Clock): boolean {
  for (let place = 0; place < BUCKET_PLACES; place++) {
    if (memory.tags[memory.tagsAt(bucket) + place] === 0) continue
    if (!isLive(memory.words, memory.entryAt(bucket, place), clock)) return true
  }
  return false
}

/** A key as 32 hexadecimal digits. */
export function keyText(key: Int32Array): string {
  let text = ''
  for (const word of key) text += (word >>> 0).toString(16).padStart(8, '0')
  return text
}

/** The key that `keyText` wrote. */
export function keyOf(text: string): SessionKey {
  return Int32Array.from({ length: SESSION_KEY_WORDS }, (_, word) =>
    Number.parseInt(text.slice(word * 8, word * 8 + 8), 16),
  )
}
