// Hot path: once per request of a listener with rules.
import { RE2JS } from 're2js'
import type { MatchConfig, RuleConfig } from '../core/config-rules.js'
import { SLASH } from '../http/characters.js'
import { asksOf, type Condition, conditionsOf, type RoutedRequest } from './conditions.js'
import { ANY_HOST, HostTable } from './host-table.js'
import { type PathKey, PathTable } from './path-table.js'
import { RequestPath } from './request-path.js'

/** No rule matches. */
export const NO_RULE = -1
/** The client asked for a path without the slash at its end that rules name it with: it is sent there. */
export const ADD_SLASH = -2

/** In place of the number of a path pattern. */
const BELOW = -1
const EXPRESSION = -2
const ANY_PATH = -3

interface CompiledRule {
  /** Its place in the list. */
  readonly index: number
  /** How many conditions there are beside host and path. */
  readonly asks: number
  readonly conditions: readonly Condition[]
  readonly regex: RE2JS | undefined
}

/** The same for those who ask seldom: what nobody asks for is never compiled. */
class LateRule implements CompiledRule {
  readonly index: number
  readonly asks: number
  readonly #match: MatchConfig
  #conditions: readonly Condition[] | undefined
  #regex: RE2JS | undefined

  constructor(index: number, match: MatchConfig) {
    this.index = index
    this.asks = asksOf(match)
    this.#match = match
  }

  get conditions(): readonly Condition[] {
    return (this.#conditions ??= conditionsOf(this.#match))
  }

  get regex(): RE2JS | undefined {
    if (this.#match.pathRegex === '') return undefined
    return (this.#regex ??= RE2JS.compile(this.#match.pathRegex))
  }
}

function compile(index: number, match: MatchConfig): CompiledRule {
  const regex = match.pathRegex === '' ? undefined : RE2JS.compile(match.pathRegex)
  return { index, asks: asksOf(match), conditions: conditionsOf(match), regex }
}

/** Rules that the same host and path patterns lead to, the most particular first. */
type Bucket = readonly CompiledRule[]

/** Where a request leads, as explain shows it. */
export interface Candidate {
  /** As the rules have it; empty = any. */
  readonly host: string
  /** As the rules have it; empty = any, or told by their expressions. */
  readonly path: string
  /** What matches here is sent to the path with a slash at its end. */
  readonly addsSlash: boolean
  /** The first of them, in order. */
  readonly rules: readonly { readonly index: number; readonly failed: string | undefined }[]
  /** How many follow them. */
  readonly more: number
}

/**
 * The rules of a listener, compiled: which one a request goes by. Of two that match, the one is preferred whose host is more
 * particular (itself, the longest `*.X`, the longest `X.*`, none), then whose path is (itself, the longest prefix, an
 * expression, none), then the one with more other conditions, then the first in the list. Hosts and paths are looked up by
 * hash, so that what it costs does not grow with the number of rules; what grows is the number of rules that have the same
 * host and path and differ in conditions, and of expressions.
 *
 * `/abc` is sent to `/abc/` where no rule whose host fits names `/abc` and one of `/abc/*` would match otherwise.
 */
export class RuleMatcher {
  readonly path = new RequestPath()
  readonly #hosts: HostTable
  readonly #paths: PathTable
  /** By number of the path pattern. */
  readonly #byPath: readonly Bucket[]
  readonly #patterns: readonly string[]
  /** By number of the host pattern. */
  readonly #byRegex: readonly Bucket[]
  readonly #anyPath: readonly Bucket[]
  /** Of the last request, in order of preference: the first `#count` of them. */
  readonly #buckets: Bucket[] = []
  /** What led to each: the number of the host pattern, and of the path pattern or one of the kinds below 0. */
  readonly #hostOf: number[] = []
  readonly #pathOf: number[] = []
  #count = 0

  /** `late`: expressions and conditions are compiled when they are first asked for. */
  constructor(rules: readonly RuleConfig[], late = false) {
    const hosts = [...new Set(rules.flatMap(({ match }) => match.hosts))]
    const numberOf = new Map(hosts.map((host, index) => [host, index + 1]))
    const paths = new Map<string, { readonly key: PathKey; readonly bucket: CompiledRule[] }>()
    const lists = (): CompiledRule[][] => Array.from({ length: hosts.length + 1 }, () => [])
    const byRegex = lists()
    const anyPath = lists()
    for (const [index, { match }] of rules.entries()) {
      const rule = late ? new LateRule(index, match) : compile(index, match)
      for (const host of match.hosts.length === 0 ? [ANY_HOST] : match.hosts.map((name) => numberOf.get(name)!)) {
        for (const pattern of match.paths) {
          const id = `${host} ${pattern}`
          const known = paths.get(id)
          if (known === undefined) paths.set(id, { key: { host, pattern }, bucket: [rule] })
          else known.bucket.push(rule)
        }
        if (match.pathRegex !== '') byRegex[host]!.push(rule)
        else if (match.paths.length === 0) anyPath[host]!.push(rule)
      }
    }
    const entries = [...paths.values()]
    this.#hosts = new HostTable(hosts)
    this.#paths = new PathTable(entries.map(({ key }) => key))
    this.#patterns = entries.map(({ key }) => key.pattern)
    this.#byPath = entries.map(({ bucket }) => sorted(bucket))
    this.#byRegex = byRegex.map(sorted)
    this.#anyPath = anyPath.map(sorted)
  }

  /** The place of the rule that the request goes by, `NO_RULE` or `ADD_SLASH`. */
  match(request: RoutedRequest): number {
    this.#collect(request)
    for (let place = 0; place < this.#count; place++) {
      for (const rule of this.#buckets[place]!) {
        if (this.#failed(rule, request) === undefined) return this.#pathOf[place] === BELOW ? ADD_SLASH : rule.index
      }
    }
    return NO_RULE
  }

  /** What the request leads to, in order, and which condition of each of the first `most` rules there fails. */
  candidates(request: RoutedRequest, most = Number.POSITIVE_INFINITY): readonly Candidate[] {
    this.#collect(request)
    const found: Candidate[] = []
    for (let place = 0; place < this.#count; place++) {
      const path = this.#pathOf[place]!
      const bucket = this.#buckets[place]!
      found.push({
        host: this.#hosts.pattern(this.#hostOf[place]!),
        path: path >= 0 ? this.#patterns[path]! : path === BELOW ? `${this.path.text}/*` : '',
        addsSlash: path === BELOW,
        rules: bucket.slice(0, most).map((rule) => ({ index: rule.index, failed: this.#failed(rule, request) })),
        more: Math.max(0, bucket.length - most),
      })
    }
    return found
  }

  #failed(rule: CompiledRule, request: RoutedRequest): string | undefined {
    for (const condition of rule.conditions) if (!condition.holds(request)) return condition.what
    return rule.regex === undefined || rule.regex.test(this.path.text) ? undefined : 'pathRegex'
  }

  #collect({ parser, buffer, start }: RoutedRequest): void {
    const { path } = this
    const hosts = this.#hosts
    const paths = this.#paths
    path.take(parser, buffer, start)
    paths.take(path.bytes, path.from, path.to)
    hosts.find(buffer, start + parser.hostStart, start + parser.hostNameEnd)
    this.#count = 0
    const mayAddSlash = path.bytes[path.to - 1] !== SLASH && !this.#isNamed()
    for (let i = 0; i < hosts.count; i++) {
      const host = hosts.found[i]!
      this.#addPath(host, paths.exact(host))
      const below = mayAddSlash ? paths.below(host) : -1
      if (below >= 0) this.#add(this.#byPath[below]!, host, BELOW)
      for (let prefix = paths.prefixes - 1; prefix >= 0; prefix--) this.#addPath(host, paths.prefix(host, prefix))
      this.#add(this.#byRegex[host]!, host, EXPRESSION)
      this.#add(this.#anyPath[host]!, host, ANY_PATH)
    }
  }

  /** Whether a rule names the path itself, under any host that the request fits. */
  #isNamed(): boolean {
    const { found, count } = this.#hosts
    for (let i = 0; i < count; i++) if (this.#paths.exact(found[i]!) >= 0) return true
    return false
  }

  #addPath(host: number, path: number): void {
    if (path >= 0) this.#add(this.#byPath[path]!, host, path)
  }

  #add(bucket: Bucket, host: number, path: number): void {
    if (bucket.length === 0) return
    this.#buckets[this.#count] = bucket
    this.#hostOf[this.#count] = host
    this.#pathOf[this.#count++] = path
  }
}

/** A stable sort: of rules that ask for as much the first stays the first. */
function sorted(bucket: Bucket): Bucket {
  return [...bucket].sort((a, b) => b.asks - a.asks)
}
