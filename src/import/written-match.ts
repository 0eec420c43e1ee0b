import { settlePrefix } from './edits.js'
import { type Match, type PathMatch, quoted } from './match.js'
import type { OrderedRule } from './order.js'

/** Rules as Castor's file has them, those that differ by host or path alone as one. */

type Fields = Record<string, unknown>

/** A path that Castor has no pattern for, as an expression. */
export function expressionOf(path: PathMatch): string {
  if (path.is === 'expression') return path.text
  return path.is === 'begins' && path.asExpression ? `^${quoted(path.text)}` : ''
}

export interface WrittenRule {
  readonly fields: Fields
  /** Where they come from; 0 = from no line. */
  readonly lines: readonly number[]
}

interface Gathered {
  readonly rule: OrderedRule
  readonly hosts: string[]
  readonly paths: string[]
  readonly lines: number[]
}

export function writtenRules(rules: readonly OrderedRule[]): readonly WrittenRule[] {
  const names = new Set<string>()
  const settled = rules.map((rule): OrderedRule => {
    const { path, action } = settlePrefix(rule.match.path, rule.action)
    return { ...rule, match: { ...rule.match, path }, action }
  })
  return join(settled).map(({ rule, hosts, paths, lines }) => {
    const match = matchFields(rule.match, hosts, paths)
    const name = rule.name === undefined || names.has(rule.name) ? undefined : rule.name
    if (name !== undefined) names.add(name)
    const fields = {
      ...(name === undefined ? {} : { name }),
      ...(Object.keys(match).length === 0 ? {} : { match }),
      ...rule.action,
    }
    return { fields, lines: [...new Set(lines)].filter((line) => line > 0) }
  })
}

/** Neighbours alone: moved apart they would go before others. */
function join(rules: readonly OrderedRule[]): readonly Gathered[] {
  const gathered: Gathered[] = []
  for (const rule of rules) {
    const path = patternOf(rule.match.path)
    const one: Gathered = {
      rule,
      hosts: rule.match.host === '' ? [] : [rule.match.host],
      paths: path === undefined ? [] : [path],
      lines: [rule.line],
    }
    const before = gathered.at(-1)
    if (before === undefined || !joins(before, one)) gathered.push(one)
  }
  const joined: Gathered[] = []
  for (const one of gathered) {
    const before = joined.at(-1)
    if (before === undefined || !joinsHosts(before, one)) joined.push(one)
  }
  return joined
}

function joins(before: Gathered, one: Gathered): boolean {
  if (before.paths.length === 0 || one.paths.length === 0) return false
  if (before.rule.match.host !== one.rule.match.host || !same(before.rule, one.rule)) return false
  before.paths.push(...one.paths)
  before.lines.push(...one.lines)
  return true
}

function joinsHosts(before: Gathered, one: Gathered): boolean {
  if (before.hosts.length === 0 || one.hosts.length === 0) return false
  if (JSON.stringify(before.paths) !== JSON.stringify(one.paths)) return false
  if (expressionOf(before.rule.match.path) !== expressionOf(one.rule.match.path)) return false
  if (!same(before.rule, one.rule)) return false
  before.hosts.push(...one.hosts)
  before.lines.push(...one.lines)
  return true
}

/** In everything except host and path. */
function same(a: OrderedRule, b: OrderedRule): boolean {
  const rest = ({ match, action }: OrderedRule): string =>
    JSON.stringify([match.methods, match.headers, match.query, match.cookies, match.sources, action])
  return rest(a) === rest(b)
}

function patternOf(path: PathMatch): string | undefined {
  if (path.is === 'exact') return path.text
  return path.is === 'begins' && !path.asExpression ? `${path.text}*` : undefined
}

function matchFields(
  { path, methods, headers, query, cookies, sources }: Match,
  hosts: string[],
  paths: string[],
): Fields {
  const expression = expressionOf(path)
  return {
    ...(hosts.length === 0 ? {} : { host: oneOrList(hosts) }),
    ...(paths.length === 0 ? {} : { path: oneOrList(paths) }),
    ...(expression === '' ? {} : { pathRegex: expression }),
    ...(methods === undefined ? {} : { methods: [...methods] }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(Object.keys(query).length === 0 ? {} : { query }),
    ...(Object.keys(cookies).length === 0 ? {} : { cookies }),
    ...(sources === undefined ? {} : { sourceIp: [...sources] }),
  }
}

function oneOrList(list: readonly string[]): string | string[] {
  const different = [...new Set(list)]
  return different.length === 1 ? different[0]! : different
}
