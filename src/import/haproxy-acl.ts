import { ALWAYS, anyOf, asks, type Condition, NEVER } from './condition.js'
import { Untranslatable } from './findings.js'
import type { HaproxyLine } from './haproxy-reader.js'
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

/** ACLs of HAProxy (configuration manual, 7) as conditions. */

/** What is known of the connections that a condition is asked of. */
export interface Bound {
  readonly tls: boolean
  readonly port: number
}

/** The words of every `acl` line of a name, which is true where one of them is. */
export type Acls = ReadonlyMap<string, readonly (readonly string[])[]>

export function aclsOf(lines: readonly HaproxyLine[]): Acls {
  const acls = new Map<string, (readonly string[])[]>()
  for (const { words } of lines) {
    const [key, name, ...rest] = words
    if (key !== 'acl' || name === undefined) continue
    acls.set(name, [...(acls.get(name) ?? []), rest])
  }
  return acls
}

/** Words from "if" or "unless" on. @throws Untranslatable */
export function conditionOf(words: readonly string[], acls: Acls, bound: Bound): Condition {
  if (words.length === 0) return ALWAYS
  const [keyword, ...rest] = words
  if (keyword !== 'if' && keyword !== 'unless') throw new Untranslatable(`"${keyword}" is nothing that Castor has`)
  const any: Condition[] = []
  let all: Condition[] = []
  let negate = false
  for (let at = 0; at < rest.length; at++) {
    let word = rest[at]!
    if (word === 'or' || word === '||') {
      any.push({ is: 'all', of: all })
      all = []
      continue
    }
    while (word.startsWith('!')) {
      negate = !negate
      word = word.slice(1)
    }
    if (word === '') continue
    let one: Condition
    if (word === '{') {
      const end = rest.indexOf('}', at)
      if (end < 0) throw new Untranslatable('a { has no }')
      one = criterion(rest.slice(at + 1, end), bound)
      at = end
    } else {
      one = named(word, acls, bound)
    }
    all.push(negate ? { is: 'not', of: one } : one)
    negate = false
  }
  any.push({ is: 'all', of: all })
  const whole: Condition = { is: 'any', of: any }
  return keyword === 'if' ? whole : { is: 'not', of: whole }
}

function named(name: string, acls: Acls, bound: Bound): Condition {
  const lines = acls.get(name)
  if (lines !== undefined) return { is: 'any', of: lines.map((words) => criterion(words, bound)) }
  if (name === 'TRUE' || name === 'HTTP') return ALWAYS
  if (name === 'FALSE') return NEVER
  if (name === 'LOCALHOST') return asks(matching({ sources: ['127.0.0.0/8', '::1/128'] }))
  const method = /^METH_([A-Z]+)$/.exec(name)?.[1]
  if (method === 'GET') return asks(matching({ methods: ['GET', 'HEAD'] }))
  if (method !== undefined) return asks(matching({ methods: [method] }))
  throw new Untranslatable(`the ACL "${name}" is not there, or is one of HAProxy’s own that Castor has nothing for`)
}

const SUFFIXES: Readonly<Record<string, string>> = {
  beg: 'beg',
  end: 'end',
  dir: 'dir',
  dom: 'dom',
  reg: 'reg',
  sub: 'sub',
  len: 'len',
}

function criterion(words: readonly string[], bound: Bound): Condition {
  const [written = '', ...rest] = words
  const parts = /^([a-z0-9_.]+)(?:\(([^)]*)\))?((?:,[^\s]*)?)$/i.exec(written)
  if (parts === null) throw new Untranslatable(`"${written}" is nothing that Castor can ask of a request`)
  const [, keyword = '', argument = '', converters = ''] = parts
  const suffix = /_([a-z]{3})$/.exec(keyword)?.[1] ?? ''
  const ends = Object.hasOwn(SUFFIXES, suffix) && keyword !== 'src_sub'
  const fetch = ends ? keyword.slice(0, -4) : keyword
  let method = ends ? suffix : 'str'
  let ignoreCase = false
  const values: string[] = []
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!
    if (word === '--') {
      values.push(...rest.slice(at + 1))
      break
    }
    if (word === '-i') ignoreCase = true
    else if (word === '-m') method = rest[++at] ?? ''
    else if (word === '-n') continue
    else if (word === '-f' || word === '-M' || word === '-u')
      throw new Untranslatable(`${word} names a file, which is not read; write its values into the rule`)
    else values.push(word)
  }
  for (const converter of converters.split(',').filter((each) => each !== '')) {
    if (converter === 'lower') ignoreCase = true
    else if (!(isHost(fetch, argument) && /^field\(1/.test(converter)) && converter !== ':)') {
      throw new Untranslatable(`the converter "${converter}" has no equal`)
    }
  }
  return leaf({ fetch, argument, method, ignoreCase, values }, bound)
}

interface Criterion {
  readonly fetch: string
  readonly argument: string
  /** How values are compared: str, beg, end, sub, reg, found. */
  readonly method: string
  readonly ignoreCase: boolean
  readonly values: readonly string[]
}

const isHost = (fetch: string, argument: string): boolean =>
  /^(req\.|req_)?f?hdr$/.test(fetch) && /^host(,-?1)?$/i.test(argument)

function leaf(what: Criterion, bound: Bound): Condition {
  const { fetch, argument, values } = what
  if (isHost(fetch, argument)) return anyOf(values.map((value) => matching({ host: hostPattern(what, value) })))
  switch (fetch) {
    case 'path':
      return anyOf(values.flatMap((value) => pathMatches(what, value)))
    case 'url':
      if (
        what.method !== 'beg' ||
        values.some((value) => value.includes('?')) ||
        values.some((v) => !v.startsWith('/'))
      )
        throw new Untranslatable('Castor compares path and query apart from each other; ask for path')
      return anyOf(values.flatMap((value) => pathMatches(what, value)))
    case 'hdr':
    case 'req.hdr':
    case 'req.fhdr': {
      const name = argument.replace(/,-?1$/, '').toLowerCase()
      if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) throw new Untranslatable('it names no header')
      if (name === 'cookie') throw new Untranslatable('Castor looks at cookies one by one; ask for req.cook(NAME)')
      return valueMatches(what, (value) => matching({ headers: { [name]: value } }))
    }
    case 'url_param':
    case 'urlp':
    case 'req.url_param':
      return valueMatches(what, (value) => matching({ query: { [argument]: value } }))
    case 'cook':
    case 'req.cook':
      return valueMatches(what, (value) => matching({ cookies: { [argument]: value } }))
    case 'method':
      if (what.method !== 'str') throw new Untranslatable('Castor compares whole methods')
      return asks(matching({ methods: values }))
    case 'src':
      return asks(matching({ sources: values.map(network) }))
    case 'ssl_fc':
      return constant(bound.tls !== values.includes('0'))
    case 'dst_port':
      if (values.some((value) => !/^\d+$/.test(value))) throw new Untranslatable('ports are compared one by one')
      return constant(values.map(Number).includes(bound.port))
    case 'always_true':
      return ALWAYS
    case 'always_false':
      return NEVER
    default:
      throw new Untranslatable(`Castor’s rules cannot ask for "${fetch}"`)
  }
}

const constant = (holds: boolean): Condition => (holds ? ALWAYS : NEVER)

function hostPattern({ method }: Criterion, value: string): string {
  const name = value.replace(/:\d+$/, '')
  if (method === 'str') return hostOf(name)
  if (method === 'beg' && name.endsWith('.')) return hostOf(`${name}*`)
  if (method === 'end' && name.startsWith('.')) return hostOf(`*${name}`)
  throw new Untranslatable('Castor has hosts as a name, *.name or name.*, which begin and end at dots')
}

function pathMatches({ method, ignoreCase }: Criterion, value: string): readonly Match[] {
  const prefix = ignoreCase ? '(?i)' : ''
  const pattern = (text: string): Match[] => [matching({ path: expressionPath(prefix + text) })]
  switch (method) {
    case 'str':
      return ignoreCase ? pattern(`^${quoted(value)}$`) : [matching({ path: exactPath(value) })]
    case 'beg':
      return ignoreCase ? pattern(`^${quoted(value)}`) : pathsBeginning(value).map((path) => matching({ path }))
    case 'end':
      return pattern(`${quoted(value)}$`)
    case 'sub':
      return pattern(quoted(value))
    case 'reg':
      return pattern(value)
    case 'dir':
      return pattern(`(^|/)${quoted(value.replace(/^\/+|\/+$/g, ''))}(/|$)`)
    default:
      throw new Untranslatable(`Castor cannot compare paths by "${method}"`)
  }
}

function valueMatches({ method, ignoreCase, values }: Criterion, match: (value: string) => Match): Condition {
  if (method === 'found' || values.length === 0) return asks(match('*'))
  return anyOf(values.map((value) => match(valueTest(method, ignoreCase, value))))
}

function valueTest(method: string, ignoreCase: boolean, value: string): string {
  const pattern = (text: string): string => `~${expression((ignoreCase ? '(?i)' : '') + text)}`
  switch (method) {
    case 'str':
      return ignoreCase && /[a-z]/i.test(value) ? pattern(`^${quoted(value)}$`) : exactly(value)
    case 'beg':
      return pattern(`^${quoted(value)}`)
    case 'end':
      return pattern(`${quoted(value)}$`)
    case 'sub':
      return pattern(quoted(value))
    case 'reg':
      return pattern(value)
    default:
      throw new Untranslatable(`Castor cannot compare values by "${method}"`)
  }
}

function network(text: string): string {
  if (/^[0-9.]+(\/\d+)?$|^[0-9a-f:.]+(\/\d+)?$/i.test(text))
    return text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`
  throw new Untranslatable(`"${text}" is no address or network`)
}
