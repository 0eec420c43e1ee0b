import type { Path } from './problems.js'
import { pathKey } from './read-yaml.js'
import { type Fields, isFields } from './tree.js'

const SECRETS: readonly Path[] = [
  ['secret'],
  ['admin', 'token'],
  ['cluster', 'secret'],
  ['cluster', 'redis', 'password'],
  ['cluster', 'redis', 'sentinelPassword'],
]
const ADDRESSES: readonly Path[] = [
  ['cluster', 'redis'],
  ['cluster', 'redis', 'url'],
]
const URL_WITH_PASSWORD = /^[a-z]+:\/\/[^/@]*:[^/@]+@/

/** Where secrets stand in the text itself rather than in the environment; `referenced` are the values that came from there. */
export function writtenSecrets(tree: unknown, referenced: ReadonlySet<string>): Path[] {
  const isWritten = (path: Path, holds: (value: string) => boolean): boolean => {
    const value = valueAt(tree, path)
    return typeof value === 'string' && holds(value) && !referenced.has(pathKey(path))
  }
  return [
    ...[...SECRETS, ...namedTokens(tree)].filter((path) => isWritten(path, (value) => value !== '')),
    ...ADDRESSES.filter((path) => isWritten(path, (value) => URL_WITH_PASSWORD.test(value))),
  ]
}

/** One for each entry of `admin.tokens`. */
function namedTokens(tree: unknown): Path[] {
  const list = valueAt(tree, ['admin', 'tokens'])
  return Array.isArray(list) ? list.map((_, index): Path => ['admin', 'tokens', index, 'token']) : []
}

function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) => (isFields(value) || Array.isArray(value) ? (value as Fields)[String(step)] : undefined),
    tree,
  )
}
