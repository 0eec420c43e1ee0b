/**
 * The shortest course that is found to fail by leaving steps out: halves first, then ever smaller parts, one by one at
 * last, for as long as any can be left out.
 */
export async function shrink<T>(
  steps: readonly T[],
  fails: (steps: readonly T[]) => Promise<boolean>,
  untilMs: number,
): Promise<readonly T[]> {
  let shortest = steps
  for (let size = Math.ceil(steps.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < shortest.length; ) {
      if (performance.now() > untilMs) return shortest
      const without = [...shortest.slice(0, from), ...shortest.slice(from + size)]
      if (await fails(without)) shortest = without
      else from += size
    }
  }
  return shortest
}
