import { Findings, Untranslatable } from './findings.js'
import {
  ANYTHING,
  DISJOINT,
  exactPath,
  intersect,
  intersectBesidePath,
  type Match,
  type PathMatch,
  UNKNOWN,
} from './match.js'

/**
 * A list whose first rule that fits is the one that counts, brought to rules that Castor prefers in the same way, whatever
 * their order. Where two overlap and Castor would take the later one, what they have in common becomes a rule of its own,
 * which is more particular than both. What a rule does not take (`except`) becomes rules for what the rest of the list does
 * with it.
 */

/** What becomes of the requests: keys of one of Castor's rules. */
export type Action = Readonly<Record<string, unknown>>

export interface ListedRule {
  readonly match: Match
  readonly except: readonly Match[]
  readonly action: Action
  /** Where it comes from, from 1; 0 for what no line says. */
  readonly line: number
  readonly name?: string
}

export interface OrderedRule {
  readonly match: Match
  readonly action: Action
  readonly line: number
  readonly name: string | undefined
  /** Its place in the list: of two that fit, the lower one counts. */
  readonly priority: number
}

const MAX_RULES = 10_000

/** The last rule must take every request. What cannot be kept apart is said to `findings`. */
export function inCastorsOrder(whole: readonly ListedRule[], findings: Findings): readonly OrderedRule[] {
  const end = whole.findIndex(({ match, except }) => except.length === 0 && isAnything(match))
  const list = end < 0 ? whole : whole.slice(0, end + 1)
  const quick = ordered(list, findings)
  if (quick.length <= ENOUGH * list.length) return quick
  // Expressions cost more, but among them it is position that decides, so that fewer overlaps have to be written out.
  const said = new Findings()
  const short = ordered(list.map(withExpressions), said)
  return said.all.length <= findings.all.length && short.length * ENOUGH <= quick.length ? short : quick
}

/** A file with so many times the rules is hard to read. */
const ENOUGH = 1.5

function withExpressions(rule: ListedRule): ListedRule {
  const { path } = rule.match
  if (path.is !== 'begins' || path.asExpression) return rule
  return { ...rule, match: { ...rule.match, path: { ...path, asExpression: true } } }
}

function ordered(list: readonly ListedRule[], findings: Findings): readonly OrderedRule[] {
  const first = place(positive(list, findings), findings)
  const slashes = addedSlashes(first)
  if (slashes.length === 0) return withoutNeedless(first)
  // Castor would send these to the path with a slash; here they are what the rest of the list makes of them.
  const last = list.at(-1)!
  const named = slashes.map((text): ListedRule => {
    return { match: { ...ANYTHING, path: exactPath(text) }, except: [], action: last.action, line: 0 }
  })
  return withoutNeedless(place(positive([...list.slice(0, -1), ...named, last], findings), findings))
}

/** Paths to which Castor would add a slash. */
function addedSlashes(rules: readonly OrderedRule[]): readonly string[] {
  const named = new Set(rules.flatMap(({ match: { path } }) => (path.is === 'exact' ? [path.text] : [])))
  const namedAnywhere = new Set(
    rules.flatMap(({ match: { path, host } }) => (path.is === 'exact' && host === '' ? [path.text] : [])),
  )
  const added = new Set<string>()
  for (const { match } of rules) {
    if (match.path.is !== 'begins' || match.path.asExpression) continue
    const text = match.path.text.slice(0, -1)
    const isNamed = namedAnywhere.has(text) || (named.has(text) && namesAt(rules, text, match.host))
    if (text !== '' && !isNamed) added.add(text)
  }
  return [...added]
}

const namesAt = (rules: readonly OrderedRule[], text: string, host: string): boolean =>
  rules.some(({ match }) => match.path.is === 'exact' && match.path.text === text && match.host === host)

/** Without `except`. What has no equal is said to `findings`, and left out. */
function positive(list: readonly ListedRule[], findings: Findings): readonly OrderedRule[] {
  const done: OrderedRule[] = []
  let priority = 0
  const add = ({ match, action, line, name }: ListedRule): void => {
    if (done.length >= MAX_RULES) throw new TooMany(`its conditions multiply to more than ${MAX_RULES} rules`)
    done.push({ match, action, line, name, priority: priority++ })
  }
  const walk = (from: number, within: Match): void => {
    for (let i = from; i < list.length; i++) {
      const rule = list[i]!
      const match = intersect(within, rule.match)
      if (match === DISJOINT) continue
      if (match === UNKNOWN) throw new Untranslatable(`it and line ${rule.line} are nothing that one rule can ask for`)
      const before = done.length
      try {
        for (const hole of rule.except) walkHole(i, match, within, hole)
      } catch (fault) {
        done.length = before
        if (from > 0 || !(fault instanceof Untranslatable) || fault instanceof TooMany) throw fault
        findings.untranslated(rule.line, nameOf(rule), `what it leaves out cannot be told apart: ${fault.message}`)
        continue
      }
      add({ ...rule, match })
      // Nothing comes behind one that takes all.
      if (rule.except.length === 0 && JSON.stringify(match) === JSON.stringify(within)) return
    }
  }
  /** The rest of the list, for what the rule leaves out: in the rule's own bounds, or also beyond them, where it says nothing. */
  const walkHole = (i: number, match: Match, within: Match, hole: Match): void => {
    const before = done.length
    const left = intersect(match, hole)
    if (left === DISJOINT) return
    try {
      if (left === UNKNOWN) throw new Untranslatable('it leaves out what no one rule can ask for')
      walk(i + 1, left)
    } catch (fault) {
      if (!(fault instanceof Untranslatable) || fault instanceof TooMany) throw fault
      done.length = before
      const wider = intersect(within, hole)
      if (wider === DISJOINT) return
      if (wider === UNKNOWN) throw fault
      walk(i + 1, wider)
    }
  }
  walk(0, ANYTHING)
  return done
}

/** There is no use in trying otherwise. */
class TooMany extends Untranslatable {}

function place(rules: readonly OrderedRule[], findings: Findings): readonly OrderedRule[] {
  const placed: OrderedRule[] = []
  const places = new Set<string>()
  const lower = (rule: OrderedRule): false => {
    const { path } = rule.match
    if (path.is === 'begins') insert({ ...rule, match: { ...rule.match, path: { ...path, asExpression: true } } })
    return false
  }
  const canLower = ({ match: { path } }: OrderedRule): boolean => path.is === 'begins' && !path.asExpression
  /** False where its prefix had to become an expression. */
  const insert = (rule: OrderedRule): boolean => {
    const key = JSON.stringify(rule.match)
    if (places.has(key)) return true
    if (placed.length >= MAX_RULES) throw new TooMany(`its rules overlap in more than ${MAX_RULES} ways`)
    for (const other of [...placed]) {
      if (other.priority >= rule.priority || compare(rule.match, other.match) >= 0) continue
      if (sameAction(rule.action, other.action)) continue
      const both = intersect(other.match, rule.match)
      if (both === DISJOINT) continue
      if (both === UNKNOWN) {
        const beside = intersectBesidePath(other.match, rule.match)
        if (beside === DISJOINT) continue
        if (beside === UNKNOWN || rule.match.path.is === 'any' || rule.match.path.is === 'exact') {
          const why = `line ${other.line} goes before it where both fit, which Castor’s order of preference cannot say`
          findings.untranslated(rule.line, nameOf(rule), why)
          continue
        }
        insert({ ...other, match: beside })
        if (canLower(rule)) return lower(rule)
        continue
      }
      const isPlaced = insert({ ...other, match: both })
      // What goes before it is an expression now, so that it has to be one too.
      if (!isPlaced && canLower(rule)) return lower(rule)
      if (JSON.stringify(both) === key) return true
    }
    if (places.has(key)) return true
    places.add(key)
    placed.push(rule)
    return true
  }
  for (const rule of rules) insert(rule)
  return placed
}

/** Beyond so many it is not worth the time. */
const MOST_COMPARED = 300

/** Without rules whose requests go the same way if they are not there. */
function withoutNeedless(rules: readonly OrderedRule[]): readonly OrderedRule[] {
  if (rules.length > MOST_COMPARED) return rules
  const kept = [...rules]
  const goesBefore = (a: OrderedRule, b: OrderedRule): boolean => {
    const order = compare(a.match, b.match)
    return order < 0 || (order === 0 && kept.indexOf(a) < kept.indexOf(b))
  }
  const isNeedless = (rule: OrderedRule): boolean =>
    kept.some((other) => {
      if (other === rule || !sameAction(other.action, rule.action) || !goesBefore(rule, other)) return false
      const both = intersect(other.match, rule.match)
      if (typeof both === 'string' || JSON.stringify(both) !== JSON.stringify(rule.match)) return false
      // A path that is named gets no slash from Castor.
      const { path, host } = other.match
      if (rule.match.path.is === 'exact' && (path.is !== 'exact' || (host !== '' && host !== rule.match.host)))
        return false
      return !kept.some(
        (between) =>
          between !== rule &&
          !sameAction(between.action, rule.action) &&
          goesBefore(rule, between) &&
          goesBefore(between, other) &&
          intersect(between.match, rule.match) !== DISJOINT,
      )
    })
  for (const rule of rules) if (isNeedless(rule)) kept.splice(kept.indexOf(rule), 1)
  return kept
}

const isAnything = (match: Match): boolean => JSON.stringify(match) === JSON.stringify(ANYTHING)

const isExpression = (path: PathMatch): boolean =>
  path.is === 'expression' || (path.is === 'begins' && path.asExpression)

const nameOf = ({ name, line }: { readonly name?: string | undefined; readonly line: number }): string =>
  name ?? `the rule of line ${line}`

const sameAction = (a: Action, b: Action): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Below 0 where Castor prefers `a` whenever both match, as `src/route/rule-matcher.ts` does. */
function compare(a: Match, b: Match): number {
  return hostRank(a.host) - hostRank(b.host) || pathRank(a.path) - pathRank(b.path) || conditionsOf(b) - conditionsOf(a)
}

function hostRank(host: string): number {
  if (host === '') return 3000
  if (host.startsWith('*.')) return 1000 - host.length
  return host.endsWith('.*') ? 2000 - host.length : 0
}

function pathRank(path: PathMatch): number {
  if (path.is === 'any') return 30_000
  if (isExpression(path)) return 20_000
  return path.is === 'exact' ? 0 : 10_000 - path.text.length
}

function conditionsOf({ methods, sources, headers, query, cookies }: Match): number {
  const lists = (methods === undefined ? 0 : 1) + (sources === undefined ? 0 : 1)
  return lists + Object.keys(headers).length + Object.keys(query).length + Object.keys(cookies).length
}
