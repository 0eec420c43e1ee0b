// Hot path of replicated sticky groups: one record for each session made, or used after a quarter of its time.
import type { SessionKey, StickyEntry } from '../core/session-store.js'

/** The header takes a cache line pair: [0] records written so far, wrapping at 2^32. */
const HEADER_WORDS = 32
const RECORD_WORDS = 16
const WRITTEN = 0
const KEY = 0
const GROUP = 4
const TARGET = 5
const GENERATION = 6
const HIGH = 7
const LOW = 8
const CHECKSUM = 9
/** Floats, counted in floats. */
const EXPIRES = 5
const TOUCHED = 6

/** In place of a target's slot: the session with this key was evicted. */
export const EVICTED_SLOT = -2

/** A second's worth at rates no host has seen: half a MiB a worker. */
const RECORDS = 8_192

/** @throws RangeError when `records` is no power of two. */
export function createOutbox(records = RECORDS): SharedArrayBuffer {
  if (records < 1 || (records & (records - 1)) !== 0) throw new RangeError(`an outbox of ${records} records`)
  return new SharedArrayBuffer((HEADER_WORDS + records * RECORD_WORDS) * Int32Array.BYTES_PER_ELEMENT)
}

/**
 * What one proxy thread has to tell the mesh thread, in a ring that is never full: who writes does not wait, and a reader
 * that falls behind by more than the ring holds learns that it missed something. Drawn in docs/SHARED-MEMORY.md.
 */
export class Outbox {
  readonly #words: Int32Array
  readonly #floats: Float64Array
  readonly #mask: number
  /** Records read so far; the reader's alone. */
  #read = 0

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
    this.#floats = new Float64Array(shared)
    const records = (this.#words.length - HEADER_WORDS) / RECORD_WORDS
    this.#mask = records - 1
  }

  /** Writer: the owning proxy thread. */
  write(key: SessionKey, session: Readonly<StickyEntry>): void {
    const words = this.#words
    const written = words[WRITTEN]!
    const at = HEADER_WORDS + (written & this.#mask) * RECORD_WORDS
    words[at + KEY] = key[0]!
    words[at + KEY + 1] = key[1]!
    words[at + KEY + 2] = key[2]!
    words[at + KEY + 3] = key[3]!
    words[at + GROUP] = session.group
    words[at + TARGET] = session.targetSlot
    words[at + GENERATION] = session.generation
    words[at + HIGH] = session.versionHigh
    words[at + LOW] = session.versionLow
    this.#floats[(at >> 1) + EXPIRES] = session.expiresMs
    this.#floats[(at >> 1) + TOUCHED] = session.touchedMs
    words[at + CHECKSUM] = this.#checksum(at, written)
    // Orders the record before the count: a reader that sees the count sees the record.
    Atomics.store(words, WRITTEN, (written + 1) | 0)
  }

  /** Reader: begins with what is written from now on. */
  skipToEnd(): void {
    this.#read = Atomics.load(this.#words, WRITTEN)
  }

  /**
   * Reader: the next record into `key` and `session`. `missed`: the writer has gone round since, and what lay between is
   * lost; reading goes on with the oldest that is whole.
   */
  next(key: SessionKey, session: StickyEntry): 'none' | 'read' | 'missed' {
    const words = this.#words
    const written = Atomics.load(words, WRITTEN)
    if (written === this.#read) return 'none'
    // One place may be half written at any moment.
    if (((written - this.#read) | 0) > this.#mask) return this.#skip(written)
    const at = HEADER_WORDS + (this.#read & this.#mask) * RECORD_WORDS
    key[0] = words[at + KEY]!
    key[1] = words[at + KEY + 1]!
    key[2] = words[at + KEY + 2]!
    key[3] = words[at + KEY + 3]!
    session.group = words[at + GROUP]!
    session.targetSlot = words[at + TARGET]!
    session.generation = words[at + GENERATION]!
    session.versionHigh = words[at + HIGH]!
    session.versionLow = words[at + LOW]!
    session.expiresMs = this.#floats[(at >> 1) + EXPIRES]!
    session.touchedMs = this.#floats[(at >> 1) + TOUCHED]!
    const isWhole = words[at + CHECKSUM] === this.#checksum(at, this.#read)
    // Looked at again: the writer may have come round while the record was copied. Where the processor lets later writes
    // pass the count, or this look pass the copy (ARM), the checksum tells.
    const now = Atomics.load(words, WRITTEN)
    if (!isWhole || ((now - this.#read) | 0) > this.#mask) return this.#skip(now)
    this.#read = (this.#read + 1) | 0
    return 'read'
  }

  /** Over a record as it lies there, and its number: one of the round before or after has another. */
  #checksum(at: number, number: number): number {
    const words = this.#words
    let sum = number
    for (let word = 0; word < RECORD_WORDS; word++) {
      if (word === CHECKSUM) continue
      const product = Math.imul(sum ^ words[at + word]!, 0x9e3779b1)
      sum = (product << 15) | (product >>> 17)
    }
    return sum
  }

  #skip(written: number): 'missed' {
    this.#read = (written - (this.#mask >> 1)) | 0
    return 'missed'
  }
}
