import { RE2JS } from 're2js'
import { normalizePath } from '../core/normal-path.js'
import { Untranslatable } from './findings.js'

/** Which requests, as all formats can be brought to: everything that is given must hold. */
export interface Match {
  /** As Castor writes it, in lower case; empty = any. */
  readonly host: string
  readonly path: PathMatch
  /** Undefined = any. */
  readonly methods: readonly string[] | undefined
  /** By name, the values in Castor's own form: text, `*`, `!`, `~` and an expression. */
  readonly headers: ValueMatches
  readonly query: ValueMatches
  readonly cookies: ValueMatches
  /** CIDRs; undefined = any. */
  readonly sources: readonly string[] | undefined
}

export type ValueMatches = Readonly<Record<string, string>>

export type PathMatch =
  | { readonly is: 'any' }
  | { readonly is: 'exact'; readonly text: string }
  /** Text that the path begins with. Castor has it as `text*` only where it ends in a slash, else as an expression. */
  | { readonly is: 'begins'; readonly text: string; readonly asExpression: boolean }
  | { readonly is: 'expression'; readonly text: string }

export const ANYTHING: Match = {
  host: '',
  path: { is: 'any' },
  methods: undefined,
  headers: {},
  query: {},
  cookies: {},
  sources: undefined,
}

export function matching(part: Partial<Match>): Match {
  return { ...ANYTHING, ...part }
}

/** Characters that Castor's own notation of paths has; the rest needs an expression. */
const PLAIN_PATH = /^\/([!$&-)+-;=@-Z_a-z~[\]^|]|%[0-9A-F]{2})*$/
const MAX_EXPRESSION = 4096

export function exactPath(text: string): PathMatch {
  if (PLAIN_PATH.test(text) && normalizePath(text) === text) return { is: 'exact', text }
  return expressionPath(`^${quoted(text)}$`)
}

/** The ways to write a path that begins with `text`: Castor looks up those that end in a slash, and asks an expression last. */
export function pathsBeginning(text: string): readonly PathMatch[] {
  if (text === '' || text === '/') return [{ is: 'any' }]
  if (!PLAIN_PATH.test(text) || normalizePath(text) !== text) return [{ is: 'begins', text, asExpression: true }]
  if (text.endsWith('/')) return [{ is: 'begins', text, asExpression: false }]
  return [
    { is: 'exact', text },
    { is: 'begins', text: `${text}/`, asExpression: false },
    { is: 'begins', text, asExpression: true },
  ]
}

/** @throws Untranslatable for what is no RE2 syntax. */
export function expressionPath(text: string): PathMatch {
  return { is: 'expression', text: expression(text) }
}

/** The expression, checked. @throws Untranslatable for what is no RE2 syntax. */
export function expression(text: string): string {
  if (text.length > MAX_EXPRESSION) throw new Untranslatable('the expression is longer than 4096 characters')
  try {
    RE2JS.compile(text)
    return text
  } catch (fault) {
    throw new Untranslatable(
      `Castor’s expressions are of RE2’s syntax, which runs in linear time and has no ${reasonOf(fault as Error)}`,
    )
  }
}

function reasonOf(fault: Error): string {
  return /\(\?[=!<]/.test(fault.message) ? 'look-around' : `such thing (${fault.message})`
}

export function quoted(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

/** A value that is this text and no other, in Castor's form of values. */
export function exactly(text: string): string {
  return text === '*' || text === '!' || text.startsWith('~') ? `~^${quoted(text)}$` : text
}

/** The host as Castor writes it. @throws Untranslatable for what it cannot be. */
export function hostOf(written: string): string {
  const host = written.toLowerCase().replace(/\.$/, '')
  const bare = host.startsWith('*.') ? host.slice(2) : host.endsWith('.*') ? host.slice(0, -2) : host
  if (/^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(bare) && bare.length <= 240) {
    return host
  }
  if (/^\[[0-9a-f:.]+\]$/.test(host)) return host
  throw new Untranslatable('Castor has hosts as a name, *.name or name.*')
}

/** No request is in both. */
export const DISJOINT = 'disjoint'
/** Castor has no one condition for what both ask for. */
export const UNKNOWN = 'unknown'

/** The requests that both matches take. */
export function intersect(a: Match, b: Match): Match | typeof DISJOINT | typeof UNKNOWN {
  const path = intersectPaths(a.path, b.path)
  if (path === DISJOINT) return DISJOINT
  const rest = intersectBesidePath(a, b)
  if (rest === DISJOINT) return DISJOINT
  return rest === UNKNOWN || path === UNKNOWN ? UNKNOWN : { ...rest, path }
}

/** The same for everything except the path, which is `a`'s. */
export function intersectBesidePath(a: Match, b: Match): Match | typeof DISJOINT | typeof UNKNOWN {
  const host = intersectHosts(a.host, b.host)
  const methods = intersectLists(a.methods, b.methods, (one, other) => (one === other ? one : undefined))
  const sources = intersectLists(a.sources, b.sources, narrower)
  const headers = intersectValues(a.headers, b.headers)
  const query = intersectValues(a.query, b.query)
  const cookies = intersectValues(a.cookies, b.cookies)
  if (host === DISJOINT || methods?.length === 0 || sources?.length === 0) return DISJOINT
  if (headers === DISJOINT || query === DISJOINT || cookies === DISJOINT) return DISJOINT
  if (host === UNKNOWN || headers === UNKNOWN || query === UNKNOWN || cookies === UNKNOWN) return UNKNOWN
  return { host, path: a.path, methods, sources, headers, query, cookies }
}

function intersectHosts(a: string, b: string): string {
  if (a === b || b === '') return a
  if (a === '') return b
  if (takesHost(a, b)) return b
  if (takesHost(b, a)) return a
  const differ = (a.startsWith('*.') && b.endsWith('.*')) || (b.startsWith('*.') && a.endsWith('.*'))
  return differ ? UNKNOWN : DISJOINT
}

function takesHost(pattern: string, other: string): boolean {
  if (pattern.startsWith('*.')) return other.endsWith(pattern.slice(1)) && !other.endsWith('.*')
  return pattern.endsWith('.*') && other.startsWith(pattern.slice(0, -1)) && !other.startsWith('*.')
}

function intersectPaths(a: PathMatch, b: PathMatch): PathMatch | typeof DISJOINT | typeof UNKNOWN {
  if (b.is === 'any') return a
  if (a.is === 'any') return b
  if (a.is === 'exact') return takesPath(b, a.text) ? a : DISJOINT
  if (b.is === 'exact') return takesPath(a, b.text) ? b : DISJOINT
  if (a.is === 'begins' && b.is === 'begins') {
    if (a.text === b.text) return a.asExpression ? b : a
    if (a.text.startsWith(b.text)) return a
    return b.text.startsWith(a.text) ? b : DISJOINT
  }
  if (a.is === 'expression' && b.is === 'expression' && a.text === b.text) return a
  const [mine, other] = [literalStart(a), literalStart(b)]
  return mine.startsWith(other) || other.startsWith(mine) ? UNKNOWN : DISJOINT
}

/** What every path that it takes begins with, as far as that is easily told. */
function literalStart(path: PathMatch): string {
  if (path.is === 'begins') return path.text
  if (path.is !== 'expression' || path.text.includes('|')) return ''
  const [, start = '', next = ''] = /^\^([A-Za-z0-9/_-]*)(.?)/.exec(path.text) ?? []
  return '?*{'.includes(next) && next !== '' ? start.slice(0, -1) : start
}

export function takesPath(path: PathMatch, text: string): boolean {
  switch (path.is) {
    case 'any':
      return true
    case 'exact':
      return path.text === text
    case 'begins':
      return text.startsWith(path.text)
    case 'expression':
      return RE2JS.compile(path.text).test(text)
  }
}

/** Undefined = all there are. */
function intersectLists(
  a: readonly string[] | undefined,
  b: readonly string[] | undefined,
  both: (one: string, other: string) => string | undefined,
): readonly string[] | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const common = a.flatMap((one) => b.map((other) => both(one, other)))
  return [...new Set(common.filter((each) => each !== undefined))]
}

/** Networks lie within each other or apart. */
function narrower(a: string, b: string): string | undefined {
  if (isWithin(a, b)) return a
  return isWithin(b, a) ? b : undefined
}

function isWithin(inner: string, outer: string): boolean {
  const [a, b] = [bitsOf(inner), bitsOf(outer)]
  return a.family === b.family && a.bits.startsWith(b.bits)
}

/** Every address outside of the networks, as networks. */
export function outside(networks: readonly string[]): readonly string[] {
  let left: readonly string[] = ['0.0.0.0/0', '::/0']
  for (const network of networks) left = left.flatMap((each) => without(each, network))
  return left
}

function without(network: string, hole: string): readonly string[] {
  if (isWithin(network, hole)) return []
  if (!isWithin(hole, network)) return [network]
  const { family, bits } = bitsOf(hole)
  const from = bitsOf(network).bits.length
  return Array.from({ length: bits.length - from }, (_, index) => {
    const length = from + index + 1
    return networkOf(family, bits.slice(0, length - 1) + (bits[length - 1] === '0' ? '1' : '0'))
  })
}

function networkOf(family: 4 | 6, bits: string): string {
  const [width, parts] = family === 4 ? [8, 4] : [16, 8]
  const all = bits.padEnd(width * parts, '0')
  const numbers = Array.from({ length: parts }, (_, at) => Number.parseInt(all.slice(at * width, (at + 1) * width), 2))
  if (family === 4) return `${numbers.join('.')}/${bits.length}`
  const groups = numbers.map((number) => number.toString(16)).join(':')
  return `${groups.replace(/(^|:)(0(:0)+)$/, '::')}/${bits.length}`
}

function bitsOf(network: string): { readonly family: 4 | 6; readonly bits: string } {
  const [address = '', length] = network.split('/')
  if (!address.includes(':')) {
    const bits = address.split('.').map((part) => Number(part).toString(2).padStart(8, '0'))
    return { family: 4, bits: bits.join('').slice(0, Number(length ?? 32)) }
  }
  const [before = '', after] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [head, tail] = [groups(before), groups(after ?? '')]
  const filled = [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0'), ...tail]
  const bits = filled.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('')
  return { family: 6, bits: bits.slice(0, Number(length ?? 128)) }
}

function intersectValues(a: ValueMatches, b: ValueMatches): ValueMatches | typeof DISJOINT | typeof UNKNOWN {
  const both: Record<string, string> = { ...a }
  for (const [name, value] of Object.entries(b)) {
    const mine = both[name]
    if (mine === undefined || mine === value || mine === '*') {
      if (mine === '*' && value === '!') return DISJOINT
      both[name] = value
    } else if (value === '*') {
      if (mine === '!') return DISJOINT
    } else if (mine === '!' || value === '!') {
      return DISJOINT
    } else {
      const common = commonValue(mine, value)
      if (common === DISJOINT || common === UNKNOWN) return common
      both[name] = common
    }
  }
  return both
}

/** A field that is there once has one value. */
function commonValue(a: string, b: string): string {
  if (a.startsWith('~')) {
    if (b.startsWith('~')) return UNKNOWN
    return RE2JS.compile(a.slice(1)).test(b) ? b : DISJOINT
  }
  return b.startsWith('~') ? commonValue(b, a) : DISJOINT
}
