// Hot path of groups that look at a cookie. Bytes in place, no strings.
import { EQUALS, HTAB, SEMICOLON, SP } from './characters.js'
import { HEADER_ID, HEADER_STRIDE, VALUE_END, VALUE_START } from './head-layout.js'
import type { HeadParser } from './head-parser.js'
import { HEADER_COOKIE, HEADER_SET_COOKIE } from './header-names.js'

/** Finds one cookie's value in heads. After a find it lies in [valueStart, valueEnd) of the buffer. */
export class CookieFinder {
  valueStart = 0
  valueEnd = 0
  readonly #name: Uint8Array

  constructor(name: string) {
    this.#name = Buffer.from(name, 'latin1')
  }

  /**
   * The first of that name that a client sends (RFC 6265 4.2.1: pairs apart by a semicolon and a space), looked for from
   * `from` on: a client may send several, of other paths or domains, and does not say which is which.
   */
  inRequest(head: HeadParser, buffer: Uint8Array, start: number, from = 0): boolean {
    const { headers } = head
    for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
      if (headers[entry + HEADER_ID] !== HEADER_COOKIE) continue
      const end = start + headers[entry + VALUE_END]!
      for (let at = Math.max(from, start + headers[entry + VALUE_START]!); at < end; ) {
        const stop = pairEnd(buffer, at, end)
        if (this.#isPair(buffer, at, stop)) return true
        at = stop + 1
      }
    }
    return false
  }

  /**
   * The next of that name that a server sets (RFC 6265 4.1.1), looked for from header `index` on: the index to go on
   * from, −1 when there is none. There may be several: the one that is meant to stay, and others that are deleted.
   */
  nextInResponse(head: HeadParser, buffer: Uint8Array, start: number, index: number): number {
    const { headers, headerCount } = head
    for (let i = index; i < headerCount; i++) {
      const entry = i * HEADER_STRIDE
      if (headers[entry + HEADER_ID] !== HEADER_SET_COOKIE) continue
      const from = start + headers[entry + VALUE_START]!
      if (this.#isPair(buffer, from, pairEnd(buffer, from, start + headers[entry + VALUE_END]!))) return i + 1
    }
    return -1
  }

  /** White space around name and value is no part of them: clients leave it out (RFC 6265 5.2). */
  #isPair(buffer: Uint8Array, from: number, to: number): boolean {
    const name = this.#name
    const nameStart = afterSpace(buffer, from, to)
    const nameEnd = nameStart + name.length
    const equals = afterSpace(buffer, nameEnd, to)
    if (equals >= to || buffer[equals] !== EQUALS) return false
    for (let i = 0; i < name.length; i++) if (buffer[nameStart + i] !== name[i]) return false
    this.valueStart = afterSpace(buffer, equals + 1, to)
    let end = to
    while (end > this.valueStart && isSpace(buffer[end - 1]!)) end--
    this.valueEnd = end
    return true
  }
}

function isSpace(byte: number): boolean {
  return byte === SP || byte === HTAB
}

function afterSpace(buffer: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && isSpace(buffer[at]!)) at++
  return at
}

function pairEnd(buffer: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && buffer[at] !== SEMICOLON) at++
  return at
}
