import { anyOf, asks, type Condition } from './condition.js'
import { Untranslatable } from './findings.js'
import {
  exactly,
  exactPath,
  expression,
  expressionPath,
  hostOf,
  type Match,
  matching,
  pathsBeginning,
} from './match.js'

/** Rules of Traefik's routers: `Host(`a`) && (PathPrefix(`/x`) || !Method(`GET`))`. */

const MAX_DEPTH = 50
const TOKEN = /\s*(?:(&&|\|\||[!(),])|([A-Za-z]+)|(`[^`]*`|"(?:[^"\\]|\\.)*"))/y

/** @throws Untranslatable for what is no rule, or has no equal */
export function parseTraefikRule(text: string): Condition {
  const tokens = tokensOf(text)
  let at = 0
  const take = (): string => {
    const token = tokens[at++]
    if (token === undefined) throw new Untranslatable('the rule ends too early')
    return token
  }
  const want = (token: string): void => {
    const found = take()
    if (found !== token) throw new Untranslatable(`"${found}" stands where "${token}" should`)
  }
  const anyRule = (depth: number): Condition => {
    const of = [allRule(depth)]
    while (tokens[at] === '||') {
      at++
      of.push(allRule(depth))
    }
    return of.length === 1 ? of[0]! : { is: 'any', of }
  }
  const allRule = (depth: number): Condition => {
    const of = [oneRule(depth)]
    while (tokens[at] === '&&') {
      at++
      of.push(oneRule(depth))
    }
    return of.length === 1 ? of[0]! : { is: 'all', of }
  }
  const oneRule = (depth: number): Condition => {
    if (depth > MAX_DEPTH) throw new Untranslatable(`the rule is more than ${MAX_DEPTH} deep`)
    const token = take()
    if (token === '!') return { is: 'not', of: oneRule(depth + 1) }
    if (token === '(') {
      const inner = anyRule(depth + 1)
      want(')')
      return inner
    }
    if (!/^[A-Za-z]+$/.test(token)) throw new Untranslatable(`"${token}" stands where a matcher should`)
    want('(')
    const values: string[] = []
    while (tokens[at] !== ')') {
      values.push(unquoted(take()))
      if (tokens[at] === ',') at++
    }
    at++
    return matcher(token, values)
  }
  const rule = anyRule(0)
  if (at < tokens.length) throw new Untranslatable(`"${tokens[at]}" stands behind the rule`)
  return rule
}

function tokensOf(text: string): readonly string[] {
  const tokens: string[] = []
  const end = text.trimEnd().length
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex
    const found = TOKEN.exec(text)
    if (found === null) throw new Untranslatable(`"${text.slice(from, from + 20).trim()}" is nothing that a rule has`)
    tokens.push(found[1] ?? found[2] ?? found[3]!)
  }
  return tokens
}

function unquoted(token: string): string {
  if (token.startsWith('`')) return token.slice(1, -1)
  if (token.startsWith('"')) return token.slice(1, -1).replace(/\\(.)/g, '$1')
  throw new Untranslatable(`"${token}" stands where a text in quotes should`)
}

function matcher(name: string, values: readonly string[]): Condition {
  const [first = '', second] = values
  const each = (match: (value: string) => readonly Match[]): Condition => anyOf(values.flatMap(match))
  if (values.length === 0) throw new Untranslatable(`${name} has no value`)
  switch (name) {
    case 'Host':
      return each((value) => [matching({ host: hostOf(value) })])
    case 'Path':
      return each((value) => {
        if (value.includes('{')) throw new Untranslatable('Castor has no placeholders in paths; write pathRegex')
        return [matching({ path: exactPath(value) })]
      })
    case 'PathPrefix':
      return each((value) => {
        if (value.includes('{')) throw new Untranslatable('Castor has no placeholders in paths; write pathRegex')
        return pathsBeginning(value).map((path) => matching({ path }))
      })
    case 'PathRegexp':
      return each((value) => [matching({ path: expressionPath(value) })])
    case 'Method':
      return asks(matching({ methods: values.map((value) => value.toUpperCase()) }))
    case 'Header':
    case 'Headers':
      return asks(matching({ headers: { [first.toLowerCase()]: exactly(second ?? '') } }))
    case 'HeaderRegexp':
    case 'HeadersRegexp':
      return asks(matching({ headers: { [first.toLowerCase()]: `~${expression(second ?? '')}` } }))
    case 'Query':
      return query(values)
    case 'QueryRegexp':
      return asks(matching({ query: { [first]: `~${expression(second ?? '')}` } }))
    case 'ClientIP':
      return asks(matching({ sources: values.map(withLength) }))
    default:
      throw new Untranslatable(`Castor’s rules have nothing for ${name}`)
  }
}

/** Version 2 writes `name=value`, version 3 both apart. */
function query(values: readonly string[]): Condition {
  const [first = '', second] = values
  if (second !== undefined && !first.includes('=')) return asks(matching({ query: { [first]: exactly(second) } }))
  const all = values.map((pair): Condition => {
    const [name = '', ...rest] = pair.split('=')
    return asks(matching({ query: { [name]: exactly(rest.join('=')) } }))
  })
  return { is: 'all', of: all }
}

function withLength(text: string): string {
  if (!/^[0-9a-f.:]+(\/\d+)?$/i.test(text)) throw new Untranslatable(`"${text}" is no address or network`)
  return text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`
}
