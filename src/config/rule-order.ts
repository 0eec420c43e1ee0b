import type { MatchConfig, RuleConfig } from '../core/config-rules.js'
import {
  compiled,
  conditionsKey,
  countConditions,
  isDisjoint,
  isExpressionWithin,
  isFoundEverywhere,
  isWithin,
  subjectsOf,
} from './rule-conditions.js'

/** Rules before it that each rule is compared with one by one, so that many of them do not take for ever to check. */
const MAX_COMPARED = 20
/** In place of a host that rules leave out. */
const ANY_HOST = ''
/** In place of a path: rules with an expression, which come behind all paths, and those without either. */
export const EXPRESSION = '~'
export const ANY_PATH = ''

/** A rule under one host pattern and one path pattern, as one of them or `EXPRESSION` or `ANY_PATH`. */
export interface PlacedRule {
  /** Its place in the list. */
  readonly index: number
  readonly match: MatchConfig
  readonly conditions: number
}

/** The rules of a listener by what leads to them, in the order in which `route/rule-matcher.ts` asks them. */
export type RuleBuckets = ReadonlyMap<string, readonly PlacedRule[]>

export function bucketKey(host: string, path: string): string {
  return `${host} ${path}`
}

export function hostsOf({ hosts }: MatchConfig): readonly string[] {
  return hosts.length === 0 ? [ANY_HOST] : hosts
}

export function pathsOf({ paths, pathRegex }: MatchConfig): readonly string[] {
  return pathRegex !== '' ? [EXPRESSION] : paths.length === 0 ? [ANY_PATH] : paths
}

export function bucketsOf(rules: readonly RuleConfig[]): RuleBuckets {
  const buckets = new Map<string, PlacedRule[]>()
  for (const [index, { match }] of rules.entries()) {
    const placed: PlacedRule = { index, match, conditions: countConditions(match) }
    const keys = new Set(hostsOf(match).flatMap((host) => pathsOf(match).map((path) => bucketKey(host, path))))
    for (const key of keys) {
      const bucket = buckets.get(key)
      if (bucket === undefined) buckets.set(key, [placed])
      else bucket.push(placed)
    }
  }
  for (const bucket of buckets.values()) bucket.sort((a, b) => b.conditions - a.conditions)
  return buckets
}

/** What is to be told of a rule; the other is told by its place in the list. */
export type OrderFinding =
  /** Never matches, since another takes whatever it would. `but`: except for `OPTIONS *`. */
  | { readonly type: 'covered'; readonly index: number; readonly by: number; readonly but: boolean }
  /** Under one of its hosts and paths another takes whatever it would there. */
  | { readonly type: 'partly'; readonly index: number; readonly by: number; readonly where: string }
  /** Both want as much under one host and path, and requests may be what both want. */
  | { readonly type: 'overlap'; readonly index: number; readonly by: number }

/** Which rules others keep from matching, wholly or where only their position decides. In the order of the list. */
export function findOrder(rules: readonly RuleConfig[], buckets: RuleBuckets): readonly OrderFinding[] {
  const found = new Map<number, OrderFinding>()
  const covers = rules.map((): Cover[] => [])
  for (const [key, bucket] of buckets) {
    const seen = new Seen()
    const [host, path] = [key.slice(0, key.indexOf(' ')), key.slice(key.indexOf(' ') + 1)]
    const catchers = catchersFor(buckets, host, path)
    for (const rule of bucket) {
      const cover = seen.coverOf(rule) ?? caughtBy(rule, catchers)
      if (cover !== undefined) covers[rule.index]!.push({ ...cover, where: formatPlace(host, path) })
      else if (!found.has(rule.index)) {
        const by = seen.overlapOf(rule)
        if (by !== undefined) found.set(rule.index, { type: 'overlap', index: rule.index, by })
      }
      seen.add(rule)
    }
  }
  for (const [index, { match }] of rules.entries()) {
    const [first] = covers[index]!
    if (first === undefined) continue
    const places = new Set(hostsOf(match)).size * new Set(pathsOf(match)).size
    const isWhole = covers[index]!.length === places
    const but = covers[index]!.some((cover) => cover.but)
    if (isWhole) found.set(index, { type: 'covered', index, by: first.by, but })
    else found.set(index, { type: 'partly', index, by: first.by, where: first.where })
  }
  return [...found.values()].sort((a, b) => a.index - b.index)
}

interface Caught {
  readonly by: number
  readonly but: boolean
}

interface Cover extends Caught {
  readonly where: string
}

function formatPlace(host: string, path: string): string {
  const what = path === EXPRESSION ? 'by pathRegex' : path === ANY_PATH ? 'for any path' : path
  return host === ANY_HOST ? what : `${host} ${what}`
}

/** The rules of a bucket that were asked already. */
class Seen {
  /** By `conditionsKey`: the first. */
  readonly #same = new Map<string, number>()
  /** By what they ask about: those that may take more than one of another's values. */
  readonly #bySubjects = new Map<string, PlacedRule[]>()
  /** With as many conditions as the last: the first about each. */
  #level = -1
  #firsts = new Map<string, PlacedRule[]>()

  add(rule: PlacedRule): void {
    const key = conditionsKey(rule.match)
    if (!this.#same.has(key)) this.#same.set(key, rule.index)
    const subjects = subjectsOf(rule.match)
    const alike = this.#bySubjects.get(subjects)
    if (alike === undefined) this.#bySubjects.set(subjects, [rule])
    else if (alike.length < MAX_COMPARED && isLoose(rule.match)) alike.push(rule)
    if (rule.conditions !== this.#level) {
      this.#level = rule.conditions
      this.#firsts = new Map()
    }
    const firsts = this.#firsts.get(subjects)
    if (firsts === undefined) {
      if (this.#firsts.size < MAX_COMPARED) this.#firsts.set(subjects, [rule])
    } else if (firsts.length < MAX_COMPARED) firsts.push(rule)
  }

  coverOf(rule: PlacedRule): Caught | undefined {
    const same = this.#same.get(conditionsKey(rule.match))
    if (same !== undefined) return { by: same, but: false }
    const wider = this.#bySubjects
      .get(subjectsOf(rule.match))
      ?.find(({ match }) => isWithin(rule.match, match) && isExpressionWithin(rule.match, match))
    return wider && { by: wider.index, but: false }
  }

  overlapOf(rule: PlacedRule): number | undefined {
    // Whether two expressions meet is not known; that one goes before the other is what their order is for.
    if (rule.conditions !== this.#level || rule.match.pathRegex !== '') return undefined
    const own = subjectsOf(rule.match)
    for (const [subjects, firsts] of this.#firsts) {
      const meets = (subjects === own ? firsts : firsts.slice(0, 1)).find(({ match }) => !isDisjoint(rule.match, match))
      if (meets !== undefined) return meets.index
    }
    return undefined
  }
}

/** Whether a rule may take other values than one for each thing that it asks about. */
function isLoose({ methods, sourceIp, headers, cookies, query, pathRegex }: MatchConfig): boolean {
  if (methods.length > 1 || sourceIp.length > 0 || pathRegex !== '') return true
  return [...headers, ...cookies, ...query].some(({ is }) => is !== 'equal')
}

interface Catcher {
  readonly rule: PlacedRule
  /** `OPTIONS *` goes past it, which has no path that begins with a slash. */
  readonly but: boolean
}

/** Rules for the same host that take every path, and are asked before those of this bucket. */
function catchersFor(buckets: RuleBuckets, host: string, path: string): readonly Catcher[] {
  if (path !== EXPRESSION && path !== ANY_PATH) return []
  const fewest = (key: string): readonly PlacedRule[] => (buckets.get(bucketKey(host, key)) ?? []).slice(-MAX_COMPARED)
  const below = fewest('/*').map((rule): Catcher => ({ rule, but: true }))
  if (path === EXPRESSION) return below
  const found = fewest(EXPRESSION).filter(({ match }) => isFoundEverywhere(match.pathRegex))
  return [...found.map((rule): Catcher => ({ rule, but: false })), ...below]
}

function caughtBy({ match }: PlacedRule, catchers: readonly Catcher[]): Caught | undefined {
  const found = catchers.find(({ rule }) => isWithin(match, rule.match))
  if (found === undefined) return undefined
  return { by: found.rule.index, but: found.but && mayTakeStar(match) }
}

function mayTakeStar({ methods, pathRegex }: MatchConfig): boolean {
  if (methods.length > 0 && !methods.includes('OPTIONS')) return false
  return pathRegex === '' || compiled(pathRegex).test('*')
}
