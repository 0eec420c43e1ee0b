/** How long a target stays out: `baseMs` the first time, so much longer with each ejection in a row, ten times at most. */
export function ejectionMs(baseMs: number, ejectionsBefore: number): number {
  return baseMs * Math.min(ejectionsBefore + 1, 10)
}

/** Whether one more of a group may be ejected: never more than `maxEjectedPercent`, but of two or more always one. */
export function mayEject(targets: number, ejected: number, maxEjectedPercent: number): boolean {
  if (targets < 2 || maxEjectedPercent === 0) return false
  return ejected + 1 <= Math.max(1, Math.floor((targets * maxEjectedPercent) / 100))
}
