// Hot path of groups that look at a cookie. Bytes in place, no strings.
import { EQUALS, SEMICOLON, SP } from './characters.js'
import { HEADER_ID, HEADER_STRIDE, VALUE_END, VALUE_START } from './head-layout.js'
import type { HeadParser } from './head-parser.js'
import { HEADER_COOKIE, HEADER_SET_COOKIE } from './header-names.js'

/** Finds one cookie's value in heads. After a find that returned true it lies in [valueStart, valueEnd) of the buffer. */
export class CookieFinder {
  valueStart = 0
  valueEnd = 0
  readonly #name: Uint8Array

  constructor(name: string) {
    this.#name = Buffer.from(name, 'latin1')
  }

  /** The first of that name that a client sends (RFC 6265 4.2.1: pairs apart by a semicolon and a space). */
  inRequest(head: HeadParser, buffer: Uint8Array, start: number): boolean {
    const { headers } = head
    for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
      if (headers[entry + HEADER_ID] !== HEADER_COOKIE) continue
      const end = start + headers[entry + VALUE_END]!
      for (let at = start + headers[entry + VALUE_START]!; at < end; ) {
        const stop = pairEnd(buffer, at, end)
        if (this.#isPair(buffer, at, stop)) return true
        at = stop + 1
        while (at < end && buffer[at] === SP) at++
      }
    }
    return false
  }

  /** The last of that name that a server sets (RFC 6265 4.1.1), which is the one that the client keeps. */
  inResponse(head: HeadParser, buffer: Uint8Array, start: number): boolean {
    const { headers } = head
    let found = false
    for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
      if (headers[entry + HEADER_ID] !== HEADER_SET_COOKIE) continue
      const from = start + headers[entry + VALUE_START]!
      if (this.#isPair(buffer, from, pairEnd(buffer, from, start + headers[entry + VALUE_END]!))) found = true
    }
    return found
  }

  #isPair(buffer: Uint8Array, from: number, to: number): boolean {
    const name = this.#name
    const value = from + name.length
    if (value >= to || buffer[value] !== EQUALS) return false
    for (let i = 0; i < name.length; i++) if (buffer[from + i] !== name[i]) return false
    this.valueStart = value + 1
    this.valueEnd = to
    return true
  }
}

function pairEnd(buffer: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && buffer[at] !== SEMICOLON) at++
  return at
}
