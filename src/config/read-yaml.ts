import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  type YAMLMap,
} from 'yaml'
import { asWritten, type Environment, mask, resolveReference, unmask } from './interpolate.js'
import type { Path } from './problems.js'

/** Where a value stands in the text, in UTF-16 units; `key` is missing in lists and for the whole. */
export interface Place {
  readonly key?: number
  readonly value: number
}

export interface YamlProblem {
  readonly path: Path
  readonly offset: number
  readonly message: string
}

export interface YamlTree {
  /** Plain maps, lists and scalars, references replaced; undefined for a text without content. */
  readonly value: unknown
  /** By `pathKey`. */
  readonly places: ReadonlyMap<string, Place>
  /** Values whose reference could not be replaced; what they are now says nothing. */
  readonly unresolved: ReadonlySet<string>
  /** Unquoted scalars in which a reference was replaced: text, which may stand for a number where one is wanted. */
  readonly fromEnvironment: ReadonlySet<string>
  readonly problems: readonly YamlProblem[]
  /** True when the text is not YAML, so that nothing in `value` can be relied on. */
  readonly broken: boolean
  /** Line and column from 1. */
  position(offset: number): { line: number; column: number }
}

/** Far beyond any real file; stops aliases that multiply themselves. */
const MAX_NODES = 200_000

export const pathKey = (path: Path): string => path.join('\u0000')

/** `base` is where the text's value has its place, for a text that is only a part of a configuration. */
export function readYaml(text: string, environment: Environment, base: Path = []): YamlTree {
  const masked = mask(text)
  const lines = new LineCounter()
  const document = parseDocument(masked.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  const places = new Map<string, Place>()
  const fromEnvironment = new Set<string>()
  const unresolved = new Set<string>()
  const problems: YamlProblem[] = []
  const told = new Set<string>()
  const open = new Set<Node>()
  const aliased = new Map<Alias, Node | undefined>()
  let nodes = 0

  const report = (path: Path, offset: number, message: string): void => {
    // What an alias repeats is wrong once, where it is written.
    const key = `${offset} ${message}`
    if (told.has(key)) return
    told.add(key)
    problems.push({ path, offset, message })
  }

  for (const error of [...document.errors, ...document.warnings]) {
    const message = unmask(error.message, masked, asWritten)
    const line = lineAt(text, error.pos[0])
    report([], error.pos[0], `is not YAML: ${syntaxMessage(error.code, message, line)}`)
  }
  const broken = problems.length > 0
  const value = broken || document.contents === null ? undefined : convert(document.contents, base, undefined)
  return {
    value,
    places,
    unresolved,
    fromEnvironment,
    problems,
    broken,
    position: (offset) => {
      const { line, col } = lines.linePos(offset)
      return { line: Math.max(1, line), column: Math.max(1, col) }
    },
  }

  function convert(written: unknown, path: Path, key: number | undefined): unknown {
    const start = offsetOf(written)
    const node = isAlias(written) ? resolve(written) : written
    if (isAlias(written) && node === undefined) {
      report(
        path,
        start ?? 0,
        `"*${written.source}" names no anchor; write &${written.source} before the value that it repeats`,
      )
      return undefined
    }
    nodes++
    if (nodes > MAX_NODES) {
      report(path, start ?? 0, 'the file holds too many values')
      return undefined
    }
    const empty = node === null || node === undefined || (isScalar(node) && node.value === null)
    const at = empty ? (key ?? start ?? 0) : (offsetOf(node) ?? start ?? 0)
    places.set(pathKey(path), key === undefined ? { value: at } : { key, value: at })
    if (isScalar(node)) return scalar(node, path)
    if (!isMap(node) && !isSeq(node)) return null
    if (open.has(node)) {
      report(path, start ?? 0, 'an alias repeats the value that it stands in')
      return undefined
    }
    open.add(node)
    const result = isMap(node)
      ? map(node, path)
      : node.items.map((item, index) => convert(item, [...path, index], undefined))
    open.delete(node)
    return result
  }

  /** Remembered, because the library looks through the whole document each time. */
  function resolve(alias: Alias): Node | undefined {
    if (!aliased.has(alias)) aliased.set(alias, alias.resolve(document))
    return aliased.get(alias)
  }

  function map(node: YAMLMap, path: Path): Record<string, unknown> {
    const result: Record<string, unknown> = {}
    const isMerge = (key: unknown): boolean => isScalar(key) && key.value === '<<' && key.type === Scalar.PLAIN
    for (const { key, value: merged } of node.items) {
      if (isMerge(key)) mergeInto(result, merged, path)
    }
    const first = new Map<string, number>()
    for (const { key, value: item } of node.items) {
      if (isMerge(key)) continue
      const offset = offsetOf(key) ?? 0
      if (!isScalar(key) || key.value === null) {
        report(path, offset, 'a key must be plain text')
        continue
      }
      const name = unmask(String(key.value), masked, asWritten)
      const itemPath = [...path, name]
      if (name !== String(key.value)) {
        report(itemPath, offset, 'a reference to the environment stands in a key; only values can have one')
      }
      const before = first.get(name)
      if (before !== undefined) {
        report(
          itemPath,
          offset,
          `the key "${name}" was given already in line ${lines.linePos(before).line}; remove one`,
        )
        continue
      }
      first.set(name, offset)
      // Not a plain assignment: "__proto__" must become a key like any other.
      const converted = convert(item, itemPath, offset)
      Object.defineProperty(result, name, { value: converted, enumerable: true, writable: true, configurable: true })
    }
    return result
  }

  /** `<<: *other` or `<<: [*one, *two]`: keys that are not given here come from there, from the first that has them. */
  function mergeInto(result: Record<string, unknown>, merged: unknown, path: Path): void {
    const source = isAlias(merged) ? resolve(merged) : merged
    if (isSeq(source)) {
      for (const item of [...source.items].reverse()) mergeInto(result, item, path)
    } else if (isMap(source)) {
      Object.assign(result, convert(merged, path, places.get(pathKey(path))?.key))
    } else {
      report(path, offsetOf(merged) ?? 0, '"<<" takes over the keys of another map; write <<: *anchor')
    }
  }

  function scalar(node: Scalar, path: Path): unknown {
    if (typeof node.value !== 'string') return node.value
    let replaced = false
    const result = unmask(node.value, masked, (reference) => {
      replaced = true
      if (isRuleTemplate(reference.raw, path)) return reference.raw
      const resolved = resolveReference(reference.raw, environment)
      if (resolved.ok) return resolved.value
      unresolved.add(pathKey(path))
      report(path, reference.offset, resolved.problem)
      return reference.raw
    })
    if (replaced && node.type === Scalar.PLAIN) fromEnvironment.add(pathKey(path))
    if (!replaced && node.value.includes('${')) {
      report(path, node.range?.[0] ?? 0, `"\${" has no closing brace; write \${NAME}, or $\${ for the characters \${`)
    }
    return result
  }
}

/** Redirects and rewrites have references of their own, to the request: `${host}`, `${path}`, … in small letters. */
function isRuleTemplate(raw: string, path: Path): boolean {
  return path.includes('rules') && /^\$\{[a-z]+\}$/.test(raw)
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] | null } | null | undefined)?.range?.[0]
}

function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset)
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end < 0 ? text.length : end)
}

function syntaxMessage(code: string, message: string, line: string): string {
  const ipv6 = /\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]:\d+/.exec(line)
  if (ipv6) return `brackets begin a list; put quotes around the address: "${ipv6[0]}"`
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab stands where the indentation is; use spaces'
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return 'a key stands where none can; check the indentation, and put quotes around text that holds ": "'
    case 'MULTIPLE_DOCS':
      return 'the file holds more than one document; remove the line ---'
    case 'BAD_SCALAR_START':
      return `${lowerFirst(message)}; put quotes around the text`
    default:
      return lowerFirst(message)
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
