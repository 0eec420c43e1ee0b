import { build, type Histogram } from 'hdr-histogram-js'
import type { LatencyUs } from './load.js'

/** Counts of microseconds up to ten seconds, three digits. */
export function latencyHistogram(): Histogram {
  return build({ bitBucketSize: 32, highestTrackableValue: 10_000_000, numberOfSignificantValueDigits: 3 })
}

/** Milliseconds with fractions, as `performance.now()` counts them. */
export function recordMs(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.min(10_000_000, Math.max(1, Math.round(ms * 1000))))
}

export function summarise(histogram: Histogram): LatencyUs {
  return {
    p50: histogram.getValueAtPercentile(50),
    p99: histogram.getValueAtPercentile(99),
    p999: histogram.getValueAtPercentile(99.9),
    max: histogram.maxValue,
    samples: histogram.totalCount,
  }
}
