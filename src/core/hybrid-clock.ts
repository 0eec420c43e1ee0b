import type { HybridClock, Stamp } from './mesh.js'

/** 2020-01-01, so that 42 bits of milliseconds last until 2159. */
export const STAMP_EPOCH_MS = 1_577_836_800_000
export const COUNTER_BITS = 12
export const NODE_BITS = 10
const MS_LOW_BITS = 32 - COUNTER_BITS - NODE_BITS
const MS_LOW = 2 ** MS_LOW_BITS
const COUNTER_STEP = 2 ** NODE_BITS

/** Whether stamp a is before stamp b. */
export function isEarlier(aHigh: number, aLow: number, bHigh: number, bLow: number): boolean {
  const a = aHigh >>> 0
  const b = bHigh >>> 0
  return a < b || (a === b && aLow >>> 0 < bLow >>> 0)
}

/** The wall clock's time in a stamp, in milliseconds since the epoch. */
export function stampMs(high: number, low: number): number {
  return STAMP_EPOCH_MS + (high >>> 0) * MS_LOW + (low >>> (COUNTER_BITS + NODE_BITS))
}

/** No other host takes a stamp that is a minute ahead; at twice that, even hosts whose own clocks are late refuse it. */
export const LOST_AHEAD_MS = 120_000

/**
 * Whether a clock's last stamp is so far ahead of its wall clock that it must begin anew: the wall clock was far ahead and
 * was set right. Nobody has taken what it stamped then, and would take nothing until that time has come.
 */
export function isLost(last: Stamp, now: Stamp): boolean {
  return ((last.high >>> 0) - (now.high >>> 0)) * MS_LOW > LOST_AHEAD_MS
}

/** The same of a stamp and a wall clock. */
export function isLostAt({ high, low }: Readonly<Stamp>, wallMs: number): boolean {
  return stampMs(high, low) - wallMs > LOST_AHEAD_MS
}

/** The first stamp of a millisecond. */
export function stampAt(wallMs: number, into: Stamp): void {
  const ms = Math.max(0, Math.floor(wallMs) - STAMP_EPOCH_MS)
  into.high = Math.floor(ms / MS_LOW) | 0
  into.low = ((ms % MS_LOW) << (COUNTER_BITS + NODE_BITS)) | 0
}

/** The first stamp of host `node` after a given one. More within a millisecond than the counter holds runs on into the next. */
export function stampAfter(high: number, low: number, node: number, into: Stamp): void {
  const base = (low & ~(COUNTER_STEP - 1)) >>> 0
  const next = base + COUNTER_STEP
  into.high = next > 0xffffffff ? (high + 1) | 0 : high | 0
  into.low = next | node | 0
}

/** A host's ten bits, by its name; hosts whose bits meet still agree, since equal stamps are told apart by content. */
export function nodeBits(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return ((hash >>> 16) ^ hash) & (COUNTER_STEP - 1)
}

/** One thread's clock. */
export class LocalHybridClock implements HybridClock {
  readonly #wallMs: () => number
  readonly #node: number
  readonly #last: Stamp = { high: 0, low: 0 }
  readonly #now: Stamp = { high: 0, low: 0 }

  constructor(node: string, wallMs: () => number) {
    this.#node = nodeBits(node)
    this.#wallMs = wallMs
  }

  next(into: Stamp): void {
    const last = this.#last
    const now = this.#now
    stampAt(this.#wallMs(), now)
    const later = isEarlier(last.high, last.low, now.high, now.low) || isLost(last, now) ? now : last
    stampAfter(later.high, later.low, this.#node, last)
    into.high = last.high
    into.low = last.low
  }

  witness(high: number, low: number): void {
    const last = this.#last
    if (!isEarlier(last.high, last.low, high, low)) return
    last.high = high
    last.low = low
  }
}
