import type { Path } from './problems.js'

/**
 * What the documented configuration has and this version does not. Such keys are refused, because a file that asks for a
 * limit and gets none is worse than one that does not load; and not called unknown, because they are right.
 */
interface Later {
  /** Path from the top; `*` stands for any place in a list. */
  readonly path: string
  /** The key as such exists already, and these values say what this version does anyway. */
  readonly except?: readonly unknown[]
}

const UNLIMITED = ['unlimited'] as const

export const LATER: readonly Later[] = [
  { path: 'availabilityGroups' },
  { path: 'listeners.*.limits.connections', except: UNLIMITED },
  { path: 'listeners.*.limits.requestsPerSecond', except: UNLIMITED },
  { path: 'targetGroups.*.availabilityGroup' },
  { path: 'protection.requestsPerSource', except: UNLIMITED },
]

/** Reports each value of a later part that the tree holds: the key where the key is later, the value where that is. */
export function findLater(tree: unknown, report: (path: Path, message: string, at: 'key' | 'value') => void): void {
  for (const later of LATER) {
    for (const [path, value] of matches(tree, later.path.split('.'), [])) {
      if (later.except === undefined) {
        report(path, 'is not supported yet in this version; leave it out', 'key')
      } else if (!later.except.includes(value)) {
        report(path, `is not supported yet in this version; leave it out or write ${String(later.except[0])}`, 'key')
      }
    }
  }
}

function* matches(tree: unknown, pattern: readonly string[], path: Path): Generator<[Path, unknown]> {
  const [step, ...rest] = pattern
  if (step === undefined) {
    yield [path, tree]
  } else if (step === '*') {
    if (!Array.isArray(tree)) return
    for (const [index, item] of tree.entries()) yield* matches(item, rest, [...path, index])
  } else if (typeof tree === 'object' && tree !== null && Object.hasOwn(tree, step)) {
    yield* matches((tree as Record<string, unknown>)[step], rest, [...path, step])
  }
}
