import type { Path } from './problems.js'

/**
 * What the documented configuration has and this version does not. Such keys are refused, because a file that asks for a
 * limit and gets none is worse than one that does not load; and not called unknown, because they are right. Paths from the
 * top; `*` stands for any place in a list.
 */
export const LATER: readonly string[] = ['availabilityGroups', 'targetGroups.*.availabilityGroup']

/** Reports each later key that the tree holds. */
export function findLater(tree: unknown, report: (path: Path, message: string) => void): void {
  for (const later of LATER) {
    for (const path of matches(tree, later.split('.'), []))
      report(path, 'is not supported yet in this version; leave it out')
  }
}

function* matches(tree: unknown, pattern: readonly string[], path: Path): Generator<Path> {
  const [step, ...rest] = pattern
  if (step === undefined) {
    yield path
  } else if (step === '*') {
    if (!Array.isArray(tree)) return
    for (const [index, item] of tree.entries()) yield* matches(item, rest, [...path, index])
  } else if (typeof tree === 'object' && tree !== null && Object.hasOwn(tree, step)) {
    yield* matches((tree as Record<string, unknown>)[step], rest, [...path, step])
  }
}
