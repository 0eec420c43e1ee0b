// Hot path: one entry of the session table, read and written. No allocation: so no time is handed from one function to
// another, since it does not fit 32 bits and would travel as an object wherever the engine does not inline.
import type { Clock } from '../core/clock.js'
import type { SessionKey, StickyEntry } from '../core/session-store.js'
import {
  ENTRY_CHECKSUM,
  ENTRY_EXPIRES_HIGH,
  ENTRY_EXPIRES_LOW,
  ENTRY_GENERATION,
  ENTRY_GROUP,
  ENTRY_KEY,
  ENTRY_TARGET,
  ENTRY_TOUCHED_HIGH,
  ENTRY_TOUCHED_LOW,
  ENTRY_VERSION_HIGH,
  ENTRY_VERSION_LOW,
  GROUP_MASK,
  USED_BIT,
} from './sessions-layout.js'

const TWO_32 = 2 ** 32
const MAX_MS = Number.MAX_SAFE_INTEGER

/** The bucket a key lies in where there is a choice; a multiplication spreads the word over any number of buckets. */
export function homeOf(key: SessionKey, buckets: number): number {
  return (((key[0]! >>> 0) * buckets) / TWO_32) | 0
}

/** The key's other bucket, always another one than `home`. Which is the greater is anyone's guess: so no branch asks. */
export function otherOf(key: SessionKey, buckets: number, home: number): number {
  const other = (((key[1]! >>> 0) * (buckets - 1)) / TWO_32) | 0
  return other + 1 + ((other - home) >> 31)
}

/** 16 bits of the key that the buckets are not chosen by; never 0, which says that the place is free. */
export function tagOf(key: SessionKey): number {
  return key[2]! & 0xffff || 1
}

/**
 * Which of the 12 tags from `at` on are this one, two at a time and without branches: bits 0–5 stand for the lower halves
 * of the six words, bits 16–21 for the upper ones. Beside a match it may name a place wrongly: the key there decides.
 */
export function tagMatches(words: Int32Array, at: number, tag: number): number {
  const pair = tag | (tag << 16)
  return (
    (zeroHalves(words[at]! ^ pair) >>> 15) |
    (zeroHalves(words[at + 1]! ^ pair) >>> 14) |
    (zeroHalves(words[at + 2]! ^ pair) >>> 13) |
    (zeroHalves(words[at + 3]! ^ pair) >>> 12) |
    (zeroHalves(words[at + 4]! ^ pair) >>> 11) |
    (zeroHalves(words[at + 5]! ^ pair) >>> 10)
  )
}

/** The top bit of each 16-bit half that is zero; of an upper half that is 1 as well, where the lower one is zero. */
function zeroHalves(word: number): number {
  return (word - 0x10001) & ~word & 0x80008000
}

/** The lowest bit of what `tagMatches` said, as a number. */
export function lowestBit(matches: number): number {
  return 31 - Math.clz32(matches & -matches)
}

/** The place in its bucket that a bit of `tagMatches` stands for. */
export function placeOfBit(bit: number): number {
  return ((bit & 7) << 1) | (bit >>> 4)
}

/**
 * The checksum over the 13 words of an entry before it, in two chains that a processor runs side by side. A mix of two
 * states of an entry passes once in 2^32; an entry of zeros does not.
 */
function checksum(
  key0: number,
  key1: number,
  key2: number,
  key3: number,
  group: number,
  target: number,
  generation: number,
  expiresHigh: number,
  expiresLow: number,
  touchedHigh: number,
  touchedLow: number,
  versionHigh: number,
  versionLow: number,
): number {
  let even = mixEven(0x243f6a88, key0)
  let odd = mixOdd(0x13198a2e, key1)
  even = mixEven(even, key2)
  odd = mixOdd(odd, key3)
  even = mixEven(even, group)
  odd = mixOdd(odd, target)
  even = mixEven(even, generation)
  odd = mixOdd(odd, expiresHigh)
  even = mixEven(even, expiresLow)
  odd = mixOdd(odd, touchedHigh)
  even = mixEven(even, touchedLow)
  odd = mixOdd(odd, versionHigh)
  even = mixEven(even, versionLow)
  return Math.imul(even ^ (even >>> 15), 0xc2b2ae3d) ^ odd
}

function mixEven(state: number, word: number): number {
  const product = Math.imul(state ^ word, 0x9e3779b1)
  return (product << 15) | (product >>> 17)
}

function mixOdd(state: number, word: number): number {
  const product = Math.imul(state ^ word, 0x85ebca77)
  return (product << 13) | (product >>> 19)
}

export function hasKey(words: Int32Array, at: number, key: SessionKey): boolean {
  return (
    words[at + ENTRY_KEY] === key[0] &&
    words[at + ENTRY_KEY + 1] === key[1] &&
    words[at + ENTRY_KEY + 2] === key[2] &&
    words[at + ENTRY_KEY + 3] === key[3]
  )
}

/**
 * Reads the entry of a key that `hasKey` saw there, whether or not somebody is writing it: every word once, and what is
 * checked is what is used. False, with anything in `into`, unless all of it belongs together and to the key.
 */
export function readEntry(words: Int32Array, at: number, key: SessionKey, into: StickyEntry): boolean {
  const group = words[at + ENTRY_GROUP]!
  const target = words[at + ENTRY_TARGET]!
  const generation = words[at + ENTRY_GENERATION]!
  const expiresHigh = words[at + ENTRY_EXPIRES_HIGH]!
  const expiresLow = words[at + ENTRY_EXPIRES_LOW]!
  const touchedHigh = words[at + ENTRY_TOUCHED_HIGH]!
  const touchedLow = words[at + ENTRY_TOUCHED_LOW]!
  const versionHigh = words[at + ENTRY_VERSION_HIGH]!
  const versionLow = words[at + ENTRY_VERSION_LOW]!
  into.group = group & GROUP_MASK
  into.used = group < 0
  into.targetSlot = target
  into.generation = generation
  into.expiresMs = expiresHigh * TWO_32 + (expiresLow >>> 0)
  into.touchedMs = touchedHigh * TWO_32 + (touchedLow >>> 0)
  into.versionHigh = versionHigh
  into.versionLow = versionLow
  return (
    words[at + ENTRY_CHECKSUM] ===
    checksum(
      key[0]!,
      key[1]!,
      key[2]!,
      key[3]!,
      group,
      target,
      generation,
      expiresHigh,
      expiresLow,
      touchedHigh,
      touchedLow,
      versionHigh,
      versionLow,
    )
  )
}

/** The checksum that the entry's words ought to have. */
export function checksumOf(words: Int32Array, at: number): number {
  return checksum(
    words[at + ENTRY_KEY]!,
    words[at + ENTRY_KEY + 1]!,
    words[at + ENTRY_KEY + 2]!,
    words[at + ENTRY_KEY + 3]!,
    words[at + ENTRY_GROUP]!,
    words[at + ENTRY_TARGET]!,
    words[at + ENTRY_GENERATION]!,
    words[at + ENTRY_EXPIRES_HIGH]!,
    words[at + ENTRY_EXPIRES_LOW]!,
    words[at + ENTRY_TOUCHED_HIGH]!,
    words[at + ENTRY_TOUCHED_LOW]!,
    words[at + ENTRY_VERSION_HIGH]!,
    words[at + ENTRY_VERSION_LOW]!,
  )
}

export function isLive(words: Int32Array, at: number, clock: Clock): boolean {
  return words[at + ENTRY_EXPIRES_HIGH]! * TWO_32 + (words[at + ENTRY_EXPIRES_LOW]! >>> 0) > clock.steadyMs
}

/** True when the client of the entry has come back with it. */
export function isUsed(words: Int32Array, at: number): boolean {
  return words[at + ENTRY_GROUP]! < 0
}

/** True when the first entry makes room before the second: expired ones do, then unused ones, then the next to expire. */
export function goesBefore(words: Int32Array, at: number, otherAt: number, clock: Clock): boolean {
  const live = isLive(words, at, clock)
  if (live !== isLive(words, otherAt, clock)) return !live
  const used = isUsed(words, at)
  if (live && used !== isUsed(words, otherAt)) return !used
  return isLess(
    words[at + ENTRY_EXPIRES_HIGH]!,
    words[at + ENTRY_EXPIRES_LOW]!,
    words[otherAt + ENTRY_EXPIRES_HIGH]!,
    words[otherAt + ENTRY_EXPIRES_LOW]!,
  )
}

/** True when a write with this version must leave the entry alone. */
export function hasNewer(words: Int32Array, at: number, versionHigh: number, versionLow: number): boolean {
  return isLess(versionHigh, versionLow, words[at + ENTRY_VERSION_HIGH]!, words[at + ENTRY_VERSION_LOW]!)
}

/** Writes all of an entry, with `used` in place of the session's. The bucket's lock is the caller's, and its sequence is odd. */
export function writeEntry(
  words: Int32Array,
  at: number,
  key: SessionKey,
  session: Readonly<StickyEntry>,
  used: boolean,
): void {
  words[at + ENTRY_KEY] = key[0]!
  words[at + ENTRY_KEY + 1] = key[1]!
  words[at + ENTRY_KEY + 2] = key[2]!
  words[at + ENTRY_KEY + 3] = key[3]!
  words[at + ENTRY_GROUP] = used ? session.group | USED_BIT : session.group
  words[at + ENTRY_TARGET] = session.targetSlot
  words[at + ENTRY_GENERATION] = session.generation
  words[at + ENTRY_VERSION_HIGH] = session.versionHigh
  words[at + ENTRY_VERSION_LOW] = session.versionLow
  // What is no time at all is long past, or as far off as can be. Words cut off what is behind the point by themselves.
  const expires = session.expiresMs >= 0 ? Math.min(session.expiresMs, MAX_MS) : 0
  words[at + ENTRY_EXPIRES_HIGH] = expires / TWO_32
  words[at + ENTRY_EXPIRES_LOW] = expires
  const touched = session.touchedMs >= 0 ? Math.min(session.touchedMs, MAX_MS) : 0
  words[at + ENTRY_TOUCHED_HIGH] = touched / TWO_32
  words[at + ENTRY_TOUCHED_LOW] = touched
  words[at + ENTRY_CHECKSUM] = checksumOf(words, at)
}

/**
 * Marks an entry as used and moves its times on: last use to `clock`'s now, expiry to `timeoutMs` after it, each unless it is later already.
 * Caller as for `writeEntry`.
 */
export function touchEntry(words: Int32Array, at: number, clock: Clock, timeoutMs: number): void {
  const now = clock.steadyMs
  words[at + ENTRY_GROUP]! |= USED_BIT
  if (now > words[at + ENTRY_TOUCHED_HIGH]! * TWO_32 + (words[at + ENTRY_TOUCHED_LOW]! >>> 0)) {
    words[at + ENTRY_TOUCHED_HIGH] = now / TWO_32
    words[at + ENTRY_TOUCHED_LOW] = now
  }
  const expires = Math.min(now + timeoutMs, MAX_MS)
  if (expires > words[at + ENTRY_EXPIRES_HIGH]! * TWO_32 + (words[at + ENTRY_EXPIRES_LOW]! >>> 0)) {
    words[at + ENTRY_EXPIRES_HIGH] = expires / TWO_32
    words[at + ENTRY_EXPIRES_LOW] = expires
  }
  words[at + ENTRY_CHECKSUM] = checksumOf(words, at)
}

/** A time as it is read again once it was written. */
export function wholeMs(ms: number): number {
  return ms >= 0 ? Math.floor(Math.min(ms, MAX_MS)) : 0
}

/** Compares unsigned 64-bit numbers, each in two words of either sign. */
export function isLess(high: number, low: number, thanHigh: number, thanLow: number): boolean {
  const a = high >>> 0
  const b = thanHigh >>> 0
  return a < b || (a === b && low >>> 0 < thanLow >>> 0)
}
