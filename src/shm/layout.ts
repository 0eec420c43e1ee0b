import { REASONS } from '../core/reasons.js'
import type { SlotCounts } from '../core/shared-counters.js'
import { TLS_FAULTS, TLS_VERSIONS } from '../core/tls.js'

/**
 * Where everything lies in shared memory; drawn in docs/SHARED-MEMORY.md. Counters are columns: column 0 belongs to the
 * primary (what dead workers left behind), column w to worker w, and only the owner writes its column. What is counted by
 * slot lies in segments, each with a part of every column. All words are 64-bit floats, which one thread writes whole and another reads whole on every machine that Node runs on; counts
 * stay exact to 2^53.
 */

/** Words per 128 bytes: two cache lines, because processors fetch lines in pairs. */
const PAD_WORDS = 16
const padded = (words: number): number => Math.ceil(words / PAD_WORDS) * PAD_WORDS

/** Histogram: four linear steps an octave from 2^−2 ms to 2^17 ms, one word below, one above, then sum (ms). */
export const HISTOGRAM_OCTAVES = 19
export const HISTOGRAM_FIRST_OCTAVE = -2
export const HISTOGRAM_BUCKETS = HISTOGRAM_OCTAVES * 4 + 2
export const HISTOGRAM_SUM = HISTOGRAM_BUCKETS
export const HISTOGRAM_WORDS = HISTOGRAM_BUCKETS + 1

/** Of a worker as a whole. Loop delay is over the last second. */
export const WORKER_CONNECTIONS_ACTIVE = 0
export const WORKER_CONNECTIONS_TOTAL = 1
export const WORKER_LOOP_DELAY_P50_MS = 2
export const WORKER_LOOP_DELAY_P99_MS = 3
export const WORKER_LOOP_DELAY_MAX_MS = 4
export const WORKER_UPSTREAM_IDLE = 5
export const WORKER_ACCESS_RECORDS_DROPPED = 6
export const WORKER_RETRIES_TOTAL = 7
/** The greatest version of a list of targets that the thread has taken on. */
export const WORKER_TARGET_LISTS = 8
/** Sockets to targets that the thread has open, idle ones included, and dials that wait for one. */
export const WORKER_UPSTREAM_SOCKETS = 9
export const WORKER_DIALS_WAITING = 10
/** Of these, those that the system itself had no socket for. */
export const WORKER_DIALS_STARVED = 11
/** Client connections on which nothing has come yet. */
export const WORKER_SILENT = 12
/** The version of the configuration's snapshot that the thread works by. */
export const WORKER_SNAPSHOT = 13
export const WORKER_WORDS = padded(14)

/** Of a listener. */
export const LISTENER_CONNECTIONS_ACTIVE = 0
export const LISTENER_CONNECTIONS_TOTAL = 1
export const LISTENER_RECEIVED_BYTES = 2
export const LISTENER_SENT_BYTES = 3
/** One word a reason of `core/reasons.ts`. */
export const LISTENER_REASONS = 4
export const REASON_CAPACITY = 60
/** Two words a TLS version: handshakes in full, then those that went on with an earlier session. */
export const LISTENER_HANDSHAKES = LISTENER_REASONS + REASON_CAPACITY
/** One word a fault of `core/tls.ts`. */
export const LISTENER_TLS_FAULTS = LISTENER_HANDSHAKES + TLS_VERSIONS.length * 2
export const TLS_FAULT_CAPACITY = 24
export const LISTENER_WORDS = padded(LISTENER_TLS_FAULTS + TLS_FAULT_CAPACITY)
if (TLS_FAULTS.length > TLS_FAULT_CAPACITY) throw new RangeError('TLS_FAULT_CAPACITY is too small for the catalogue')
if (REASONS.length > REASON_CAPACITY) throw new RangeError('REASON_CAPACITY is too small for the catalogue')

/** Of a series: one listener serving one target group. Status codes 100–599 in order, then three histograms. */
export const SERIES_CODES = 0
export const SERIES_CODE_FIRST = 100
export const SERIES_CODE_COUNT = 500
export const SERIES_REQUEST_DURATION = SERIES_CODES + SERIES_CODE_COUNT
export const SERIES_CONNECT_DURATION = SERIES_REQUEST_DURATION + HISTOGRAM_WORDS
export const SERIES_RESPONSE_DURATION = SERIES_CONNECT_DURATION + HISTOGRAM_WORDS
/** Copies of the listener's requests for the group, one word per result. */
export const SERIES_MIRRORED = SERIES_RESPONSE_DURATION + HISTOGRAM_WORDS
export const MIRROR_RESULTS = ['sent', 'dropped', 'failed'] as const
export const SERIES_WORDS = padded(SERIES_MIRRORED + MIRROR_RESULTS.length)

/** Of a rule: requests that matched it. Rules lie together, since a listener may have very many. */
export const RULE_REQUESTS = 0
export const RULE_WORDS = 1

/** Of a target: open connections to it (gauge), requests or connections sent to it, failures, response times. */
export const TARGET_CONNECTIONS = 0
export const TARGET_REQUESTS = 1
export const TARGET_FAILURES = 2
/** What outlier detection goes by: outcomes that speak for the target, and those that speak against it. */
export const TARGET_GOOD_OUTCOMES = 3
export const TARGET_BAD_OUTCOMES = 4
export const TARGET_LATENCY = 5
/** Of the bad outcomes that a client can provoke, so many by source: rows of buckets, each row with a hash of its own. */
export const TARGET_SOURCES = TARGET_LATENCY + HISTOGRAM_WORDS
export const SOURCE_ROWS = 2
export const SOURCE_BUCKETS = 16
/** Places that the thread holds of the target's limit; fewer than are in flight where some began without a limit. */
export const TARGET_PLACES = TARGET_SOURCES + SOURCE_ROWS * SOURCE_BUCKETS
export const TARGET_WORDS = padded(TARGET_PLACES + 1)

/** Bytes of what each worker counts for itself as a whole, and the primary for those that died. */
export function workerBytes(workers: number): number {
  return (workers + 1) * WORKER_WORDS * Float64Array.BYTES_PER_ELEMENT
}

/**
 * Word offsets within one column of a segment. `inFlight` lies apart, dense, because balancers read it for every target
 * of a group.
 */
export interface ColumnLayout {
  readonly listeners: number
  readonly targets: number
  readonly inFlight: number
  readonly series: number
  readonly rules: number
  /** Words in one column. */
  readonly stride: number
}

export function columnLayout(count: SlotCounts): ColumnLayout {
  const listeners = 0
  const targets = listeners + count.listeners * LISTENER_WORDS
  const inFlight = targets + count.targets * TARGET_WORDS
  const series = inFlight + padded(count.targets)
  const rules = series + count.series * SERIES_WORDS
  return { listeners, targets, inFlight, series, rules, stride: rules + padded(count.rules * RULE_WORDS) }
}

/** Bytes of a segment for the primary's column and one for each worker. */
export function columnBytes(count: SlotCounts, workers: number): number {
  return columnLayout(count).stride * (workers + 1) * Float64Array.BYTES_PER_ELEMENT
}

/** 32-bit words from one group's ticket to the next: a cache-line pair each, since every thread adds to it. */
export const TICKET_STRIDE = 32
/** Of the group's clients, as drawn in docs/SHARED-MEMORY.md; half a block away from the ticket. */
export const GROUP_LONE_SOURCE = 16
export const GROUP_LONE_AT = 17
export const GROUP_SEVERAL_AT = 18

export function ticketBytes(count: SlotCounts): number {
  return count.groups * TICKET_STRIDE * Int32Array.BYTES_PER_ELEMENT
}
