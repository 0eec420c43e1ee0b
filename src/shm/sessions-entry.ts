// Hot path: one entry of the session table, read and written. No allocation.
import type { Session, SessionKey } from '../core/session-store.js'
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
  ENTRY_WORDS,
  TAG_WORDS,
} from './sessions-layout.js'

const TWO_32 = 2 ** 32

/** The bucket a key lies in where there is a choice; a multiplication spreads the word over any number of buckets. */
export function homeOf(key: SessionKey, buckets: number): number {
  return (((key[0]! >>> 0) * buckets) / TWO_32) | 0
}

/** The key's other bucket, always another one than `home`. */
export function otherOf(key: SessionKey, buckets: number, home: number): number {
  const other = (((key[1]! >>> 0) * (buckets - 1)) / TWO_32) | 0
  return other >= home ? other + 1 : other
}

/** 16 bits of the key that the buckets are not chosen by; never 0, which says that the place is free. */
export function tagOf(key: SessionKey): number {
  return key[2]! & 0xffff || 1
}

/**
 * Which of a bucket's 16 tags are this one. They are compared two by two, without a branch that a processor could guess
 * wrong: bits 0–7 stand for the lower halves of the eight words from `at` on, bits 16–23 for the upper ones.
 */
export function tagMatches(words: Int32Array, at: number, tag: number): number {
  const pair = Math.imul(tag, 0x10001)
  let matches = 0
  for (let i = 0; i < TAG_WORDS; i++) {
    // Zero in each half that is the same; then the top bit of a half is set only where all its bits are zero.
    const differing = words[at + i]! ^ pair
    const equal = ~(((differing & 0x7fff7fff) + 0x7fff7fff) | differing | 0x7fff7fff)
    matches |= equal >>> (15 - i)
  }
  return matches
}

/** The place that the lowest bit of `tagMatches` stands for. */
export function placeOfLowest(matches: number): number {
  const bit = 31 - Math.clz32(matches & -matches)
  return ((bit & 7) << 1) | (bit >>> 4)
}

/**
 * Over the 13 words before the checksum, in two chains that a processor runs side by side. A mix of two states of an entry
 * passes once in 2^32; an entry of zeros does not.
 */
export function checksumOf(words: Int32Array, at: number): number {
  let even = 0x243f6a88
  let odd = 0x13198a2e
  for (let i = 0; i < ENTRY_CHECKSUM - 1; i += 2) {
    even = Math.imul(even ^ words[at + i]!, 0x9e3779b1 | 0)
    even ^= even >>> 15
    odd = Math.imul(odd ^ words[at + i + 1]!, 0x85ebca77 | 0)
    odd ^= odd >>> 13
  }
  even = Math.imul(even ^ words[at + ENTRY_CHECKSUM - 1]!, 0x9e3779b1 | 0)
  even ^= even >>> 15
  return Math.imul(even, 0xc2b2ae3d | 0) ^ odd
}

export function hasKey(words: Int32Array, at: number, key: SessionKey): boolean {
  return (
    words[at + ENTRY_KEY] === key[0] &&
    words[at + ENTRY_KEY + 1] === key[1] &&
    words[at + ENTRY_KEY + 2] === key[2] &&
    words[at + ENTRY_KEY + 3] === key[3]
  )
}

/** Copies an entry out of shared memory, into thread-own words; what is checked is then what is used. True when whole. */
export function copyEntry(words: Int32Array, at: number, into: Int32Array): boolean {
  for (let i = 0; i < ENTRY_WORDS; i++) into[i] = words[at + i]!
  return isWhole(into, 0)
}

export function isWhole(words: Int32Array, at: number): boolean {
  return checksumOf(words, at) === words[at + ENTRY_CHECKSUM]
}

export function expiresMs(words: Int32Array, at: number): number {
  return words[at + ENTRY_EXPIRES_HIGH]! * TWO_32 + (words[at + ENTRY_EXPIRES_LOW]! >>> 0)
}

export function touchedMs(words: Int32Array, at: number): number {
  return words[at + ENTRY_TOUCHED_HIGH]! * TWO_32 + (words[at + ENTRY_TOUCHED_LOW]! >>> 0)
}

/** Fills the session from an entry that `copyEntry` copied. */
export function readSession(words: Int32Array, into: Session): void {
  into.group = words[ENTRY_GROUP]!
  into.targetSlot = words[ENTRY_TARGET]!
  into.generation = words[ENTRY_GENERATION]!
  into.expiresMs = expiresMs(words, 0)
  into.touchedMs = touchedMs(words, 0)
  into.versionHigh = words[ENTRY_VERSION_HIGH]! >>> 0
  into.versionLow = words[ENTRY_VERSION_LOW]! >>> 0
}

/** Writes all of an entry. The bucket's lock is the caller's, and its sequence is odd. */
export function writeEntry(words: Int32Array, at: number, key: SessionKey, session: Readonly<Session>): void {
  words[at + ENTRY_KEY] = key[0]!
  words[at + ENTRY_KEY + 1] = key[1]!
  words[at + ENTRY_KEY + 2] = key[2]!
  words[at + ENTRY_KEY + 3] = key[3]!
  words[at + ENTRY_GROUP] = session.group
  words[at + ENTRY_TARGET] = session.targetSlot
  words[at + ENTRY_GENERATION] = session.generation
  words[at + ENTRY_VERSION_HIGH] = session.versionHigh
  words[at + ENTRY_VERSION_LOW] = session.versionLow
  writeTimes(words, at, session.expiresMs, session.touchedMs)
}

/** Writes when the session expires and was last used, and the checksum. Caller as for `writeEntry`. */
export function writeTimes(words: Int32Array, at: number, expires: number, touched: number): void {
  const expiresWhole = wholeMs(expires)
  const touchedWhole = wholeMs(touched)
  words[at + ENTRY_EXPIRES_HIGH] = expiresWhole / TWO_32
  words[at + ENTRY_EXPIRES_LOW] = expiresWhole
  words[at + ENTRY_TOUCHED_HIGH] = touchedWhole / TWO_32
  words[at + ENTRY_TOUCHED_LOW] = touchedWhole
  words[at + ENTRY_CHECKSUM] = checksumOf(words, at)
}

/** A time as it is kept: no fraction, and what is no time at all is long past or as far off as can be. */
export function wholeMs(ms: number): number {
  if (ms >= Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
  return ms >= 0 ? Math.floor(ms) : 0
}

/** Versions are unsigned; a word may come as either sign. */
export function isOlder(high: number, low: number, thanHigh: number, thanLow: number): boolean {
  const a = high >>> 0
  const b = thanHigh >>> 0
  return a < b || (a === b && low >>> 0 < thanLow >>> 0)
}
