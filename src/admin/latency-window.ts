import { quantileMs } from '../observe/histogram.js'
import type { Columns } from '../shm/columns.js'
import { HISTOGRAM_BUCKETS, TARGET_LATENCY } from '../shm/layout.js'
import { BUCKET_BOUNDS_MS } from './column-sums.js'

/** A window reaches back one to two of these. */
const ROTATE_MS = 30_000

/** Milliseconds; null where nothing was answered in the window. */
export interface Latency {
  readonly p50: number | null
  readonly p99: number | null
}

/**
 * Response times of the last minute or so. Shared memory counts since the process started, in which a slow minute soon
 * drowns: this keeps what had been counted 30 to 60 seconds ago, and quantiles are of the difference.
 */
export class LatencyWindow {
  readonly #columns: Columns
  readonly #targets: () => readonly { readonly slot: number }[]
  readonly #timer: NodeJS.Timeout
  readonly #now = new Float64Array(HISTOGRAM_BUCKETS)
  /** By slot. */
  #older = new Map<number, Float64Array>()
  #newer = new Map<number, Float64Array>()

  constructor(columns: Columns, targets: () => readonly { readonly slot: number }[]) {
    this.#columns = columns
    this.#targets = targets
    this.#timer = setInterval(() => this.rotate(), ROTATE_MS)
    this.#timer.unref()
  }

  of(target: number): Latency {
    const counts = this.#counts(target, this.#now)
    const before = this.#older.get(target)
    // A slot that was given to another target may have fallen: then all of it is new.
    if (before) for (let i = 0; i < counts.length; i++) counts[i] = Math.max(0, counts[i]! - before[i]!)
    return {
      p50: rounded(quantileMs(counts, BUCKET_BOUNDS_MS, 0.5)),
      p99: rounded(quantileMs(counts, BUCKET_BOUNDS_MS, 0.99)),
    }
  }

  rotate(): void {
    this.#older = this.#newer
    this.#newer = new Map(
      this.#targets().map(({ slot }) => [slot, this.#counts(slot, new Float64Array(HISTOGRAM_BUCKETS))]),
    )
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #counts(target: number, into: Float64Array): Float64Array {
    return this.#columns.target(target).sums(TARGET_LATENCY, into)
  }
}

/** To a microsecond: what lies below is not measured. */
const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms * 1000) / 1000)
