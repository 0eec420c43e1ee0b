// Hot path: taken and given back at every write of a session.
import { checksumOf, tagOf } from './sessions-entry.js'
import {
  BUCKET_PLACES,
  ENTRY_CHECKSUM,
  ENTRY_KEY,
  INTENT_FIRST,
  INTENT_SECOND,
  LOCK,
  LOCKS_BROKEN,
  REMOVED,
  SEQUENCE,
  type SessionMemory,
  TORN_CLEARED,
} from './sessions-layout.js'

/** About 20 µs of looking at a lock that another thread holds: many times what a write takes. */
const SPINS = 1_000

/**
 * Locks a bucket for a column; false when somebody else held it all the time. `intent` is the row's word that says so to
 * whoever buries the thread: a thread that takes a second lock uses the second word, and takes the lower bucket first.
 */
export function lockBucket(memory: SessionMemory, column: number, bucket: number, intent: number): boolean {
  const { words } = memory
  const at = memory.headAt(bucket) + LOCK
  // Before the lock is taken, so that no moment finds it taken and unannounced; the exchange below keeps that order.
  words[memory.rowAt(column) + intent] = bucket
  for (let spin = 0; spin < SPINS; spin++) {
    // Acquire, for this thread: it sees all that the last holder wrote before its release.
    if (Atomics.compareExchange(words, at, 0, column + 1) === 0) return true
  }
  return false
}

export function unlockBucket(memory: SessionMemory, bucket: number): void {
  // Release, for the next holder: it sees the entries and the sequence as this thread leaves them.
  Atomics.store(memory.words, memory.headAt(bucket) + LOCK, 0)
}

/** From here to `endWrite` readers know that entries of the bucket change. The bucket is locked. */
export function beginWrite(words: Int32Array, headAt: number): void {
  // For readers: the odd number is there before any word of the entry changes. Where the processor may let later writes
  // pass it (ARM), a reader that was fooled finds the checksum wrong.
  Atomics.store(words, headAt + SEQUENCE, words[headAt + SEQUENCE]! | 1)
}

export function endWrite(words: Int32Array, headAt: number): void {
  // Release, for readers: whoever sees the new even number sees the entry whole.
  Atomics.store(words, headAt + SEQUENCE, ((words[headAt + SEQUENCE]! | 1) + 1) | 0)
}

/**
 * A thread died: gives back the locks it held, at most two, and clears what it left half-written. Only the primary calls
 * this, and only once the thread has ended. Returns how many locks were broken.
 */
export function breakLocks(memory: SessionMemory, dead: number): number {
  let broken = 0
  for (const intent of [INTENT_FIRST, INTENT_SECOND]) {
    const bucket = memory.words[memory.rowAt(dead) + intent]!
    // Acquire: what the dead thread wrote is seen. The lock stays as it is while the bucket is put in order.
    if (Atomics.load(memory.words, memory.headAt(bucket) + LOCK) !== dead + 1) continue
    repair(memory, bucket)
    unlockBucket(memory, bucket)
    broken++
  }
  memory.counts[memory.countsAt(0) + LOCKS_BROKEN]! += broken
  return broken
}

function repair(memory: SessionMemory, bucket: number): void {
  const { words, tags, counts } = memory
  const headAt = memory.headAt(bucket)
  beginWrite(words, headAt)
  for (let place = 0; place < BUCKET_PLACES; place++) {
    const tagAt = memory.tagsAt(bucket) + place
    const at = memory.entryAt(bucket, place)
    if (tags[tagAt] === 0) continue
    if (
      words[at + ENTRY_CHECKSUM] === checksumOf(words, at) &&
      tagOf(words.subarray(at + ENTRY_KEY, at + ENTRY_KEY + 4)) === tags[tagAt]
    )
      continue
    tags[tagAt] = 0
    counts[memory.countsAt(0) + REMOVED]!++
    counts[memory.countsAt(0) + TORN_CLEARED]!++
  }
  endWrite(words, headAt)
}
