import {
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parse,
  parseDocument,
  Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import type { Config, TargetConfig } from '../core/config.js'
import { formatAddress } from './addresses.js'
import { asWritten, type Masked, mask, unmask } from './interpolate.js'

/** A change of one target that is to be written into the file. */
export type TargetEdit =
  | { readonly type: 'add'; readonly group: string; readonly target: TargetConfig }
  | { readonly type: 'remove'; readonly group: string; readonly id: string }
  | { readonly type: 'weight'; readonly group: string; readonly id: string; readonly weight: number }

export type Edited = { readonly text: string } | { readonly refused: string }

/** The configuration with the change in it; undefined where it has no such group or target, or has the one to add. */
export function editConfig(config: Config, edit: TargetEdit): Config | undefined {
  const group = config.targetGroups.find(({ name }) => name === edit.group)
  const id = edit.type === 'add' ? edit.target.id : edit.id
  const isThere = group?.targets.some((target) => target.id === id)
  if (group === undefined || isThere === (edit.type === 'add')) return undefined
  const targets =
    edit.type === 'add'
      ? [...group.targets, edit.target]
      : edit.type === 'remove'
        ? group.targets.filter((target) => target.id !== id)
        : group.targets.map((target) => (target.id === id ? { ...target, weight: edit.weight } : target))
  return {
    ...config,
    targetGroups: config.targetGroups.map((other) => (other === group ? { ...group, targets } : other)),
  }
}

/**
 * Writes the change into the text of the file: only the place that it is about, so that comments, order and form of all
 * else stay as they are, byte for byte. `config` is what the text says. Whoever writes the result reads it once more
 * before: it must say `editConfig`.
 */
export function editText(text: string, config: Config, edit: TargetEdit): Edited {
  const masked = mask(text)
  // Stand-ins for references are as long as they are, so that places in the text stay the same.
  const root = parseDocument(masked.text).contents
  const groupIndex = config.targetGroups.findIndex(({ name }) => name === edit.group)
  const groups = valueAt(root, 'targetGroups')
  const group = isSeq(groups) ? groups.items[groupIndex] : undefined
  const targets = valueAt(group, 'targets')
  if (!isSeq(targets)) return { refused: BY_ALIAS }
  const file: File = { text, masked, newline: text.includes('\r\n') ? '\r\n' : '\n' }
  if (edit.type === 'add') return add(file, group as YAMLMap, targets, edit.target)
  const index = config.targetGroups[groupIndex]!.targets.findIndex(({ id }) => id === edit.id)
  const target = targets.items[index]
  if (edit.type === 'remove') return remove(file, group as YAMLMap, targets, index)
  if (!isMap(target)) return { refused: BY_ALIAS }
  return setWeight(file, target, edit.weight)
}

const BY_ALIAS = 'the file writes it by an alias (*name or <<); change it there by hand'

interface File {
  readonly text: string
  readonly masked: Masked
  readonly newline: string
}

function setWeight({ text, masked, newline }: File, target: YAMLMap, weight: number): Edited {
  const pair = pairOf(target, 'weight')
  if (pair !== undefined) {
    const { value } = pair
    if (!isScalar(value) || value.range == null) return { refused: BY_ALIAS }
    const [start, end] = value.range
    if (unmask(masked.text.slice(start, end), masked, asWritten) !== masked.text.slice(start, end)) {
      return { refused: 'its weight comes from the environment; change it there' }
    }
    return { text: splice(text, start, end, String(weight)) }
  }
  const first = target.items[0]
  const last = target.items.at(-1)
  const key = first?.key
  if (!isScalar(key) || key.range == null || last === undefined) return { refused: BY_ALIAS }
  const word = isQuoted(key) ? '"weight"' : 'weight'
  if (target.flow) return { text: insert(text, endOf(last.value), `, ${word}: ${weight}`) }
  const end = endOfLine(text, endOf(first!.value))
  return { text: insert(text, end, `${newline}${indentAt(text, key.range[0])}${word}: ${weight}`) }
}

function add({ text, newline }: File, group: YAMLMap, targets: YAMLSeq, target: TargetConfig): Edited {
  const last = targets.items.at(-1)
  const lastMap = isMap(last) ? last : undefined
  // A file in JSON stays JSON.
  const firstKey = group.items[0]?.key
  const fields = written(target, isScalar(firstKey) && isQuoted(firstKey))
  const flow = `{ ${fields.join(', ')} }`
  if (targets.flow) {
    if (last === undefined) return { text: insert(text, text.indexOf('[', targets.range![0]) + 1, flow) }
    return { text: insert(text, endOf(last), `, ${flow}`) }
  }
  if (last === undefined || targets.range == null) return { refused: BY_ALIAS }
  const dash = text.lastIndexOf('-', startOf(last) - 1)
  const indent = indentAt(text, dash)
  const end = endOfLine(text, endOf(last))
  const isBlock = lastMap !== undefined && !lastMap.flow
  const lines = isBlock ? fields : [flow]
  const item = lines.map((line, index) => `${indent}${index === 0 ? '- ' : '  '}${line}`).join(newline)
  return { text: insert(text, end, `${newline}${item}`) }
}

function remove({ text }: File, group: YAMLMap, targets: YAMLSeq, index: number): Edited {
  const item = targets.items[index] as Node
  if (targets.flow) {
    const next = targets.items[index + 1]
    const before = targets.items[index - 1]
    if (next !== undefined) return { text: splice(text, startOf(item), startOf(next), '') }
    return { text: splice(text, before === undefined ? startOf(item) : endOf(before), endOf(item), '') }
  }
  const dash = text.lastIndexOf('-', startOf(item) - 1)
  const from = text.lastIndexOf('\n', dash) + 1
  const to = Math.min(text.length, endOfLine(text, endOf(item)) + 1)
  const without = splice(text, from, text[to - 1] === '\r' ? to + 1 : to, '')
  if (targets.items.length > 1) return { text: without }
  const key = pairOf(group, 'targets')!.key as Scalar
  // An empty list must be said.
  return { text: insert(without, text.indexOf(':', key.range![1]) + 1, ' []') }
}

/** `key: value` of each key that is not at its default. */
function written({ id, host, port, weight }: TargetConfig, quotes: boolean): string[] {
  const address = formatAddress(host, port)
  const key = (name: string): string => (quotes ? JSON.stringify(name) : name)
  const value = (text: string): string => (quotes ? JSON.stringify(text) : quoteIfNeeded(text))
  return [
    `${key('address')}: ${value(address)}`,
    ...(id === address ? [] : [`${key('id')}: ${value(id)}`]),
    ...(weight === 10 ? [] : [`${key('weight')}: ${weight}`]),
  ]
}

function quoteIfNeeded(text: string): string {
  const plain = /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/.test(text) && !text.endsWith(':') && parse(text) === text
  return plain ? text : JSON.stringify(text)
}

function pairOf(map: YAMLMap, name: string): Pair | undefined {
  return map.items.find(({ key }) => isScalar(key) && key.value === name)
}

function valueAt(node: unknown, name: string): unknown {
  return isMap(node) ? pairOf(node, name)?.value : undefined
}

const isQuoted = (key: Scalar): boolean => key.type === Scalar.QUOTE_DOUBLE
const startOf = (node: unknown): number => (node as Node).range![0]

/** Behind the value, before a comment on its line. An alias or an empty value has a range too. */
function endOf(node: unknown): number {
  const inner = node as Node
  if (isMap(inner) && !inner.flow) return endOf(inner.items.at(-1)!.value ?? inner.items.at(-1)!.key)
  if (isSeq(inner) && !inner.flow && inner.items.length > 0) return endOf(inner.items.at(-1))
  return inner.range![1]
}

/** Before the line's end, behind its comment. */
function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  if (end < 0) return text.length
  return text[end - 1] === '\r' ? end - 1 : end
}

/** Spaces up to the column of `at`. */
function indentAt(text: string, at: number): string {
  return ' '.repeat(at - (text.lastIndexOf('\n', at - 1) + 1))
}

const insert = (text: string, at: number, what: string): string => splice(text, at, at, what)
const splice = (text: string, from: number, to: number, what: string): string =>
  text.slice(0, from) + what + text.slice(to)
