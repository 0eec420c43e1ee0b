import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../core/config.js'
import { toDocument } from './document.js'
import { maskSecrets, OPTIONS_KEY } from './mask-secrets.js'
import { reloadRule } from './reload-rules.js'
import { byContent } from './shown-file.js'
import { type Fields, isFields } from './tree.js'

/** A value that differs, in the words and units of the file; null where there is none. Secrets are masked. */
export interface ValueChange {
  /** From the thing that it belongs to: `idleTimeout`, `tls.policy`; of a setting from the top of the file. */
  readonly path: string
  readonly from: unknown
  readonly to: unknown
}

export interface NamedChanges {
  readonly name: string
  readonly values: readonly ValueChange[]
}

export interface TargetRef {
  readonly targetGroup: string
  readonly id: string
  readonly address: string
  readonly weight: number
}

export interface TargetChanges {
  readonly targetGroup: string
  readonly id: string
  readonly values: readonly ValueChange[]
}

/** What of one configuration is another in the next. The order of listeners, groups and targets means nothing. */
export interface ConfigDiff {
  /** What stands at the top of the file, and takes effect by a reload. */
  readonly settings: readonly ValueChange[]
  readonly listeners: ListsDiff
  /** Targets apart: those are in `targets`. */
  readonly targetGroups: ListsDiff
  /** Of groups that were there before and still are. */
  readonly targets: {
    readonly added: readonly TargetRef[]
    readonly removed: readonly TargetRef[]
    readonly changed: readonly TargetChanges[]
  }
  /** What only takes effect when the process starts. */
  readonly restart: readonly ValueChange[]
}

interface ListsDiff {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly NamedChanges[]
}

export function diffConfigs(before: Config, after: Config): ConfigDiff {
  // A file that is named as before may hold something else by now.
  return diffDocuments(toDocument(before, byContent), toDocument(after, byContent))
}

/** The same for two configurations in the form of the file, as `toDocument` makes them. */
export function diffDocuments(before: Fields, after: Fields): ConfigDiff {
  const settings: ValueChange[] = []
  const restart: ValueChange[] = []
  for (const change of changes(without(before, LISTS), without(after, LISTS), [])) {
    const into = reloadRule(change.path.split('.')) === 'restart' ? restart : settings
    into.push(change)
  }
  const groupsBefore = named(before.targetGroups)
  const groupsAfter = named(after.targetGroups)
  return {
    settings,
    listeners: diffNamed(named(before.listeners), named(after.listeners), restart, 'listeners'),
    targetGroups: diffNamed(groupsBefore, groupsAfter, restart, 'targetGroups'),
    targets: diffTargets(groupsBefore, groupsAfter),
    restart,
  }
}

/** Whether a reload would do nothing at all. */
export function isSame({ settings, listeners, targetGroups, targets, restart }: ConfigDiff): boolean {
  const lists = [listeners, targetGroups, targets].flatMap(({ added, removed, changed }) => [added, removed, changed])
  return [settings, restart, ...lists].every((list) => list.length === 0)
}

const LISTS = ['listeners', 'targetGroups']

function without(fields: Fields, keys: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !keys.includes(key)))
}

function named(list: unknown): Map<string, Fields> {
  const all = Array.isArray(list) ? list.filter(isFields) : []
  return new Map(all.map((fields) => [String(fields.name), fields]))
}

function diffNamed(
  before: ReadonlyMap<string, Fields>,
  after: ReadonlyMap<string, Fields>,
  restart: ValueChange[],
  list: string,
): ListsDiff {
  const changed: NamedChanges[] = []
  for (const [name, fields] of after) {
    const old = before.get(name)
    if (old === undefined) continue
    const values: ValueChange[] = []
    for (const change of changes(without(old, ['targets']), without(fields, ['targets']), [])) {
      if (reloadRule([list, '*', ...change.path.split('.')]) === 'reload') values.push(change)
      else restart.push({ ...change, path: `${list}.${name}.${change.path}` })
    }
    if (values.length > 0) changed.push({ name, values })
  }
  return {
    added: [...after.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed,
  }
}

function diffTargets(before: ReadonlyMap<string, Fields>, after: ReadonlyMap<string, Fields>): ConfigDiff['targets'] {
  const added: TargetRef[] = []
  const removed: TargetRef[] = []
  const changed: TargetChanges[] = []
  for (const [targetGroup, fields] of after) {
    const group = before.get(targetGroup)
    if (group === undefined) continue
    const old = targetsOf(group)
    const next = targetsOf(fields)
    for (const [id, target] of next) {
      const was = old.get(id)
      if (was === undefined) {
        added.push(refOf(targetGroup, id, target))
        continue
      }
      // By far the most of a large file.
      if (isDeepStrictEqual(was, target)) continue
      const values = changes(without(was, ['id']), without(target, ['id']), [])
      if (values.length > 0) changed.push({ targetGroup, id, values })
    }
    for (const [id, target] of old) if (!next.has(id)) removed.push(refOf(targetGroup, id, target))
  }
  return { added, removed, changed }
}

function targetsOf({ targets }: Fields): Map<string, Fields> {
  const all = Array.isArray(targets) ? targets.filter(isFields) : []
  return new Map(all.map((fields) => [String(fields.id ?? fields.address), fields]))
}

function refOf(targetGroup: string, id: string, { address, weight }: Fields): TargetRef {
  return { targetGroup, id, address: String(address), weight: Number(weight) }
}

/** Goes down where both are maps, or lists of maps; anything else is one value. */
function changes(before: Fields, after: Fields, above: readonly string[]): ValueChange[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].flatMap((key) => valueChanges(before[key], after[key], [...above, key], key))
}

/** `key` is where the value stands, or the list that it is in. */
function valueChanges(from: unknown, to: unknown, path: readonly string[], key: string): ValueChange[] {
  if (isDeepStrictEqual(from, to)) return []
  // What is a secret within options cannot be told any more from further down.
  if (key !== OPTIONS_KEY) {
    if (isFields(from) && isFields(to)) return changes(from, to, path)
    if (isListOfMaps(from) && isListOfMaps(to)) return itemChanges(from, to, path, key)
  }
  return [{ path: path.join('.'), from: maskSecrets(from ?? null, key), to: maskSecrets(to ?? null, key) }]
}

/** Of rules, plug-ins and the like only those that differ, by their place: a thousand others say nothing. */
function itemChanges(from: readonly Fields[], to: readonly Fields[], path: readonly string[], key: string) {
  const shorter = Math.min(from.length, to.length)
  let first = 0
  while (first < shorter && isDeepStrictEqual(from[first], to[first])) first += 1
  let alike = 0
  while (alike < shorter - first && isDeepStrictEqual(from.at(-1 - alike), to.at(-1 - alike))) alike += 1
  const before = from.slice(first, from.length - alike)
  const after = to.slice(first, to.length - alike)
  return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
    valueChanges(before[index], after[index], [...path, String(first + index)], key),
  ).flat()
}

const isListOfMaps = (value: unknown): value is Fields[] =>
  Array.isArray(value) && value.length > 0 && value.every(isFields)
