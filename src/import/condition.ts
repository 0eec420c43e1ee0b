import { Untranslatable } from './findings.js'
import { ANYTHING, DISJOINT, intersect, type Match, matching, outside, UNKNOWN } from './match.js'

/** What a rule asks of a request, with "and", "or" and "not" as formats have them. */
export type Condition =
  | { readonly is: 'match'; readonly match: Match }
  | { readonly is: 'all'; readonly of: readonly Condition[] }
  | { readonly is: 'any'; readonly of: readonly Condition[] }
  | { readonly is: 'not'; readonly of: Condition }

export const ALWAYS: Condition = { is: 'all', of: [] }
export const NEVER: Condition = { is: 'any', of: [] }

export function asks(match: Match): Condition {
  return { is: 'match', match }
}

export function anyOf(matches: readonly Match[]): Condition {
  return { is: 'any', of: matches.map(asks) }
}

/** Requests that `match` takes and none of `except` does. */
export interface Alternative {
  readonly match: Match
  readonly except: readonly Match[]
}

/** More are a sign of conditions that multiply each other. */
const MAX_ALTERNATIVES = 1000

/** A condition as a list of alternatives, one of which must hold. @throws Untranslatable where Castor has no such list. */
export function alternativesOf(condition: Condition): readonly Alternative[] {
  switch (condition.is) {
    case 'match':
      return [{ match: condition.match, except: [] }]
    case 'any':
      return bounded(condition.of.flatMap(alternativesOf))
    case 'all':
      return condition.of.reduce<readonly Alternative[]>(
        (sofar, part) => bounded(sofar.flatMap((one) => alternativesOf(part).flatMap((other) => both(one, other)))),
        [{ match: ANYTHING, except: [] }],
      )
    case 'not':
      if (condition.of.is === 'match') return [complementOf(condition.of.match)]
      return alternativesOf(negated(condition.of))
  }
}

/** Where Castor can ask for the opposite it does; else what it is the opposite of is left out. */
function complementOf(match: Match): Alternative {
  const { sources, headers, query, cookies } = match
  const only = (part: Partial<Match>): boolean => JSON.stringify({ ...ANYTHING, ...part }) === JSON.stringify(match)
  if (sources !== undefined && only({ sources })) {
    const others = outside(sources)
    if (others.length > 0) return { match: matching({ sources: others }), except: [] }
  }
  for (const [key, values] of Object.entries({ headers, query, cookies })) {
    const [first, ...more] = Object.entries(values)
    if (first === undefined || more.length > 0 || !only({ [key]: values })) continue
    const opposite = { '*': '!', '!': '*' }[first[1]]
    if (opposite !== undefined) return { match: matching({ [key]: { [first[0]]: opposite } }), except: [] }
  }
  return { match: ANYTHING, except: [match] }
}

function negated(condition: Exclude<Condition, { readonly is: 'match' }>): Condition {
  switch (condition.is) {
    case 'all':
      return { is: 'any', of: condition.of.map((of): Condition => ({ is: 'not', of })) }
    case 'any':
      return { is: 'all', of: condition.of.map((of): Condition => ({ is: 'not', of })) }
    case 'not':
      return condition.of
  }
}

function both(a: Alternative, b: Alternative): readonly Alternative[] {
  const match = intersect(a.match, b.match)
  if (match === DISJOINT) return []
  if (match === UNKNOWN) throw new Untranslatable('Castor has no rule that asks for both at once')
  return [{ match, except: [...a.except, ...b.except] }]
}

function bounded<T>(list: readonly T[]): readonly T[] {
  if (list.length > MAX_ALTERNATIVES) throw new Untranslatable('the conditions multiply to more than 1000 rules')
  return list
}
