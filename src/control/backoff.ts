/** A worker that lived at least this long is started again at once. */
export const HEALTHY_MS = 10_000
const FIRST_MS = 100
const LONGEST_MS = 10_000

/** Deaths in a row that came soon after the start, one more of which came after `livedMs`. */
export function countEarlyDeaths(before: number, livedMs: number): number {
  return livedMs >= HEALTHY_MS ? 0 : before + 1
}

/**
 * Milliseconds to wait before a worker is started again: none the first time, then twice as long each time, since a
 * thread that keeps dying as soon as it starts must not take the processor with it.
 */
export function backoffMs(earlyDeaths: number): number {
  if (earlyDeaths <= 1) return 0
  return Math.min(FIRST_MS * 2 ** (earlyDeaths - 2), LONGEST_MS)
}
