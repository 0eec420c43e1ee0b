import ipaddr from 'ipaddr.js'
import { RE2JS } from 're2js'
import type { MatchConfig, ValueMatch } from '../core/config-rules.js'

/** How what two rules ask for beside host and path goes together. What cannot be told is answered with false. */

const KINDS = ['headers', 'cookies', 'query'] as const
/** Expressions that find something in everything. */
const FOUND_EVERYWHERE: readonly string[] = ['.*', '^.*', '.*$', '^.*$']

/** As `route/conditions.ts` counts them: of rules for the same host and path the one with more of them goes first. */
export function countConditions({ methods, sourceIp, headers, cookies, query }: MatchConfig): number {
  return (methods.length > 0 ? 1 : 0) + (sourceIp.length > 0 ? 1 : 0) + headers.length + cookies.length + query.length
}

/** Which things a rule asks about, whatever it wants of them: one rule can only be in another where these are the same. */
export function subjectsOf(match: MatchConfig): string {
  const named = KINDS.flatMap((kind) => match[kind].map(({ name }) => `${kind} ${name}`)).sort()
  return [match.methods.length > 0, match.sourceIp.length > 0, ...named].join('\n')
}

/** Everything that a rule asks for beside host and path; the same for rules that ask the same. */
export function conditionsKey(match: MatchConfig): string {
  const values = KINDS.map((kind) => match[kind].map(({ name, is, value }) => [name, is, value].join('\0')).sort())
  return JSON.stringify([[...match.methods].sort(), [...match.sourceIp].sort(), values, match.pathRegex])
}

/** Whether each request that is what `narrow` asks for is what `wide` asks for, beside host and path. */
export function isWithin(narrow: MatchConfig, wide: MatchConfig): boolean {
  if (wide.methods.length > 0) {
    if (narrow.methods.length === 0 || !narrow.methods.every((method) => wide.methods.includes(method))) return false
  }
  if (wide.sourceIp.length > 0) {
    if (narrow.sourceIp.length === 0 || !areHeld(narrow.sourceIp, wide.sourceIp)) return false
  }
  return KINDS.every((kind) =>
    wide[kind].every((asked) => narrow[kind].some((given) => given.name === asked.name && implies(given, asked))),
  )
}

/** Whether the expression of `wide` finds something in each path in which that of `narrow` does. */
export function isExpressionWithin(narrow: MatchConfig, wide: MatchConfig): boolean {
  return wide.pathRegex === narrow.pathRegex || isFoundEverywhere(wide.pathRegex)
}

export function isFoundEverywhere(expression: string): boolean {
  return FOUND_EVERYWHERE.includes(expression)
}

function implies(given: ValueMatch, asked: ValueMatch): boolean {
  if (given.is === 'absent' || asked.is === 'absent') return given.is === asked.is
  if (asked.is === 'present') return true
  if (given.is === asked.is && given.value === asked.value) return true
  return asked.is === 'matching' && (isFoundEverywhere(asked.value) || finds(asked.value, given))
}

function finds(expression: string, { is, value }: ValueMatch): boolean {
  return is === 'equal' && compiled(expression).test(value)
}

const MAX_COMPILED = 100
const expressions = new Map<string, RE2JS>()

/** Compiling takes longer than most answers, and the same few are asked again and again. */
export function compiled(expression: string): RE2JS {
  let regex = expressions.get(expression)
  if (regex === undefined) {
    regex = RE2JS.compile(expression)
    if (expressions.size >= MAX_COMPILED) expressions.clear()
    expressions.set(expression, regex)
  }
  return regex
}

/**
 * Whether hardly a request is what both ask for. A field or parameter of several values may be: nobody writes rules for
 * that, so that two values count as either or.
 */
export function isDisjoint(a: MatchConfig, b: MatchConfig): boolean {
  if (a.methods.length > 0 && b.methods.length > 0 && !a.methods.some((method) => b.methods.includes(method))) {
    return true
  }
  if (a.sourceIp.length > 0 && b.sourceIp.length > 0 && !doMeet(a.sourceIp, b.sourceIp)) return true
  return KINDS.some((kind) => a[kind].some((one) => b[kind].some((other) => excludes(one, other))))
}

function excludes(a: ValueMatch, b: ValueMatch): boolean {
  if (a.name !== b.name) return false
  if (a.is === 'absent' || b.is === 'absent') return a.is !== b.is
  if (a.is === 'present' || b.is === 'present') return false
  if (a.is === 'equal' && b.is === 'equal') return a.value !== b.value
  if (a.is === 'matching' && b.is === 'matching') return false
  return a.is === 'matching' ? !finds(a.value, b) : !finds(b.value, a)
}

/** The field, cookie or parameter that the rule wants to be there and not to be there. */
export function contradictionOf(match: MatchConfig): string | undefined {
  for (const kind of KINDS) {
    const absent = match[kind].find(
      ({ name, is }) => is === 'absent' && match[kind].some((other) => other.name === name && other.is !== 'absent'),
    )
    if (absent !== undefined) return absent.name
  }
  return undefined
}

interface Network {
  readonly bytes: readonly number[]
  readonly bits: number
}

const networks = new WeakMap<readonly string[], readonly Network[]>()

/** Parsed once for each list, which is compared with many. */
function networksOf(cidrs: readonly string[]): readonly Network[] {
  const known = networks.get(cidrs)
  if (known !== undefined) return known
  const parsed = cidrs.map(networkOf)
  networks.set(cidrs, parsed)
  return parsed
}

/** IPv4 in IPv6 form is IPv4, as where sources are compared. */
function networkOf(written: string): Network {
  const [address, prefix] = written.includes('/') ? ipaddr.parseCIDR(written) : [ipaddr.parse(written), -1]
  const bytes = address.toByteArray()
  const bits = prefix < 0 ? bytes.length * 8 : prefix
  const isMapped = bytes.length === 16 && (address as ipaddr.IPv6).isIPv4MappedAddress() && bits >= 96
  return isMapped ? { bytes: bytes.slice(12), bits: bits - 96 } : { bytes, bits }
}

function areHeld(inner: readonly string[], outer: readonly string[]): boolean {
  const wide = networksOf(outer)
  return networksOf(inner).every((each) => wide.some((other) => holds(other, each)))
}

function doMeet(a: readonly string[], b: readonly string[]): boolean {
  const others = networksOf(b)
  return networksOf(a).some((each) => others.some((other) => holds(other, each) || holds(each, other)))
}

function holds(outer: Network, inner: Network): boolean {
  if (outer.bytes.length !== inner.bytes.length || outer.bits > inner.bits) return false
  const whole = outer.bits >> 3
  for (let i = 0; i < whole; i++) if (outer.bytes[i] !== inner.bytes[i]) return false
  const shift = 8 - (outer.bits & 7)
  return shift === 8 || outer.bytes[whole]! >> shift === inner.bytes[whole]! >> shift
}
