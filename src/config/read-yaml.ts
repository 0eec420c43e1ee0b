import { isAlias, isMap, isScalar, isSeq, type Node, Scalar, type YAMLMap } from 'yaml'
import { asWritten, type Environment, mask, resolveReference, unmask } from './interpolate.js'
import { MAX_DEPTH, MAX_NODES, parseBounded, TOO_DEEP } from './parse-bounded.js'
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
  /** Every scalar in which a reference was replaced. */
  readonly referenced: ReadonlySet<string>
  readonly problems: readonly YamlProblem[]
  /** True when the text is not YAML, so that nothing in `value` can be relied on. */
  readonly broken: boolean
  /** Line and column from 1. */
  position(offset: number): { line: number; column: number }
}

/** How much of a line is looked at for what is wrong in it. */
const LINE_WINDOW = 200

const NO_MERGE = '"<<" takes over the keys of another map; write <<: *anchor'

export const pathKey = (path: Path): string => path.join('\u0000')

/** `base` is where the text's value has its place, for a text that is only a part of a configuration. */
export function readYaml(text: string, environment: Environment, base: Path = []): YamlTree {
  const masked = mask(text)
  const parsed = parseBounded(masked.text)
  const position = positions(text)
  const places = new Map<string, Place>()
  const fromEnvironment = new Set<string>()
  const referenced = new Set<string>()
  const unresolved = new Set<string>()
  const problems: YamlProblem[] = []
  const told = new Set<string>()
  const open = new Set<Node>()
  let nodes = 0

  const report = (path: Path, offset: number, message: string): void => {
    // What an alias repeats is wrong once, where it is written.
    const key = `${offset} ${message}`
    if (told.has(key)) return
    told.add(key)
    problems.push({ path, offset, message })
  }

  if ('refused' in parsed) report([], parsed.offset, parsed.refused)
  else {
    for (const error of parsed.complaints) {
      const message = unmask(error.message, masked, asWritten)
      const line = lineAround(text, error.pos[0])
      report([], error.pos[0], `is not YAML: ${syntaxMessage(error.code, message, line)}`)
    }
  }
  const broken = problems.length > 0
  const contents = broken || 'refused' in parsed ? null : parsed.contents
  const value = contents === null ? undefined : convert(contents, base, undefined)
  return {
    value,
    places,
    unresolved,
    fromEnvironment,
    referenced,
    problems,
    broken,
    position,
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
    if (isTooMuch(path, start)) return undefined
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

  function resolve(alias: Node): Node | undefined {
    return 'refused' in parsed ? undefined : parsed.aliased.get(alias)
  }

  /** Aliases can make more and deeper values than were written. Said once: what is beyond it is passed over. */
  function isTooMuch(path: Path, start: number | undefined): boolean {
    if (++nodes <= MAX_NODES && path.length - base.length <= MAX_DEPTH) return false
    const message = nodes > MAX_NODES ? `the file holds more than ${MAX_NODES} values` : TOO_DEEP
    if (!told.has(message)) report(path, start ?? 0, message)
    told.add(message)
    return true
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
        report(itemPath, offset, `the key "${name}" was given already in line ${position(before).line}; remove one`)
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
      if (open.has(source)) {
        report(path, offsetOf(merged) ?? 0, 'an alias repeats the value that it stands in')
        return
      }
      open.add(source)
      for (const item of [...source.items].reverse()) {
        if (isTooMuch(path, offsetOf(item))) break
        // YAML's own merge takes a list of maps; a list in it is none.
        if (isSeq(isAlias(item) ? resolve(item) : item)) report(path, offsetOf(item) ?? 0, NO_MERGE)
        else mergeInto(result, item, path)
      }
      open.delete(source)
    } else if (isMap(source)) {
      const from = convert(merged, path, places.get(pathKey(path))?.key)
      // Not by assignment: "__proto__" must become a key like any other.
      Object.defineProperties(result, Object.getOwnPropertyDescriptors(from ?? {}))
    } else {
      report(path, offsetOf(merged) ?? 0, NO_MERGE)
    }
  }

  function scalar(node: Scalar, path: Path): unknown {
    if (typeof node.value !== 'string') return node.value
    let replaced = false
    let kept = false
    const result = unmask(node.value, masked, (reference) => {
      kept = isOfRequest(reference.raw, path)
      if (kept) return reference.raw
      replaced = true
      const resolved = resolveReference(reference.raw, environment)
      if (resolved.ok) return resolved.value
      unresolved.add(pathKey(path))
      report(path, reference.offset, resolved.problem)
      return reference.raw
    })
    if (replaced) referenced.add(pathKey(path))
    if (replaced && node.type === Scalar.PLAIN) fromEnvironment.add(pathKey(path))
    if (!replaced && !kept && node.value.includes('${')) {
      report(path, node.range?.[0] ?? 0, `"\${" has no closing brace; write \${NAME}, or $\${ for the characters \${`)
    }
    return result
  }
}

/** Line and column of an offset, both from 1. The library's own count misses the ends of lines within text that it gives up. */
function positions(text: string): (offset: number) => { line: number; column: number } {
  const starts = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return (offset) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: Math.max(1, offset - starts[low]! + 1) }
  }
}

/** Rules have references of their own, to the request: `${host}`, `${header.accept}`, … in small letters, and `${1}`. */
function isOfRequest(raw: string, path: Path): boolean {
  return (path.includes('rules') || path[0] === 'ruleSets') && /^\$\{([a-z_]+(\.[^{}]+)?|\d+)\}$/.test(raw)
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] | null } | null | undefined)?.range?.[0]
}

/** The line at `offset`, or the part of it around there. */
function lineAround(text: string, offset: number): string {
  const near = text.slice(Math.max(0, offset - LINE_WINDOW), offset + LINE_WINDOW)
  const at = Math.min(offset, LINE_WINDOW)
  const end = near.indexOf('\n', at)
  return near.slice(near.lastIndexOf('\n', at - 1) + 1, end < 0 ? near.length : end)
}

function syntaxMessage(code: string, message: string, line: string): string {
  const ipv6 = /\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]:\d+/.exec(line)
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
