// Hot path: once or twice per accepted connection. Plain words and atomics; nothing is allocated.
import { randomBytes } from 'node:crypto'
import type { SharedSources } from '../core/shared-counters.js'

/**
 * What is counted by source: an IPv4 address, or the /64 of an IPv6 one. All threads share it.
 *
 * Sources lie in buckets of `WAYS`, found by a keyed hash. A source takes the place of one that has no connection open and
 * was seen longest ago; where all of a bucket have connections open it is not counted at all, which `UNCOUNTED` tells.
 * A place is 16 words, one cache line:
 * [0] [1] key · [2] connections open, negative while the place changes hands · [3] second it was seen last
 * · [4–6] when each of its rates has no debt left, in microseconds modulo 2^32 · [7] second that the log last told of it.
 */
const ENTRY_WORDS = 16
const KEY_HIGH = 0
const KEY_LOW = 1
const OPEN = 2
const SEEN = 3
const RATES = 4
const TOLD = 7

/** The rates of a source, each held to a limit of its own. */
export const RATE_CONNECTIONS = 0
export const RATE_REQUESTS = 1
export const RATE_HANDSHAKES = 2
export type SourceRate = typeof RATE_CONNECTIONS | typeof RATE_REQUESTS | typeof RATE_HANDSHAKES

const WAYS = 8
/** No source has this many: a place whose count is negative is being given to somebody else. */
const CHANGING = -(2 ** 30)
/** A place that nobody asked for in so long has nothing left to remember. */
const FORGET_S = 120

/** 8 MiB; as much of it is real memory as sources were seen. */
const SOURCES = 2 ** 17
const SEED_BYTES = 16

/** Words of `stats`. */
const UNCOUNTED = 0
const EVICTED = 1
const STATS = 2

/** No source: it is not counted. */
export const NO_SOURCE = -1

/** `columns` threads count, the primary among them. */
export function createSources(
  columns: number,
  capacity = SOURCES,
  seed: Uint8Array = randomBytes(SEED_BYTES),
): SharedSources {
  if (capacity < WAYS || (capacity & (capacity - 1)) !== 0) throw new RangeError(`${capacity} is no power of two`)
  if (seed.length !== SEED_BYTES) throw new RangeError(`a seed has ${SEED_BYTES} bytes, not ${seed.length}`)
  return {
    capacity,
    words: new SharedArrayBuffer(capacity * ENTRY_WORDS * Int32Array.BYTES_PER_ELEMENT),
    owned: new SharedArrayBuffer(capacity * columns * Int32Array.BYTES_PER_ELEMENT),
    stats: new SharedArrayBuffer(STATS * Int32Array.BYTES_PER_ELEMENT),
    seed,
  }
}

export class SourceTable {
  readonly capacity: number
  readonly #words: Int32Array
  readonly #owned: Int32Array
  readonly #stats: Int32Array
  readonly #seed: Int32Array
  readonly #bucketMask: number
  readonly #column: number

  /** `column` is this thread's: only it writes what the thread has open. */
  constructor({ capacity, words, owned, stats, seed }: SharedSources, column: number) {
    this.capacity = capacity
    this.#words = new Int32Array(words)
    this.#owned = new Int32Array(owned)
    this.#stats = new Int32Array(stats)
    this.#seed = new Int32Array(seed.slice().buffer)
    this.#bucketMask = capacity / WAYS - 1
    this.#column = column
  }

  /** Sources that were not counted since all their bucket's places had connections open. */
  get uncounted(): number {
    return Atomics.load(this.#stats, UNCOUNTED)
  }

  /** Sources that were forgotten for another one before their time. */
  get evicted(): number {
    return Atomics.load(this.#stats, EVICTED)
  }

  /**
   * The place of a source, which is its own from now on for as long as connections are open: it may be given to another
   * source before the next call otherwise. `NO_SOURCE` where none is to be had.
   */
  place(high: number, low: number, nowS: number): number {
    const words = this.#words
    const first = this.#bucket(high, low) * WAYS
    for (let way = 0; way < WAYS; way++) {
      const at = (first + way) * ENTRY_WORDS
      if (words[at + KEY_LOW] === low && words[at + KEY_HIGH] === high && words[at + SEEN] !== 0) {
        words[at + SEEN] = nowS
        return first + way
      }
    }
    return this.#claim(first, high, low, nowS)
  }

  /** Whether the place is still that source's. */
  isOf(place: number, high: number, low: number): boolean {
    const at = place * ENTRY_WORDS
    return this.#words[at + KEY_LOW] === low && this.#words[at + KEY_HIGH] === high
  }

  open(place: number): number {
    return Math.max(0, Atomics.load(this.#words, place * ENTRY_WORDS + OPEN))
  }

  /** One more is open. False where the place was given to another source meanwhile: nothing is counted then. */
  enter(place: number, high: number, low: number): boolean {
    const at = place * ENTRY_WORDS
    const before = Atomics.add(this.#words, at + OPEN, 1)
    if (before >= 0 && this.isOf(place, high, low)) return true
    Atomics.sub(this.#words, at + OPEN, 1)
    return false
  }

  /** One that was counted is closed, before any thread took it on. */
  leave(place: number): void {
    Atomics.sub(this.#words, place * ENTRY_WORDS + OPEN, 1)
  }

  /** This thread has taken on a connection that is counted. */
  own(place: number): void {
    this.#owned[this.#column * this.capacity + place]!++
  }

  /** A connection that this thread owns is closed. */
  disown(place: number): void {
    this.#owned[this.#column * this.capacity + place]!--
    this.leave(place)
  }

  /** A thread died, and its connections with it. The primary's. */
  fold(column: number): void {
    const from = column * this.capacity
    for (let place = 0; place < this.capacity; place++) {
      const owned = this.#owned[from + place]!
      if (owned === 0) continue
      this.#owned[from + place] = 0
      Atomics.sub(this.#words, place * ENTRY_WORDS + OPEN, owned)
    }
  }

  /**
   * Counts one event of a rate that allows one each `intervalUs`, and `burstUs / intervalUs` at once. 0 where it is within
   * the rate, else the microseconds after which one would be; then nothing is counted. (The generic cell rate algorithm,
   * ITU-T I.371.)
   */
  take(place: number, rate: SourceRate, intervalUs: number, burstUs: number, nowUs: number): number {
    const words = this.#words
    const at = place * ENTRY_WORDS + RATES + rate
    for (;;) {
      const known = Atomics.load(words, at)
      // Beyond what can be owed, it is a time that is long past.
      const ahead = (known - nowUs) | 0
      const owed = ahead < 0 || ahead > burstUs ? 0 : ahead
      const wait = owed + intervalUs - burstUs
      if (wait > 0) return wait
      if (Atomics.compareExchange(words, at, known, (nowUs + owed + intervalUs) | 0) === known) return 0
    }
  }

  /** Whether the log may tell of this source: once each `everyS`. */
  tell(place: number, everyS: number, nowS: number): boolean {
    const at = place * ENTRY_WORDS + TOLD
    const told = Atomics.load(this.#words, at)
    if (told !== 0 && nowS - told < everyS) return false
    return Atomics.compareExchange(this.#words, at, told, nowS) === told
  }

  /** A place for a source that has none: free, or that of the one seen longest ago that has nothing open. */
  #claim(first: number, high: number, low: number, nowS: number): number {
    const words = this.#words
    for (let tries = 0; tries < WAYS; tries++) {
      let best = NO_SOURCE
      let bestSeen = 0
      for (let way = 0; way < WAYS; way++) {
        const at = (first + way) * ENTRY_WORDS
        if (Atomics.load(words, at + OPEN) !== 0) continue
        const seen = words[at + SEEN]!
        if (best >= 0 && seen >= bestSeen) continue
        best = first + way
        bestSeen = seen
      }
      if (best < 0) break
      const at = best * ENTRY_WORDS
      if (Atomics.compareExchange(words, at + OPEN, 0, CHANGING) !== 0) continue
      if (bestSeen !== 0 && nowS - bestSeen < FORGET_S) Atomics.add(this.#stats, EVICTED, 1)
      words[at + KEY_HIGH] = high
      words[at + KEY_LOW] = low
      for (let word = RATES; word <= TOLD; word++) words[at + word] = 0
      words[at + SEEN] = nowS
      // Release: whoever counts in it sees whose it is. Others may have added and are about to take that back.
      Atomics.sub(words, at + OPEN, CHANGING)
      return best
    }
    Atomics.add(this.#stats, UNCOUNTED, 1)
    return NO_SOURCE
  }

  /** Keyed, and each source of one network falls elsewhere. */
  #bucket(high: number, low: number): number {
    const seed = this.#seed
    let hash = Math.imul(low ^ seed[0]!, 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ high ^ seed[1]!, 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ seed[2]!, 0x27d4eb2f)
    hash = Math.imul(hash ^ (hash >>> 16) ^ seed[3]!, 0x165667b1)
    return (hash ^ (hash >>> 15)) & this.#bucketMask
  }
}
