import type { Columns } from '../shm/columns.js'
import {
  SOURCE_BUCKETS,
  SOURCE_ROWS,
  TARGET_BAD_OUTCOMES,
  TARGET_GOOD_OUTCOMES,
  TARGET_SOURCES,
} from '../shm/layout.js'
import type { SlotCounters } from '../shm/slot-counters.js'

/** A window moves in so many steps. */
export const WINDOW_STEPS = 10
const KEPT = WINDOW_STEPS + 1
const SOURCE_WORDS = SOURCE_ROWS * SOURCE_BUCKETS
const NONE = new Float64Array(SOURCE_WORDS)

/** What became of a target's requests within a window. */
export interface Outcomes {
  readonly good: number
  readonly bad: number
  /** The most of the bad ones that any single source can have had. */
  readonly heaviest: number
}

/** The totals as they were. */
interface Step {
  atMs: number
  good: number
  bad: number
  sources: Float64Array
}

export const NO_OUTCOMES: Outcomes = { good: 0, bad: 0, heaviest: 0 }

/**
 * One target's outcomes over the last `windowMs`, as one thread sees them: the totals of all threads, remembered step by
 * step. Requests cost nothing beyond their counters; what is read here is read ten times a window, and at a failure.
 */
export class FailureWindow {
  readonly #counters: SlotCounters
  readonly #windowMs: number
  /** Made as they come: most targets of a large configuration are new, and thousands of them may come at once. */
  readonly #steps: Step[] = []
  /** The oldest step that is kept. */
  #first = 0

  constructor(columns: Columns, slot: number, windowMs: number) {
    this.#counters = columns.target(slot)
    this.#windowMs = windowMs
  }

  /** Remembers the totals as they are, once a step. Milliseconds of a monotonic clock. */
  step(nowMs: number): void {
    const steps = this.#steps
    const before = steps.length === 0 ? undefined : steps[(this.#first + steps.length - 1) % steps.length]!
    if (before !== undefined && nowMs - before.atMs < this.#windowMs / WINDOW_STEPS) return
    const good = this.#total(TARGET_GOOD_OUTCOMES)
    const bad = this.#total(TARGET_BAD_OUTCOMES)
    const sources = before?.bad === bad ? before.sources : this.#readSources(bad)
    if (steps.length < KEPT) {
      steps.push({ atMs: nowMs, good, bad, sources })
      return
    }
    const oldest = steps[this.#first]!
    oldest.atMs = nowMs
    oldest.good = good
    oldest.bad = bad
    oldest.sources = sources
    this.#first = (this.#first + 1) % KEPT
  }

  /** What was before counts no more. */
  restart(nowMs: number): void {
    this.#steps.length = 0
    this.#first = 0
    this.step(nowMs)
  }

  outcomes(nowMs: number): Outcomes {
    const steps = this.#steps
    let at = this.#first
    for (let i = 1; i < steps.length && nowMs - steps[at]!.atMs > this.#windowMs; i++) at = (at + 1) % steps.length
    const before = steps[at]!
    const good = this.#total(TARGET_GOOD_OUTCOMES) - before.good
    const bad = this.#total(TARGET_BAD_OUTCOMES) - before.bad
    return { good, bad, heaviest: bad === 0 ? 0 : this.#heaviest(before.sources) }
  }

  /**
   * A source's failures are in one bucket of each row, with those of others: so it has no more than the fullest bucket of
   * a row has, whichever row that is.
   */
  #heaviest(before: Float64Array): number {
    let least = Number.POSITIVE_INFINITY
    for (let row = 0; row < SOURCE_ROWS; row++) {
      let fullest = 0
      for (let i = row * SOURCE_BUCKETS; i < (row + 1) * SOURCE_BUCKETS; i++) {
        fullest = Math.max(fullest, this.#total(TARGET_SOURCES + i) - before[i]!)
      }
      least = Math.min(least, fullest)
    }
    return least
  }

  #readSources(bad: number): Float64Array {
    if (bad === 0) return NONE
    const read = new Float64Array(SOURCE_WORDS)
    for (let i = 0; i < SOURCE_WORDS; i++) read[i] = this.#total(TARGET_SOURCES + i)
    return read
  }

  #total(word: number): number {
    return this.#counters.sum(word)
  }
}

/** Counts a bad outcome that a client can provoke, in the column of words that begins at `at`. */
export function countSource(words: Float64Array, at: number, source: number): void {
  for (let row = 0; row < SOURCE_ROWS; row++) {
    const bucket = (source >>> (row * 4)) % SOURCE_BUCKETS
    words[at + TARGET_SOURCES + row * SOURCE_BUCKETS + bucket]!++
  }
}
