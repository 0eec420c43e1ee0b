// Hot path: asked once per request of a rule that keeps clients on their side.
import { createHmac } from 'node:crypto'
import { CookieFinder } from '../http/cookie.js'
import type { HeadParser } from '../http/head-parser.js'

const VALUE_BYTES = 32
/** Cookies of the same name that are looked at, as a client may have of several paths; more is an attempt to keep us busy. */
const MOST_COOKIES = 8

export interface SplitCookieOptions {
  /** Hosts with the same secret issue the same cookies. */
  readonly secret: string
  readonly listener: string
  /** The rule's name, or its position. */
  readonly rule: string
  /** How long clients keep it after an answer. */
  readonly maxAgeMs: number
}

/**
 * The cookie by which a client stays with one of the groups that a rule splits its traffic between: nothing except a keyed
 * hash of its own and the group's names, so that every host with the same secret understands it, now and after a restart.
 */
export class SplitCookie {
  readonly name: string
  readonly sides: readonly SplitSide[]
  readonly #finder: CookieFinder

  constructor({ secret, listener, rule, maxAgeMs }: SplitCookieOptions, groups: readonly string[]) {
    // Browsers keep one cookie of a name for all ports of a host: a position alone would be that of other listeners, too.
    const own = /^\d+$/.test(rule) ? `${listener}-${rule}` : rule
    const name = `CASTOR-SPLIT-${own}`
    this.name = name
    const attributes = `; Path=/; HttpOnly; SameSite=Lax; Max-Age=${Math.ceil(maxAgeMs / 1_000)}`
    this.#finder = new CookieFinder(name)
    this.sides = groups.map((group) => {
      const hmac = createHmac('sha256', `castor split cookie ${secret}`)
      const value = hmac.update(`${own}\u0000${group}`).digest('hex').slice(0, VALUE_BYTES)
      return new SplitSide(value, `Set-Cookie: ${name}=${value}${attributes}`)
    })
  }

  /** The index of the side that the request's client belongs to, −1 where it says none that there is. */
  sideOf(head: HeadParser, buffer: Uint8Array, start: number): number {
    const finder = this.#finder
    for (let from = 0, seen = 0; seen < MOST_COOKIES && finder.inRequest(head, buffer, start, from); seen++) {
      from = finder.valueEnd
      for (let side = 0; side < this.sides.length; side++) {
        if (this.sides[side]!.is(buffer, finder.valueStart, finder.valueEnd)) return side
      }
    }
    return -1
  }
}

/** One group's cookie: what clients send back, and the line that gives it to them. */
export class SplitSide {
  readonly #value: Uint8Array
  readonly #line: Uint8Array
  /** The same for clients that came over TLS. */
  readonly #secureLine: Uint8Array
  /** By the line of the group's own stickiness, which is the same object for a target at each answer. */
  readonly #behind = new WeakMap<Uint8Array, Uint8Array>()

  constructor(value: string, line: string) {
    this.#value = Buffer.from(value, 'latin1')
    this.#line = Buffer.from(`${line}\r\n`, 'latin1')
    this.#secureLine = Buffer.from(`${line}; Secure\r\n`, 'latin1')
  }

  is(buffer: Uint8Array, from: number, to: number): boolean {
    if (to - from !== VALUE_BYTES) return false
    for (let i = 0; i < VALUE_BYTES; i++) if (this.#value[i] !== buffer[from + i]) return false
    return true
  }

  /** The Set-Cookie line for an answer, behind `line` where the answer has one already. */
  lineBehind(line: Uint8Array | undefined, secure: boolean): Uint8Array {
    const own = secure ? this.#secureLine : this.#line
    if (line === undefined) return own
    const known = this.#behind.get(line)
    if (known !== undefined) return known
    // Lines for clients that came over TLS and for the others are objects of their own.
    const both = Buffer.concat([line, own])
    this.#behind.set(line, both)
    return both
  }
}
