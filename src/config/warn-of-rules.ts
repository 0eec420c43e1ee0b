import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../core/config.js'
import type { RuleConfig } from '../core/config-rules.js'
import { groupsOf, type RuleEntry, rulesOf } from './check-rules.js'
import { groupsOfPlugins } from './inspect-plugins.js'
import { findLoop } from './redirect-loops.js'
import { contradictionOf } from './rule-conditions.js'
import { bucketsOf, findOrder, type OrderFinding } from './rule-order.js'
import { type Entry, entries, type Fields, isFields, type Report, text } from './tree.js'

/** Rules that are told of; a file that is made by a program may have thousands that are wrong in one way. */
const MAX_TOLD = 100
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']

/**
 * Tells of rules that never match or match by their position alone, of redirects to themselves, and of groups and rule sets
 * that nothing uses. `config` is what the tree was read as.
 */
export function warnOfRules(config: Config, tree: unknown, warn: Report): void {
  if (!isFields(tree)) return
  const told = new Set<string>()
  let left = MAX_TOLD
  const once: Report = (path, message) => {
    // Listeners that share a set share its faults.
    const key = path.join('.')
    if (told.has(key)) return
    told.add(key)
    if (left-- > 0) warn(path, message)
  }
  for (const [index, entry] of entries(tree, 'listeners').entries()) warnOfListener(config, index, entry, tree, once)
  if (left < 0) warn(['listeners'], `and ${-left} more rules are like those above`)
  warnOfUnused(tree, warn)
}

function warnOfListener(config: Config, index: number, entry: Entry, root: Fields, warn: Report): void {
  const listener = config.listeners[index]!
  if (listener.rules.length === 0) return
  const written = rulesOf(entry, root)
  const buckets = bucketsOf(listener.rules)
  const nameOf = (rule: number): string => `rule "${listener.rules[rule]!.name}"`
  // In a set it is to be said for whom it is so.
  const where = ({ path }: RuleEntry): string => (path[0] === 'ruleSets' ? ` on listener "${listener.name}"` : '')
  const findings = new Map(findOrder(listener.rules, buckets).map((finding) => [finding.index, finding]))
  for (const [at, { match }] of listener.rules.entries()) {
    const rule = written[at]!
    const finding = findings.get(at)
    const contradiction = contradictionOf(match)
    const small = match.methods.find((method) => !METHODS.includes(method) && METHODS.includes(method.toUpperCase()))
    if (contradiction !== undefined) {
      warn(rule.path, `never matches: it wants ${contradiction} to be there and not to be there`)
      continue
    }
    if (finding !== undefined) {
      const isSame = isDeepStrictEqual(doneBy(listener.rules[finding.by]!), doneBy(listener.rules[at]!))
      const message = sayOrder(finding, nameOf(finding.by), isSame)
      if (message !== undefined) warn(rule.path, message.replace('%', where(rule)))
      if (finding.type === 'covered') continue
    }
    if (small !== undefined) {
      const path = [...rule.path, 'match', 'methods']
      warn(path, `may never match: methods are compared as written, and clients send ${small.toUpperCase()}`)
    }
    const loop = findLoop(listener, at, buckets)
    if (loop !== undefined) {
      const what = loop.sure ? 'redirects to itself' : 'may redirect to itself'
      warn(
        [...rule.path, 'redirect'],
        `${what}${where(rule)}: a request for ${loop.from} is sent to ${loop.to}, which it matches too`,
      )
    }
  }
}

/** What becomes of the requests that match. */
function doneBy({ name, match, ...rest }: RuleConfig): Omit<RuleConfig, 'name' | 'match'> {
  return rest
}

/** `%` is where the listener is named. */
function sayOrder(finding: OrderFinding, by: string, isSame: boolean): string | undefined {
  switch (finding.type) {
    case 'covered':
      return finding.but
        ? `matches nothing%, except for OPTIONS *: ${by} comes before it and takes every path`
        : `never matches%: ${by} comes before it and takes all that it would`
    case 'partly':
      return `never matches ${finding.where}%: ${by} comes before it there and takes all that it would`
    case 'overlap':
      // Whoever goes first, the same becomes of the request.
      return isSame
        ? undefined
        : `has as many conditions as ${by} for the same host and path%: a request that both match goes by the first in the file`
  }
}

function warnOfUnused(root: Fields, warn: Report): void {
  const sets = isFields(root.ruleSets) ? root.ruleSets : {}
  const listeners = entries(root, 'listeners')
  const used = new Set<unknown>()
  for (const { fields, path } of listeners) {
    if (typeof fields.rules === 'string') used.add(fields.rules)
    else for (const item of entries(fields, 'rules', path)) used.add(item.fields.use)
  }
  const named = new Map<string, boolean>()
  for (const { fields } of listeners) named.set(text(fields.targetGroup) ?? '', true)
  for (const name of groupsOfPlugins(root)) named.set(name, true)
  for (const { fields, path } of listeners) {
    for (const rule of entries(fields, 'rules', path)) for (const { name } of groupsOf(rule)) named.set(name, true)
  }
  for (const set of Object.keys(sets)) {
    const isUsed = used.has(set)
    if (!isUsed) warn(['ruleSets', set], 'is used by no listener; its rules do nothing', 'key')
    for (const rule of entries(sets, set, ['ruleSets'])) {
      for (const { name } of groupsOf(rule)) named.set(name, isUsed || named.get(name) === true)
    }
  }
  for (const { fields, path } of entries(root, 'targetGroups')) {
    const isUsed = named.get(text(fields.name) ?? '')
    if (isUsed === true) continue
    const why =
      isUsed === undefined ? 'no listener and no rule' : 'no listener, and only rules of sets that no listener uses,'
    const verb = isUsed === undefined ? 'names' : 'name'
    warn([...path, 'name'], `${why} ${verb} this group: it gets no requests`)
  }
}
