/** The smallest share of its weight that a starting target gets: enough to warm it up, little enough to bear. */
const FIRST_SHARE = 0.1

/**
 * Weights rise in steps of this length, counted from the ramp's beginning: threads that look at different moments come to
 * the same weights all the same, and so to the same order of turns. With orders of their own they would each keep to the
 * shares over the turns of all, but not over those that fall to them.
 */
const STEP_MS = 500

/**
 * The weight of a target that came into service at `fromMs` (0 = long ago): rises evenly from a tenth to the whole over
 * `slowStartMs`. Weights are whole numbers, so that each step is one that round robin can be exact about; never 0.
 */
export function rampedWeight(weight: number, fromMs: number, slowStartMs: number, nowMs: number): number {
  if (slowStartMs <= 0 || fromMs <= 0 || weight === 0) return weight
  const elapsedMs = Math.max(0, nowMs - fromMs)
  if (elapsedMs >= slowStartMs) return weight
  const share = FIRST_SHARE + ((1 - FIRST_SHARE) * (elapsedMs - (elapsedMs % STEP_MS))) / slowStartMs
  return Math.max(1, Math.floor(weight * share))
}

/** When the weight rises next, while the ramp is rising. */
export function nextRiseMs(fromMs: number, slowStartMs: number, nowMs: number): number {
  const elapsedMs = Math.max(0, nowMs - fromMs)
  return fromMs + Math.min(slowStartMs, elapsedMs - (elapsedMs % STEP_MS) + STEP_MS)
}

/** Whether the ramp is still rising, so that the weight has to be looked at again. */
export function isRamping(fromMs: number, slowStartMs: number, nowMs: number): boolean {
  return slowStartMs > 0 && fromMs > 0 && nowMs < fromMs + slowStartMs
}
