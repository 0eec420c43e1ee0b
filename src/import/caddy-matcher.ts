import type { CaddyLine } from './caddy-reader.js'
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
  quoted,
} from './match.js'

/** Matchers of a Caddyfile as conditions. */

export type Named = ReadonlyMap<string, CaddyLine>

/** `/path`, `@name`, or undefined for every request. @throws Untranslatable */
export function matcherOf(token: string | undefined, named: Named): Condition {
  if (token === undefined || token === '*') return { is: 'all', of: [] }
  if (token.startsWith('/')) return anyOf(pathMatches(token))
  const found = named.get(token)
  if (found === undefined) throw new Untranslatable(`there is no matcher ${token}`)
  const own: CaddyLine[] = found.words.length > 1 ? [{ ...found, words: found.words.slice(1) }] : []
  return allOf([...own, ...(found.words.length > 1 ? [] : (found.block ?? []))])
}

/** All kinds must hold; of one kind any line. */
function allOf(lines: readonly CaddyLine[]): Condition {
  const kinds = new Map<string, Condition[]>()
  for (const each of lines) {
    const [kind = '', ...values] = each.words
    const key =
      kind === 'header' || kind === 'not' ? `${kind} ${values[0] ?? ''} ${kind === 'not' ? each.line : ''}` : kind
    kinds.set(key, [...(kinds.get(key) ?? []), one(kind, values, each)])
  }
  return { is: 'all', of: [...kinds.values()].map((of): Condition => ({ is: 'any', of })) }
}

function one(kind: string, values: readonly string[], line: CaddyLine): Condition {
  const [first = '', ...rest] = values
  switch (kind) {
    case 'path':
      return anyOf(values.flatMap(pathMatches))
    case 'path_regexp':
      return asks(matching({ path: expressionPath(values.at(-1) ?? '') }))
    case 'host':
      return anyOf(values.map((value) => matching({ host: hostOf(value) })))
    case 'method':
      return asks(matching({ methods: values.map((value) => value.toUpperCase()) }))
    case 'header':
      return header(first.toLowerCase(), rest)
    case 'header_regexp': {
      const [name = '', pattern = ''] = values.slice(-2)
      return asks(matching({ headers: { [name.toLowerCase()]: `~${expression(pattern)}` } }))
    }
    case 'query':
      return anyOf(
        values.map((pair) => {
          const [name = '', ...value] = pair.split('=')
          return matching({ query: { [name]: value.join('=') === '*' ? '*' : exactly(value.join('=')) } })
        }),
      )
    case 'remote_ip':
    case 'client_ip':
      return asks(matching({ sources: values.flatMap(networks) }))
    case 'protocol':
      throw new Untranslatable('a listener has one protocol')
    case 'not':
      return {
        is: 'not',
        of: values.length > 0 ? one(first, rest, line) : allOf(line.block ?? []),
      }
    default:
      throw new Untranslatable(`Castor’s rules have nothing for ${kind}`)
  }
}

function header(name: string, values: readonly string[]): Condition {
  if (name.startsWith('!')) return asks(matching({ headers: { [name.slice(1)]: '!' } }))
  if (values.length === 0) return asks(matching({ headers: { [name]: '*' } }))
  return anyOf(
    values.map((value) => {
      const stars = value.includes('*') && value !== '*'
      const pattern = value.split('*').map(quoted).join('.*')
      return matching({ headers: { [name]: value === '*' ? '*' : stars ? `~^${pattern}$` : exactly(value) } })
    }),
  )
}

export function pathMatches(path: string): readonly Match[] {
  if (path === '*' || path === '/*') return [matching({})]
  const inner = path.slice(0, -1)
  if (path.endsWith('*') && !inner.includes('*')) return pathsBeginning(inner).map((each) => matching({ path: each }))
  if (!path.includes('*')) return [matching({ path: exactPath(path) })]
  const pattern = path
    .split('*')
    .map(quoted)
    .join(path.startsWith('*') || path.endsWith('*') ? '.*' : '[^/]*')
  return [matching({ path: expressionPath(`^${pattern}$`) })]
}

function networks(text: string): readonly string[] {
  if (text === 'private_ranges') {
    return ['192.168.0.0/16', '172.16.0.0/12', '10.0.0.0/8', '127.0.0.1/8', 'fd00::/8', '::1/128']
  }
  if (!/^[0-9a-f.:]+(\/\d+)?$/i.test(text)) throw new Untranslatable(`"${text}" is no address or network`)
  return [text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`]
}
