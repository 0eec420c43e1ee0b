// Hot path of groups that hash on something in the request. 32-bit arithmetic over bytes, no strings.
import type { HashOn } from '../core/config.js'
import { equalsIgnoringCase } from '../http/bytes.js'
import { CookieFinder } from '../http/cookie.js'
import { HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from '../http/head-layout.js'
import type { RequestParser } from '../http/request-parser.js'

const FNV_BASIS = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** Finds what a group hashes on in each request; made once a group. */
export class RequestHash {
  readonly #on: HashOn
  /** Asked for each request: words that came from another thread are compared letter by letter. */
  readonly #bySource: boolean
  readonly #name: Uint8Array
  readonly #cookie: CookieFinder

  constructor(on: HashOn) {
    this.#on = on
    this.#bySource = on.by === 'source'
    this.#name = Buffer.from('name' in on ? on.name : '', 'latin1')
    this.#cookie = new CookieFinder('name' in on ? on.name : '')
  }

  /** A hash from 0 to 2^32 − 1, or −1 where the request does not have it, or the client's address decides. */
  of(parser: RequestParser, buffer: Uint8Array, start: number): number {
    if (this.#bySource) return -1
    switch (this.#on.by) {
      case 'source':
        return -1
      case 'path': {
        const end = parser.queryStart < 0 ? parser.pathEnd : parser.queryStart
        return hash(buffer, start + parser.pathStart, start + end)
      }
      case 'header':
        return this.#header(parser, buffer, start)
      case 'cookie': {
        const cookie = this.#cookie
        return cookie.inRequest(parser, buffer, start) ? hash(buffer, cookie.valueStart, cookie.valueEnd) : -1
      }
    }
  }

  #header(parser: RequestParser, buffer: Uint8Array, start: number): number {
    const { headers } = parser
    for (let entry = 0, end = parser.headerCount * HEADER_STRIDE; entry < end; entry += HEADER_STRIDE) {
      const from = start + headers[entry + NAME_START]!
      if (!equalsIgnoringCase(buffer, from, start + headers[entry + NAME_END]!, this.#name)) continue
      return hash(buffer, start + headers[entry + VALUE_START]!, start + headers[entry + VALUE_END]!)
    }
    return -1
  }
}

function hash(buffer: Uint8Array, from: number, to: number): number {
  let value = FNV_BASIS
  for (let at = from; at < to; at++) value = Math.imul(value ^ buffer[at]!, FNV_PRIME)
  return value >>> 0
}
