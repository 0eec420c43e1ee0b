/** Of longer courses whole chunks go first. */
const COARSE_PARTS = 16

/**
 * A short course that still fails, by leaving steps out: large chunks first, then all of a kind, then ever smaller chunks
 * down to single steps, for as long as any can be left out. `failsAt` returns the step at which a course fails, after which
 * nothing is needed, or undefined.
 */
export async function shrink<T>(
  steps: readonly T[],
  failsAt: (steps: readonly T[]) => Promise<number | undefined>,
  kindOf: (step: T) => unknown,
  untilMs: number,
): Promise<readonly T[]> {
  let shortest = steps
  const isOver = () => performance.now() > untilMs
  const take = async (shorter: readonly T[]): Promise<boolean> => {
    if (shorter.length === shortest.length || isOver()) return false
    const at = await failsAt(shorter)
    if (at === undefined) return false
    shortest = shorter.slice(0, at + 1)
    return true
  }
  const cut = async (size: number): Promise<boolean> => {
    const before = shortest.length
    for (let from = 0; from < shortest.length && !isOver(); ) {
      const isTaken = await take([...shortest.slice(0, from), ...shortest.slice(from + size)])
      if (!isTaken) from += size
    }
    return shortest.length < before
  }
  const smallest = Math.ceil(steps.length / COARSE_PARTS)
  for (let size = Math.ceil(steps.length / 2); size > smallest; size = Math.ceil(size / 2)) await cut(size)
  for (const kind of new Set(shortest.map(kindOf))) await take(shortest.filter((step) => kindOf(step) !== kind))
  for (let goesOn = true; goesOn && !isOver(); ) {
    goesOn = false
    for (let size = Math.ceil(shortest.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      if (await cut(size)) goesOn = true
    }
  }
  return shortest
}
