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

/** What an average is worth after `sinceMs` without a response: it fades, so that a target once slow is asked again. */
export function fadedLatency(averageMs: number, sinceMs: number): number {
  return averageMs * Math.exp(-Math.max(sinceMs, 0) / MEMORY_MS)
}
