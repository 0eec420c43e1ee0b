// Hot path: once per request of a listener with rules. Nearly every path is in normal form already, and is looked at in place.

import { normalizePath } from '../core/normal-path.js'
import { PERCENT, SLASH } from '../http/characters.js'
import type { RequestParser } from '../http/request-parser.js'
import { textOf } from './value-condition.js'

const DOT = 0x2e
const ROOT = Uint8Array.of(SLASH)

/** The path of a request in the normal form of `core/normal-path.ts`, which rules compare: [from, to) of `bytes`, borrowed. */
export class RequestPath {
  bytes: Uint8Array = ROOT
  from = 0
  to = 1

  /** The one of the request whose head begins at `start`. "*" stays itself, which no pattern is. */
  take(parser: RequestParser, buffer: Uint8Array, start: number): void {
    const from = start + parser.pathStart
    const to = start + (parser.queryStart < 0 ? parser.pathEnd : parser.queryStart)
    if (from === to) this.#set(ROOT, 0, 1)
    else if (isNormal(buffer, from, to)) this.#set(buffer, from, to)
    else {
      const normal = Buffer.from(normalizePath(textOf(buffer, from, to)), 'latin1')
      this.#set(normal, 0, normal.length)
    }
  }

  /** For what cannot be compared by bytes. */
  get text(): string {
    return textOf(this.bytes, this.from, this.to)
  }

  #set(bytes: Uint8Array, from: number, to: number): void {
    this.bytes = bytes
    this.from = from
    this.to = to
  }
}

/** True where `normalizePath` would change nothing, and for "*". */
function isNormal(buffer: Uint8Array, from: number, to: number): boolean {
  let previous = 0
  for (let at = from; at < to; at++) {
    const byte = buffer[at]!
    if (byte === PERCENT || (previous === SLASH && (byte === SLASH || byte === DOT))) return false
    previous = byte
  }
  return true
}
