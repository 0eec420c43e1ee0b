import { blankSession, SESSION_KEY_WORDS, type SessionPage, type SessionRow } from '../core/session-store.js'
import { copyEntry, expiresMs, readSession } from './sessions-entry.js'
import {
  BUCKET_PLACES,
  ENTRY_GROUP,
  ENTRY_KEY,
  ENTRY_WORDS,
  INTENT_FIRST,
  REMOVED,
  SEQUENCE,
  type SessionMemory,
} from './sessions-layout.js'
import { beginWrite, endWrite, lockBucket, unlockBucket } from './sessions-locks.js'

/** Places one page looks at, at most: about a millisecond of the thread that asks. */
const SCAN_PLACES = 16_384
const READ_TRIES = 100

/** See `SessionStore.scan`. A cursor is a number of a place; entries never move, so none is shown twice or passed over. */
export function scanSessions(
  memory: SessionMemory,
  cursor: number,
  limit: number,
  nowMs: number,
  group: number,
): SessionPage {
  const sessions: SessionRow[] = []
  const copy = new Int32Array(ENTRY_WORDS)
  const end = Math.min(memory.capacity, cursor + SCAN_PLACES)
  let place = cursor
  for (; place < end && sessions.length < limit; place++) {
    if (!readPlace(memory, Math.floor(place / BUCKET_PLACES), place % BUCKET_PLACES, copy)) continue
    if (expiresMs(copy, 0) <= nowMs || (group >= 0 && copy[ENTRY_GROUP] !== group)) continue
    const session = blankSession()
    readSession(copy, session)
    sessions.push({ key: keyText(copy.subarray(ENTRY_KEY, ENTRY_KEY + SESSION_KEY_WORDS)), ...session })
  }
  return { sessions, next: place < memory.capacity ? place : -1 }
}

/** Copies what is in a place; false when it is free, or was being written all the time. */
function readPlace(memory: SessionMemory, bucket: number, place: number, copy: Int32Array): boolean {
  const { words, tags } = memory
  const sequenceAt = memory.headAt(bucket) + SEQUENCE
  const tagAt = memory.tagsAt(bucket) + place
  const at = memory.entryAt(bucket, place)
  for (let tries = 0; tries < READ_TRIES; tries++) {
    // Acquire and check, as in `SessionTable.find`: for this thread, the copy lies between two sights of one number.
    const sequence = Atomics.load(words, sequenceAt)
    if (tags[tagAt] === 0) return false
    const isWhole = copyEntry(words, at, copy)
    if (isWhole && (sequence & 1) === 0 && Atomics.load(words, sequenceAt) === sequence) return true
  }
  // Perhaps a thread died over another entry of the bucket: this one stands if it is there and whole.
  return tags[tagAt] !== 0 && copyEntry(words, at, copy)
}

/** Frees the places of a bucket whose sessions have expired; returns how many. Whoever waits for the lock is not waited for. */
export function sweepSessions(memory: SessionMemory, column: number, bucket: number, nowMs: number): number {
  // A look without the lock first: most buckets have nothing to free, and nobody is disturbed.
  if (!hasExpired(memory, bucket, nowMs)) return 0
  if (!lockBucket(memory, column, bucket, INTENT_FIRST)) return 0
  const { words, tags, counts } = memory
  const countsAt = memory.countsAt(column)
  let freed = 0
  beginWrite(words, memory.headAt(bucket))
  for (let place = 0; place < BUCKET_PLACES; place++) {
    const tagAt = memory.tagsAt(bucket) + place
    if (tags[tagAt] === 0 || expiresMs(words, memory.entryAt(bucket, place)) > nowMs) continue
    tags[tagAt] = 0
    counts[countsAt + REMOVED]!++
    freed++
  }
  endWrite(words, memory.headAt(bucket))
  unlockBucket(memory, bucket)
  return freed
}

function hasExpired(memory: SessionMemory, bucket: number, nowMs: number): boolean {
  for (let place = 0; place < BUCKET_PLACES; place++) {
    if (memory.tags[memory.tagsAt(bucket) + place] === 0) continue
    if (expiresMs(memory.words, memory.entryAt(bucket, place)) <= nowMs) return true
  }
  return false
}

/** A key as 32 hexadecimal digits. */
export function keyText(key: Int32Array): string {
  let text = ''
  for (const word of key) text += (word >>> 0).toString(16).padStart(8, '0')
  return text
}
