// Hot path: workers count here on every request. No allocation, no bounds beyond the tables' own.
import { STEADY_ORIGIN_MS } from '../core/clock.js'
import type { Capacity, SharedCounters } from '../core/shared-counters.js'
import { GroupSources } from './group-sources.js'
import { createHeartbeats } from './heartbeats.js'
import {
  type ColumnLayout,
  columnBytes,
  columnLayout,
  HISTOGRAM_BUCKETS,
  HISTOGRAM_FIRST_OCTAVE,
  HISTOGRAM_OCTAVES,
  HISTOGRAM_SUM,
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_WORDS,
  SERIES_WORDS,
  TARGET_CONNECTIONS,
  TARGET_WORDS,
  TICKET_STRIDE,
  ticketBytes,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_DIALS_STARVED,
  WORKER_DIALS_WAITING,
  WORKER_SILENT,
  WORKER_SNAPSHOT,
  WORKER_TARGET_LISTS,
  WORKER_UPSTREAM_SOCKETS,
} from './layout.js'
import { createOutbox } from './outbox.js'
import { createSessionTable } from './sessions-layout.js'
import { HYBRID_CLOCK_BYTES } from './shared-hybrid-clock.js'
import { createTargetTable } from './targets.js'
import { WaitTable, waitTableBytes } from './waiting.js'

/** `replicated`: there is a mesh thread that reads outboxes. It has the session table's last column. */
export function createSharedCounters(capacity: Capacity, replicated = false): SharedCounters {
  const outboxes = Array.from({ length: replicated ? capacity.workers : 0 }, () => createOutbox())
  return {
    capacity,
    columns: new SharedArrayBuffer(columnBytes(capacity)),
    tickets: new SharedArrayBuffer(ticketBytes(capacity)),
    steadyOriginMs: STEADY_ORIGIN_MS,
    heartbeats: createHeartbeats(capacity),
    targets: createTargetTable(capacity),
    waiting: new SharedArrayBuffer(waitTableBytes(capacity)),
    sessions: createSessionTable(capacity.sessions, capacity.workers + 2),
    hybridClock: new SharedArrayBuffer(HYBRID_CLOCK_BYTES),
    outboxes,
  }
}

/** Every column, for readers; `sum` adds a word up over the primary's and all workers'. */
export class Columns {
  readonly layout: ColumnLayout
  readonly capacity: Capacity
  readonly words: Float64Array
  /** Places at targets with a limit, and who waits for them. */
  readonly waiting: WaitTable
  readonly #tickets: Int32Array

  constructor(shared: SharedCounters) {
    this.capacity = shared.capacity
    this.layout = columnLayout(shared.capacity)
    this.words = new Float64Array(shared.columns)
    this.waiting = new WaitTable(shared.waiting, shared.capacity)
    this.#tickets = new Int32Array(shared.tickets)
  }

  /** First word of a column; 0 is the primary's. */
  base(column: number): number {
    return column * this.layout.stride
  }

  workerAt(column: number): number {
    return this.base(column) + this.layout.worker
  }

  listenerAt(column: number, listener: number): number {
    return this.base(column) + this.layout.listeners + listener * LISTENER_WORDS
  }

  targetAt(column: number, target: number): number {
    return this.base(column) + this.layout.targets + target * TARGET_WORDS
  }

  inFlightAt(column: number, target: number): number {
    return this.base(column) + this.layout.inFlight + target
  }

  seriesAt(column: number, series: number): number {
    return this.base(column) + this.layout.series + series * SERIES_WORDS
  }

  /** The word at `offset` within a column, added up over all columns. */
  sum(offset: number): number {
    let total = 0
    for (let at = offset; at < this.words.length; at += this.layout.stride) total += this.words[at]!
    return total
  }

  /** The least that any worker has in this word of its own: for versions that each of them acknowledges. */
  leastOfWorkers(word: number): number {
    let least = Number.POSITIVE_INFINITY
    for (let column = 1; column <= this.capacity.workers; column++) {
      least = Math.min(least, this.words[this.workerAt(column) + word]!)
    }
    return least
  }

  inFlight(target: number): number {
    return this.sum(this.layout.inFlight + target)
  }

  /** Whether nothing is with the target and no connection to it is open, on any thread. */
  isTargetQuiet(target: number): boolean {
    return (
      this.inFlight(target) === 0 && this.sum(this.layout.targets + target * TARGET_WORDS + TARGET_CONNECTIONS) === 0
    )
  }

  /** Forgets what was counted for a target, in every column. Only the primary, once no thread knows the target any more. */
  clearTarget(target: number): void {
    for (let base = 0; base < this.words.length; base += this.layout.stride) {
      const at = base + this.layout.targets + target * TARGET_WORDS
      this.words.fill(0, at, at + TARGET_WORDS)
      this.words[base + this.layout.inFlight + target] = 0
    }
  }

  /** The group's next ticket, 0 to 2^32 − 1. The atomic add orders nothing else: a ticket is only a number. */
  nextTicket(group: number): number {
    return Atomics.add(this.#tickets, group * TICKET_STRIDE, 1) >>> 0
  }

  /** Whether the group's clients are one source or several. */
  sourcesOf(group: number, windowMs: number): GroupSources {
    return new GroupSources(this.#tickets, group, windowMs)
  }

  /**
   * A worker died: adds what it counted to the primary's column, so that totals never fall, and zeroes its own, so that
   * nothing it had open stays counted. Only the primary calls this, and only once the thread has ended.
   */
  retire(column: number): void {
    const from = this.base(column)
    this.waiting.retire(column, this.capacity.targets, (slot) => this.words[this.inFlightAt(column, slot)]!)
    for (const gauge of this.#gauges()) this.words[from + gauge] = 0
    for (let offset = 0; offset < this.layout.stride; offset++) {
      this.words[offset]! += this.words[from + offset]!
      this.words[from + offset] = 0
    }
  }

  /** Offsets of the words that say how much is open now, as against how much there ever was. */
  *#gauges(): Generator<number> {
    yield this.layout.worker + WORKER_CONNECTIONS_ACTIVE
    // Loop delay and idle connections describe a thread that is gone.
    for (let word = 2; word <= 5; word++) yield this.layout.worker + word
    yield this.layout.worker + WORKER_TARGET_LISTS
    yield this.layout.worker + WORKER_UPSTREAM_SOCKETS
    yield this.layout.worker + WORKER_DIALS_WAITING
    yield this.layout.worker + WORKER_DIALS_STARVED
    yield this.layout.worker + WORKER_SILENT
    yield this.layout.worker + WORKER_SNAPSHOT
    for (let i = 0; i < this.capacity.listeners; i++) {
      yield this.layout.listeners + i * LISTENER_WORDS + LISTENER_CONNECTIONS_ACTIVE
    }
    for (let i = 0; i < this.capacity.targets; i++) {
      yield this.layout.targets + i * TARGET_WORDS + TARGET_CONNECTIONS
      yield this.layout.inFlight + i
    }
  }
}

/** Counts one duration into the histogram that begins at word `at`. */
export function recordDuration(words: Float64Array, at: number, durationMs: number): void {
  words[at + bucketOf(durationMs)]!++
  words[at + HISTOGRAM_SUM]! += durationMs
}

const floatBits = new Float64Array(1)
const intBits = new Uint32Array(floatBits.buffer)
// Every machine Node runs on is little-endian: the exponent is in the second word.
const EXPONENT_WORD = 1

/** The bucket a duration falls into: read off the number's own exponent and first two bits of mantissa. */
export function bucketOf(durationMs: number): number {
  if (!(durationMs >= 2 ** HISTOGRAM_FIRST_OCTAVE)) return 0
  floatBits[0] = durationMs
  const high = intBits[EXPONENT_WORD]!
  const octave = (high >>> 20) - 1023 - HISTOGRAM_FIRST_OCTAVE
  if (octave >= HISTOGRAM_OCTAVES) return HISTOGRAM_BUCKETS - 1
  return 1 + octave * 4 + ((high >>> 18) & 3)
}

/** The upper bound, in milliseconds and not included, of a bucket; the last has none. */
export function bucketBoundMs(bucket: number): number {
  if (bucket >= HISTOGRAM_BUCKETS - 1) return Number.POSITIVE_INFINITY
  const octave = Math.floor(bucket / 4)
  return 2 ** (HISTOGRAM_FIRST_OCTAVE + octave) * (1 + (bucket % 4) / 4)
}
