/** The smallest share of its weight that a starting target gets: enough to warm it up, little enough to bear. */
const FIRST_SHARE = 0.1

/**
 * The weight of a target that came into service at `fromMs` (0 = long ago): rises evenly from a tenth to the whole over
 * `slowStartMs`. Weights are whole numbers, so that each step is one that round robin can be exact about; never 0.
 */
export function rampedWeight(weight: number, fromMs: number, slowStartMs: number, nowMs: number): number {
  if (slowStartMs <= 0 || fromMs <= 0 || weight === 0) return weight
  const share = Math.min(1, FIRST_SHARE + ((1 - FIRST_SHARE) * Math.max(0, nowMs - fromMs)) / slowStartMs)
  return Math.max(1, Math.floor(weight * share))
}

/** Whether the ramp is still rising, so that the weight has to be looked at again. */
export function isRamping(fromMs: number, slowStartMs: number, nowMs: number): boolean {
  return slowStartMs > 0 && fromMs > 0 && nowMs < fromMs + slowStartMs
}
