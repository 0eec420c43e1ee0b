/**
 * Where sessions lie in shared memory; drawn in docs/SHARED-MEMORY.md. A header, a row for each column (0 the primary's,
 * w worker w's), the heads of all buckets, their entries. A bucket has 12 places, and a session may lie in either of two
 * buckets that its key names. All numbers below count 32-bit words within their block unless they say otherwise.
 */
export const SESSIONS_LAYOUT_VERSION = 3

/** Header. Written once, before any other thread has the buffer. */
const VERSION = 0
const BUCKETS = 1
const COLUMNS = 2

/** Header and rows take two cache lines each, so that no thread's row shares a line with another's. */
const ROW_WORDS = 32

/**
 * A column's row. Its owner is the only writer. The intents name the buckets that it is about to lock or has locked, at
 * most two; whether it does hold them, their lock words say.
 */
export const INTENT_FIRST = 0
export const INTENT_SECOND = 1
/** Counts, as 64-bit floats, in floats from the row's start; they only grow. `EVICTED` is part of `REMOVED`. */
export const INSERTED = 1
export const REMOVED = 2
export const EVICTED = 3
export const BUSY = 4
/** Of the primary's row only: locks of dead threads that were broken, and half-written sessions found under them. */
export const LOCKS_BROKEN = 5
export const TORN_CLEARED = 6

export const BUCKET_PLACES = 12
/** Head of a bucket: 0, or the column that holds it plus 1. */
export const LOCK = 0
/** Head: odd while an entry is being written; every write adds 2. */
export const SEQUENCE = 1
/** Head: 12 tags of 16 bits, 0 where the place is free. They tell nearly always which place to look at, if any. */
export const TAGS = 2
export const TAG_WORDS = BUCKET_PLACES / 2
/** Heads lie together, apart from the entries: they are looked at most, and this way there is a chance of a cache hit. */
const HEAD_WORDS = TAGS + TAG_WORDS

/**
 * An entry is a cache line, of which 56 bytes are used: one that lay in two would cost a look-up a seventh more. Times
 * are two words, high and low; the checksum is over all words before it.
 */
export const ENTRY_KEY = 0
/** The group's slot in the lower 31 bits, `USED_BIT` above them. */
export const ENTRY_GROUP = 4
export const ENTRY_TARGET = 5
export const ENTRY_GENERATION = 6
export const ENTRY_EXPIRES_HIGH = 7
export const ENTRY_EXPIRES_LOW = 8
export const ENTRY_TOUCHED_HIGH = 9
export const ENTRY_TOUCHED_LOW = 10
export const ENTRY_VERSION_HIGH = 11
export const ENTRY_VERSION_LOW = 12
export const ENTRY_CHECKSUM = 13
export const USED_WORDS = 14
export const ENTRY_WORDS = 16

export const USED_BIT = 1 << 31
export const GROUP_MASK = 0x7fffffff

const LINE_WORDS = 16
/**
 * Where in a cache line a large buffer begins: the C library puts 16 bytes of its own before what it gives out. On one
 * that does otherwise entries lie in two lines each, and nothing else changes.
 */
const BEGIN_WORDS = 4

/** A key needs two buckets to choose from. */
const MIN_BUCKETS = 2
export const MAX_SESSIONS = 2 ** 26

export function sessionTableBytes(capacity: number, columns: number): number {
  const buckets = bucketsFor(capacity)
  return (entriesAt(columns, buckets) + buckets * BUCKET_PLACES * ENTRY_WORDS) * Int32Array.BYTES_PER_ELEMENT
}

/**
 * Memory for at least `capacity` sessions and for threads with columns 0 to `columns` − 1.
 * @throws RangeError when the capacity is none or too large.
 */
export function createSessionTable(capacity: number, columns: number): SharedArrayBuffer {
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_SESSIONS) {
    throw new RangeError(`a session table holds 1 to ${MAX_SESSIONS} sessions, not ${capacity}`)
  }
  if (!Number.isInteger(columns) || columns < 1) throw new RangeError('a session table needs a column for the primary')
  const shared = new SharedArrayBuffer(sessionTableBytes(capacity, columns))
  const words = new Int32Array(shared)
  words[VERSION] = SESSIONS_LAYOUT_VERSION
  words[BUCKETS] = bucketsFor(capacity)
  words[COLUMNS] = columns
  return shared
}

function bucketsFor(capacity: number): number {
  return Math.max(MIN_BUCKETS, Math.ceil(capacity / BUCKET_PLACES))
}

/** First word of the heads. */
function headsAt(columns: number): number {
  return lineFrom((1 + columns) * ROW_WORDS)
}

/** First word of the entries. */
function entriesAt(columns: number, buckets: number): number {
  return lineFrom(headsAt(columns) + buckets * HEAD_WORDS)
}

/** The first word from `at` on with which a cache line begins. */
function lineFrom(at: number): number {
  return Math.ceil((at + BEGIN_WORDS) / LINE_WORDS) * LINE_WORDS - BEGIN_WORDS
}

/** The table's memory as one thread sees it: views, and where things begin. */
export class SessionMemory {
  readonly words: Int32Array
  readonly tags: Uint16Array
  readonly counts: Float64Array
  readonly buckets: number
  readonly columns: number
  readonly #headsAt: number
  readonly #entriesAt: number

  /** @throws RangeError when the buffer is no session table of this layout. */
  constructor(shared: SharedArrayBuffer) {
    this.words = new Int32Array(shared)
    this.tags = new Uint16Array(shared)
    this.counts = new Float64Array(shared)
    const version = this.words[VERSION]
    if (version !== SESSIONS_LAYOUT_VERSION) {
      throw new RangeError(`the session table has layout ${version}, and this program reads ${SESSIONS_LAYOUT_VERSION}`)
    }
    this.buckets = this.words[BUCKETS]!
    this.columns = this.words[COLUMNS]!
    this.#headsAt = headsAt(this.columns)
    this.#entriesAt = entriesAt(this.columns, this.buckets)
    if (sessionTableBytes(this.buckets * BUCKET_PLACES, this.columns) !== shared.byteLength) {
      throw new RangeError(`the session table says ${this.buckets} buckets, and its memory has another size`)
    }
  }

  get capacity(): number {
    return this.buckets * BUCKET_PLACES
  }

  /** First word of a column's row. */
  rowAt(column: number): number {
    return (1 + column) * ROW_WORDS
  }

  /** First float of a column's row. */
  countsAt(column: number): number {
    return this.rowAt(column) / 2
  }

  /** One of the counts, added up over all columns. */
  sum(count: number): number {
    let total = 0
    for (let column = 0; column < this.columns; column++) total += this.counts[this.countsAt(column) + count]!
    return total
  }

  /** First word of a bucket's head; `LOCK`, `SEQUENCE` and `TAGS` count from it. */
  headAt(bucket: number): number {
    return this.#headsAt + bucket * HEAD_WORDS
  }

  /** Index, in `tags`, of a bucket's first tag. */
  tagsAt(bucket: number): number {
    return (this.#headsAt + bucket * HEAD_WORDS + TAGS) * 2
  }

  /** First word of the entry in a place of a bucket. */
  entryAt(bucket: number, place: number): number {
    return this.#entriesAt + (bucket * BUCKET_PLACES + place) * ENTRY_WORDS
  }
}
