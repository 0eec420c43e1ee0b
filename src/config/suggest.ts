/** Longer than any name or key; each pair of letters of two texts is compared. */
const MAX_CHARACTERS = 64
/** As many as are compared with a name. */
const MAX_CANDIDATES = 200

/** The candidate that was probably meant by `name`, or undefined when none is near enough to be worth saying. */
export function suggest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > MAX_CHARACTERS) return undefined
  const plainName = plain(name)
  let compared = 0
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    if (++compared > MAX_CANDIDATES) break
    if (candidate.length > MAX_CHARACTERS) continue
    const plainCandidate = plain(candidate)
    // A third of the letters may be wrong: more than that and the proposal is a riddle, not a help.
    const allowed = Math.max(1, Math.floor(Math.max(plainName.length, plainCandidate.length) / 3))
    if (Math.abs(plainName.length - plainCandidate.length) > allowed) continue
    const distance = editDistance(plainName, plainCandidate)
    if (distance <= allowed && distance < bestDistance && distance < plainCandidate.length) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** ` (did you mean "x"?)` or nothing, to put behind what is unknown. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const meant = suggest(name, candidates)
  return meant === undefined ? '' : ` (did you mean "${meant}"?)`
}

/** Case, dashes and underscores are the commonest slips, so they cost nothing: `target_groups` is `targetGroups`. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '')
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let distance = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) distance = Math.min(distance, beforeLast[column - 2]! + 1)
      current.push(distance)
    }
    beforeLast = last
    last = current
  }
  return last[b.length]!
}
