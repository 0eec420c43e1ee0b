import type { Environment } from './interpolate.js'
import type { Path } from './problems.js'
import { readYaml } from './read-yaml.js'

export interface Override {
  readonly path: Path
  /** `--set path=value`, to name the problem's place with. */
  readonly source: string
}

export interface OverrideProblem {
  readonly path: Path
  readonly message: string
  readonly source: string
}

export interface Overridden {
  readonly tree: unknown
  readonly overrides: readonly Override[]
  /** As in `YamlTree`: unquoted values in which a reference was replaced. */
  readonly fromEnvironment: ReadonlySet<string>
  readonly problems: readonly OverrideProblem[]
}

const IPV6_LISTEN = /^\[[0-9A-Fa-f:.]+\]:\d+$/

/** Puts each `path=value` into the tree, in order; the value is YAML, as it would stand in the file. */
export function applyOverrides(tree: unknown, sets: readonly string[], environment: Environment): Overridden {
  const root = { tree: structuredClone(tree) }
  const overrides: Override[] = []
  const problems: OverrideProblem[] = []
  const fromEnvironment = new Set<string>()
  for (const set of sets) {
    const source = `--set ${set}`
    const equals = set.indexOf('=')
    const steps = set.slice(0, Math.max(0, equals)).trim().split('.')
    if (equals < 0 || steps.some((step) => step === '')) {
      problems.push({ path: [], source, message: 'write --set path=value, like --set log.level=debug' })
      continue
    }
    const written = set.slice(equals + 1)
    // YAML would take the brackets of an IPv6 address for a list.
    const read = readYaml(IPV6_LISTEN.test(written) ? JSON.stringify(written) : written, environment, steps)
    for (const problem of read.problems) problems.push({ path: problem.path, source, message: problem.message })
    if (read.problems.length > 0) continue
    const placed = place(root, steps, read.value === undefined ? '' : read.value)
    if (placed.problem !== undefined) {
      problems.push({ path: placed.path, source, message: placed.problem })
      continue
    }
    overrides.push({ path: placed.path, source })
    for (const key of read.fromEnvironment) fromEnvironment.add(key)
  }
  return { tree: root.tree, overrides, fromEnvironment, problems }
}

type Holder = Record<string | number, unknown>

function place(root: { tree: unknown }, steps: readonly string[], value: unknown): { path: Path; problem?: string } {
  let holder: Holder = root
  let key: string | number = 'tree'
  const path: (string | number)[] = []
  for (const step of steps) {
    // Own keys only: "__proto__" must not lead to what all objects share.
    let inner = Object.hasOwn(holder, key) ? holder[key] : undefined
    if (inner === undefined || inner === null) {
      inner = {}
      define(holder, key, inner)
    }
    if (Array.isArray(inner)) {
      const index = /^\d+$/.test(step) ? Number(step) : Number.NaN
      if (!(index <= inner.length)) {
        const name = path.join('.')
        return {
          path,
          problem: `${name} is a list of ${inner.length}; write ${name}.0 for the first, not ${name}.${step}`,
        }
      }
      path.push(index)
      key = index
    } else if (typeof inner === 'object') {
      path.push(step)
      key = step
    } else {
      return { path, problem: `${path.join('.')} holds a plain value and has no ${step}` }
    }
    holder = inner as Holder
  }
  define(holder, key, value)
  return { path }
}

/** Not a plain assignment: "__proto__" must become a key like any other, for the schema to refuse. */
function define(holder: Holder, key: string | number, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, writable: true, configurable: true })
}
