/**
 * The duration below which the share `q` (0–1) of what was counted lies, interpolated within its bucket; null when
 * nothing was counted. `boundsMs[i]` is the upper bound of `counts[i]`; the last bucket, which has none, answers with
 * the bound below it.
 */
export function quantileMs(counts: ArrayLike<number>, boundsMs: readonly number[], q: number): number | null {
  const buckets = boundsMs.length
  let total = 0
  for (let i = 0; i < buckets; i++) total += counts[i]!
  if (!(total > 0)) return null
  const rank = q * total
  let below = 0
  for (let i = 0; i < buckets; i++) {
    const inBucket = counts[i]!
    if (inBucket <= 0 || below + inBucket < rank) {
      below += inBucket
      continue
    }
    const low = i === 0 ? 0 : boundsMs[i - 1]!
    const high = boundsMs[i]!
    return Number.isFinite(high) ? low + (high - low) * Math.max(0, (rank - below) / inBucket) : low
  }
  return boundsMs[buckets - 2] ?? null
}
