// Hot path: asked of rules whose host and path fit already. No strings but for expressions.
import type { MatchConfig } from '../core/config-rules.js'
import type { Endpoint } from '../core/conn.js'
import { equalsIgnoringCase } from '../http/bytes.js'
import { CookieFinder } from '../http/cookie.js'
import { HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from '../http/head-layout.js'
import { METHOD_NAMES, METHOD_OTHER } from '../http/methods.js'
import type { RequestParser } from '../http/request-parser.js'
import { CidrSet } from '../net/cidr-set.js'
import { QueryFinder } from './query-finder.js'
import { ValueCondition } from './value-condition.js'

/** A request whose head was read: it begins at `start` of `buffer`. Borrowed; one object serves many requests. */
export interface RoutedRequest {
  parser: RequestParser
  buffer: Uint8Array
  start: number
  /** Whom it is from. */
  source: Endpoint
}

/** One thing that a rule asks for beside host and path. */
export interface Condition {
  /** As explain names it: `method`, `header x-beta`, `query v`, `cookie lab`, `source`. */
  readonly what: string
  holds(request: RoutedRequest): boolean
}

/** How many conditions `conditionsOf` has. */
export function asksOf({ methods, sourceIp, headers, cookies, query }: MatchConfig): number {
  return Math.min(methods.length, 1) + Math.min(sourceIp.length, 1) + headers.length + cookies.length + query.length
}

/** What a rule asks for beside host and path, in the order in which it is asked: the cheapest first. */
export function conditionsOf(match: MatchConfig): readonly Condition[] {
  return [
    ...(match.methods.length > 0 ? [new MethodCondition(match.methods)] : []),
    ...(match.sourceIp.length > 0 ? [new SourceCondition(match.sourceIp)] : []),
    ...match.headers.map((header) => new HeaderCondition(new ValueCondition(header))),
    ...match.cookies.map((cookie) => new CookieCondition(new ValueCondition(cookie))),
    ...match.query.map((parameter) => new QueryCondition(new ValueCondition(parameter))),
  ]
}

class MethodCondition implements Condition {
  readonly what = 'method'
  /** By METHOD_* id. */
  readonly #known: readonly boolean[]
  readonly #others: readonly Uint8Array[]

  constructor(methods: readonly string[]) {
    this.#known = METHOD_NAMES.map((name, id) => id !== METHOD_OTHER && methods.includes(name))
    const known: readonly string[] = METHOD_NAMES
    this.#others = methods.filter((method) => !known.includes(method)).map((method) => Buffer.from(method, 'latin1'))
  }

  holds({ parser, buffer, start }: RoutedRequest): boolean {
    if (parser.method !== METHOD_OTHER) return this.#known[parser.method]!
    const from = start + parser.methodStart
    const length = parser.methodEnd - parser.methodStart
    for (const other of this.#others) {
      let i = other.length === length ? 0 : -1
      while (i >= 0 && i < length && other[i] === buffer[from + i]) i++
      if (i === length) return true
    }
    return false
  }
}

class SourceCondition implements Condition {
  readonly what = 'source'
  readonly #networks: CidrSet

  constructor(cidrs: readonly string[]) {
    this.#networks = new CidrSet(cidrs)
  }

  holds({ source }: RoutedRequest): boolean {
    return this.#networks.has(source)
  }
}

/** A field that comes on several lines is asked for line by line: one that fits is enough. */
class HeaderCondition implements Condition {
  readonly what: string
  readonly #value: ValueCondition
  readonly #name: Uint8Array

  constructor(value: ValueCondition) {
    this.what = `header ${value.name}`
    this.#value = value
    this.#name = Buffer.from(value.name, 'latin1')
  }

  holds({ parser, buffer, start }: RoutedRequest): boolean {
    const { headers } = parser
    const value = this.#value
    for (let entry = 0, end = parser.headerCount * HEADER_STRIDE; entry < end; entry += HEADER_STRIDE) {
      const from = start + headers[entry + NAME_START]!
      if (!equalsIgnoringCase(buffer, from, start + headers[entry + NAME_END]!, this.#name)) continue
      if (value.absent) return false
      if (value.accepts(buffer, start + headers[entry + VALUE_START]!, start + headers[entry + VALUE_END]!)) return true
    }
    return value.absent
  }
}

class CookieCondition implements Condition {
  readonly what: string
  readonly #value: ValueCondition
  readonly #cookie: CookieFinder

  constructor(value: ValueCondition) {
    this.what = `cookie ${value.name}`
    this.#value = value
    this.#cookie = new CookieFinder(value.name)
  }

  holds({ parser, buffer, start }: RoutedRequest): boolean {
    const cookie = this.#cookie
    const value = this.#value
    for (let from = 0; cookie.inRequest(parser, buffer, start, from); from = cookie.valueEnd) {
      if (value.absent) return false
      if (value.accepts(buffer, cookie.valueStart, cookie.valueEnd)) return true
    }
    return value.absent
  }
}

class QueryCondition implements Condition {
  readonly what: string
  readonly #value: ValueCondition
  readonly #parameter: QueryFinder

  constructor(value: ValueCondition) {
    this.what = `query ${value.name}`
    this.#value = value
    this.#parameter = new QueryFinder(value.name)
  }

  holds({ parser, buffer, start }: RoutedRequest): boolean {
    const value = this.#value
    if (parser.queryStart < 0) return value.absent
    const parameter = this.#parameter
    const end = start + parser.pathEnd
    let at = start + parser.queryStart + 1
    while (at < end) {
      at = parameter.next(buffer, at, end)
      if (at < 0) break
      if (value.absent) return false
      if (value.accepts(parameter.bytes, parameter.valueStart, parameter.valueEnd)) return true
    }
    return value.absent
  }
}
