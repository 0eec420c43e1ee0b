import { readBodyFile } from './body-file.js'
import { checkEdits } from './check-edits.js'
import type { Path } from './problems.js'
import { didYouMean } from './suggest.js'
import { type Entry, entries, type Fields, isFields, type Report, text } from './tree.js'
import { unique } from './unique.js'

/** What rules say of other parts of the file: groups and rule sets that are missing, and listeners that have no rules. */

/** A rule, wherever in the file it stands. */
export interface RuleEntry extends Entry {
  /** Its position among the rules of its listener, from 1, which is its name where it has none. */
  readonly position: number
}

/** The rules of a listener in their order, those of rule sets where they are used. */
export function rulesOf({ fields, path }: Entry, root: Fields): readonly RuleEntry[] {
  const sets = isFields(root.ruleSets) ? root.ruleSets : {}
  const setOf = (name: unknown): Entry[] =>
    typeof name === 'string' && Object.hasOwn(sets, name) ? entries(sets, name, ['ruleSets']) : []
  const list =
    typeof fields.rules === 'string'
      ? setOf(fields.rules)
      : entries(fields, 'rules', path).flatMap((item) => ('use' in item.fields ? setOf(item.fields.use) : [item]))
  return list.map((entry, index) => ({ ...entry, position: index + 1 }))
}

/** A name of a group, and where it stands. */
export interface NamedGroup {
  readonly name: string
  readonly path: Path
}

/** The groups that a rule sends requests, or copies of them, to. */
export function groupsOf(rule: Entry): readonly NamedGroup[] {
  const { mirror } = rule.fields
  const at = [...rule.path, 'mirror']
  const copied = isFields(mirror) ? named(mirror.targetGroup, [...at, 'targetGroup']) : named(mirror, at)
  return [...answeringGroupsOf(rule), ...copied]
}

/** Those whose answers clients get. */
export function answeringGroupsOf({ fields, path }: Entry): readonly NamedGroup[] {
  if (typeof fields.forward === 'string') return named(fields.forward, [...path, 'forward'])
  const split = entries(fields, 'forward', path)
  return split.flatMap((item) => named(item.fields.targetGroup, [...item.path, 'targetGroup']))
}

function named(written: unknown, path: Path): NamedGroup[] {
  const name = text(written)
  return name === undefined ? [] : [{ name, path }]
}

export function checkRules(root: Fields, groups: ReadonlyMap<string, Entry>, report: Report): void {
  const sets = isFields(root.ruleSets) ? root.ruleSets : {}
  for (const name of Object.keys(sets)) checkList(entries(sets, name, ['ruleSets']), groups, report)
  for (const listener of entries(root, 'listeners')) {
    const { rules, protocol, redirectToHttps } = listener.fields
    if (rules === undefined) continue
    const path = [...listener.path, 'rules']
    if (protocol === 'tcp' || protocol === 'tls') {
      report(path, `rules have no effect on a ${protocol} listener, which sees no requests; leave them out`, 'key')
    } else if (redirectToHttps !== undefined && redirectToHttps !== false) {
      report(path, 'rules have no effect with redirectToHttps, which answers every request; leave one out', 'key')
    }
    checkUses(listener, Object.keys(sets), report)
    checkList(entries(listener.fields, 'rules', listener.path), groups, report)
    unique(rulesOf(listener, root), ({ fields }) => text(fields.name), 'name', report)
  }
}

function checkUses({ fields, path }: Entry, sets: readonly string[], report: Report): void {
  const isMissing = (name: string): boolean => !sets.includes(name)
  const tell = (name: string, at: Path): void => report(at, `no rule set is named "${name}"${didYouMean(name, sets)}`)
  if (typeof fields.rules === 'string' && isMissing(fields.rules)) tell(fields.rules, [...path, 'rules'])
  for (const item of entries(fields, 'rules', path)) {
    const name = text(item.fields.use)
    if (name !== undefined && isMissing(name)) tell(name, [...item.path, 'use'])
  }
}

const ACTIONS = ['forward', 'redirect', 'respond']
const KEYS = [
  'name',
  'match',
  'stickySplit',
  'mirror',
  ...ACTIONS,
  'requestHeaders',
  'responseHeaders',
  'rewrite',
  'timeouts',
  'plugins',
]

function checkActions({ fields, path }: Entry, report: Report): void {
  const given = ACTIONS.filter((action) => fields[action] !== undefined)
  if (fields.use !== undefined) {
    const beside = KEYS.find((key) => fields[key] !== undefined)
    if (beside !== undefined)
      report([...path, beside], `has no effect beside use, which stands for other rules; leave it out`, 'key')
  } else if (given.length > 1) {
    report(path, `has ${given.join(' and ')}; a rule has one of them`)
  } else if (given.length === 0 && Object.keys(fields).every((key) => KEYS.includes(key))) {
    // An unknown key is one that was meant, and is complained about.
    report(path, `says not what to do; write one of ${ACTIONS.join(', ')}`)
  }
}

function checkList(rules: readonly Entry[], groups: ReadonlyMap<string, Entry>, report: Report): void {
  for (const rule of rules) {
    checkActions(rule, report)
    checkEdits(rule, report)
    const split = entries(rule.fields, 'forward', rule.path)
    if (rule.fields.mirror !== undefined && rule.fields.use === undefined && rule.fields.forward === undefined) {
      report([...rule.path, 'mirror'], 'has no effect without forward; leave it out', 'key')
    }
    if (rule.fields.stickySplit !== undefined && rule.fields.use === undefined && split.length < 2) {
      report([...rule.path, 'stickySplit'], 'has no effect without several groups in forward; leave it out', 'key')
    }
    if (split.length > 0 && split.every(({ fields }) => fields.weight === 0)) {
      report([...rule.path, 'forward'], 'has no weight above 0; then nobody answers')
    }
    for (const { name, path } of groupsOf(rule)) {
      const group = groups.get(name)
      if (group === undefined) {
        report(path, `no target group is named "${name}"${didYouMean(name, [...groups.keys()])}`)
      } else if (group.fields.protocol === 'tcp' || group.fields.protocol === 'tls') {
        report(path, `the group "${name}" speaks ${group.fields.protocol}; a rule needs http, https, h2 or h2c`)
      }
    }
  }
}

/** Reads the files that rules answer with. `found` gets what cannot be. */
export function checkBodyFiles(
  root: Fields,
  resolve: (written: unknown) => string,
  found: (path: Path, message: string) => void,
): void {
  const sets = isFields(root.ruleSets) ? root.ruleSets : {}
  const own = entries(root, 'listeners').flatMap(({ fields, path }) => entries(fields, 'rules', path))
  const shared = Object.keys(sets).flatMap((name) => entries(sets, name, ['ruleSets']))
  for (const { fields, path } of [...own, ...shared]) {
    const { respond } = fields
    const file = isFields(respond) && respond.body === undefined ? text(respond.bodyFile) : undefined
    if (file === undefined || file === '') continue
    const read = readBodyFile(resolve(file))
    if ('problem' in read) found([...path, 'respond', 'bodyFile'], read.problem)
  }
}
