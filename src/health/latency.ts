/** After this long an old answer counts for a third of what it did. */
const MEMORY_MS = 10_000

/**
 * The average after one more response time: a slower one counts whole at once (a peak), a faster one pulls the average
 * down by as much as time has passed since the last. `sinceMs` is that time.
 */
export function peakEwma(averageMs: number, durationMs: number, sinceMs: number): number {
  if (averageMs === 0 || durationMs >= averageMs) return durationMs
  const kept = Math.exp(-Math.max(sinceMs, 0) / MEMORY_MS)
  return averageMs * kept + durationMs * (1 - kept)
}

/** The least that a failure counts as, doubled: above what fast targets take. */
const FAILURE_FLOOR_MS = 10
/** So that a target which failed for hours is asked again some two minutes after it has recovered. */
const FAILURE_CEILING_MS = 60_000

/**
 * What an average, faded to now, is worth after a failure: twice as much, however fast the failure came, so that one that
 * fails on and on is soon asked less than the slowest that answers. `durationMs` is −1 where there was no answer at all.
 */
export function failedLatency(averageMs: number, durationMs: number): number {
  return Math.max(durationMs, Math.min(FAILURE_CEILING_MS, 2 * Math.max(averageMs, FAILURE_FLOOR_MS)))
}

/**
 * What an average that was faded to `fadedMs` is worth while a request is with the target that has not been answered yet:
 * the more it has faded, the more the group's average stands in for it. So a target that comes back gets one request to
 * find out how it is, and not all of them until that is answered.
 */
export function awaitedLatency(knownMs: number, fadedMs: number, groupMs: number): number {
  const share = fadedMs / knownMs
  return fadedMs + Math.max(knownMs, groupMs) * (1 - share)
}

/** What an average is worth after `sinceMs` without a response: it fades, so that a target once slow is asked again. */
export function fadedLatency(averageMs: number, sinceMs: number): number {
  return averageMs * Math.exp(-Math.max(sinceMs, 0) / MEMORY_MS)
}
