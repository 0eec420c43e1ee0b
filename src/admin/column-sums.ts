import type { Fault } from '../core/fault.js'
import { REASONS, type ReasonCode } from '../core/reasons.js'
import { TLS_FAULTS, TLS_VERSIONS, type TlsFault, type TlsVersion } from '../core/tls.js'
import type { HistogramSample } from '../observe/prometheus.js'
import { bucketBoundMs, type Columns } from '../shm/columns.js'
import {
  HISTOGRAM_BUCKETS,
  HISTOGRAM_OCTAVES,
  HISTOGRAM_SUM,
  HISTOGRAM_WORDS,
  LISTENER_HANDSHAKES,
  LISTENER_REASONS,
  LISTENER_TLS_FAULTS,
  SERIES_CODE_COUNT,
  SERIES_CODES,
} from '../shm/layout.js'
import type { SlotCounters } from '../shm/slot-counters.js'

/** Upper bounds of the shared histogram's buckets, in milliseconds. */
export const BUCKET_BOUNDS_MS: readonly number[] = Array.from({ length: HISTOGRAM_BUCKETS }, (_, i) => bucketBoundMs(i))

/** The same once an octave, in seconds: what `/metrics` shows as `le`. */
const OCTAVE_BOUNDS_SECONDS: readonly number[] = Array.from(
  { length: HISTOGRAM_OCTAVES + 1 },
  (_, octave) => bucketBoundMs(octave * 4) / 1000,
)

const histogramWords = new Float64Array(HISTOGRAM_WORDS)

/** The histogram that begins at a slot's word `at`, added up over all columns; undefined when it has counted nothing. */
export function histogramSample(counters: SlotCounters, at: number): HistogramSample | undefined {
  const words = counters.sums(at, histogramWords)
  const cumulative: number[] = []
  let count = 0
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    count += words[bucket]!
    if (bucket % 4 === 0 && bucket < HISTOGRAM_BUCKETS - 1) cumulative.push(count)
  }
  if (count === 0) return undefined
  return { boundsSeconds: OCTAVE_BOUNDS_SECONDS, cumulative, count, sumSeconds: words[HISTOGRAM_SUM]! / 1000 }
}

const codeWords = new Float64Array(SERIES_CODE_COUNT)

/** How many answers of each status a series counted. Index 0 is status 100. Valid until the next call. */
export function codeCounts(columns: Columns, series: number): Float64Array {
  return columns.series(series).sums(SERIES_CODES, codeWords)
}

export interface ReasonCount {
  readonly code: ReasonCode
  readonly fault: Fault
  readonly count: number
}

const reasonWords = new Float64Array(REASONS.length)

/** The failures a listener counted, without those that never happened. */
export function reasonCounts(columns: Columns, listener: number): ReasonCount[] {
  columns.listener(listener).sums(LISTENER_REASONS, reasonWords)
  const counts: ReasonCount[] = []
  REASONS.forEach(({ code, fault }, index) => {
    const count = reasonWords[index]!
    if (fault !== 'none' && count > 0) counts.push({ code, fault, count })
  })
  return counts
}

export interface HandshakeCount {
  readonly version: TlsVersion
  readonly resumed: boolean
  readonly count: number
}

const handshakeWords = new Float64Array(TLS_VERSIONS.length * 2)

/** The handshakes a listener finished, without kinds that never happened. */
export function handshakeCounts(columns: Columns, listener: number): HandshakeCount[] {
  columns.listener(listener).sums(LISTENER_HANDSHAKES, handshakeWords)
  return TLS_VERSIONS.flatMap((version, index) =>
    [false, true].map((resumed) => ({ version, resumed, count: handshakeWords[index * 2 + (resumed ? 1 : 0)]! })),
  ).filter(({ count }) => count > 0)
}

const faultWords = new Float64Array(TLS_FAULTS.length)

/** The handshakes that failed on a listener, without faults that never happened. */
export function faultCounts(
  columns: Columns,
  listener: number,
): { readonly fault: TlsFault; readonly count: number }[] {
  columns.listener(listener).sums(LISTENER_TLS_FAULTS, faultWords)
  return TLS_FAULTS.map((fault, index) => ({ fault, count: faultWords[index]! })).filter(({ count }) => count > 0)
}
