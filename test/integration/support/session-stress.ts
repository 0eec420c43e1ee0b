import type { StickyEntry } from '../../../src/core/session-store.js'
import { KeyHash } from '../../../src/shm/key-hash.js'

/**
 * Sessions in which every field follows from the others, so that no mixture of two of them, nor of two states of one, can
 * pass for a session: group, target and generation follow from the key and the version, the time between last use and
 * expiry from the key.
 */
export const STRESS_KEYS = 3_000

/** What all threads share beside the table, in 32-bit words. Time goes on by 1 with each operation of any thread. */
export const STOP = 0
export const TICK = 32
/** Each column's own words begin at 64 × (1 + column). */
export const OPERATIONS = 0
export const HITS = 1
export const TORN = 2
/** The first session that was wrong: key, group, target, generation, expiry, last use, version. */
export const WRONG = 3
export const stressRow = (column: number): number => 64 * (1 + column)

export interface StressTask {
  readonly table: SharedArrayBuffer
  readonly control: SharedArrayBuffer
  readonly column: number
  readonly seed: number
  /** The thread ends itself within its so-many-th Atomics call; 0 for never. */
  readonly diesAtCall: number
}

/** Every thread makes the same keys. */
export function stressKeys(): Int32Array[] {
  const hash = new KeyHash(Uint8Array.from({ length: 16 }, (_, i) => i))
  return Array.from({ length: STRESS_KEYS }, (_, n) => Int32Array.from(hash.of(1, Uint8Array.of(n, n >> 8), 0, 2)))
}

/** In ticks. Some sessions expire while they are looked at, others only when evicted. */
export function stressTimeout(n: number): number {
  return 200 + ((mixed(n, 0, 0, 9) >>> 0) % 60_000)
}

export function fillStressSession(into: StickyEntry, n: number, tick: number, nonce: number): void {
  into.versionHigh = tick | 0
  into.versionLow = nonce | 0
  into.group = mixed(n, into.versionHigh, into.versionLow, 1) >>> 1
  into.used = false
  into.targetSlot = mixed(n, into.versionHigh, into.versionLow, 2)
  into.generation = mixed(n, into.versionHigh, into.versionLow, 3)
  into.touchedMs = tick
  into.expiresMs = tick + stressTimeout(n)
}

/** True when the session can only be what one thread wrote, whole, for this key. */
export function isStressSession(session: Readonly<StickyEntry>, n: number): boolean {
  return (
    session.group === mixed(n, session.versionHigh, session.versionLow, 1) >>> 1 &&
    session.targetSlot === mixed(n, session.versionHigh, session.versionLow, 2) &&
    session.generation === mixed(n, session.versionHigh, session.versionLow, 3) &&
    session.expiresMs - session.touchedMs === stressTimeout(n) &&
    session.touchedMs >= session.versionHigh
  )
}

function mixed(a: number, b: number, c: number, d: number): number {
  let state = 0x2545f491
  for (const word of [a, b, c, d]) {
    state = Math.imul(state ^ word, 0x5bd1e995)
    state ^= state >>> 15
  }
  return Math.imul(state, 0x1b873593) | 0
}
