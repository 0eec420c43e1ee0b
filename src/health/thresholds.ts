import { CHECK_HEALTHY, CHECK_INITIAL, CHECK_UNCHECKED, CHECK_UNHEALTHY } from '../core/target-state.js'

/** The checks' verdict on a target and how many results in a row speak against it. */
export interface Verdict {
  readonly state: number
  readonly streak: number
}

export interface Thresholds {
  readonly healthy: number
  readonly unhealthy: number
}

/**
 * The verdict after one more result. A target without a verdict gets its first from one result; a verdict changes when
 * as many results in a row as its threshold speak against it.
 */
export function nextVerdict(before: Verdict, passed: boolean, thresholds: Thresholds): Verdict {
  switch (before.state) {
    case CHECK_UNCHECKED:
    case CHECK_INITIAL:
      return { state: passed ? CHECK_HEALTHY : CHECK_UNHEALTHY, streak: 0 }
    case CHECK_HEALTHY:
      return against(before, !passed, thresholds.unhealthy, CHECK_UNHEALTHY)
    default:
      return against(before, passed, thresholds.healthy, CHECK_HEALTHY)
  }
}

function against(before: Verdict, speaksAgainst: boolean, threshold: number, other: number): Verdict {
  if (!speaksAgainst) return { state: before.state, streak: 0 }
  const streak = before.streak + 1
  return streak >= threshold ? { state: other, streak: 0 } : { state: before.state, streak }
}

/**
 * Milliseconds to the next check: the interval with up to a tenth of jitter, so that checks of many targets do not fall
 * together; after a first result against the verdict a fifth of it, at least 100 ms, so that the truth is known soon.
 */
export function nextCheckMs(intervalMs: number, verdict: Verdict, random: number): number {
  if (verdict.streak > 0) return Math.min(intervalMs, Math.max(100, intervalMs / 5))
  return intervalMs * (0.95 + random * 0.1)
}
