// Hot path: the two fields that say where a message ends.
import { equalsIgnoringCase, latin1 } from './bytes.js'
import { CLASS, COMMA, IN_DIGITS, ZERO } from './characters.js'
import { skipSpace, skipToken } from './list.js'

/** 2^53 − 1 has 16 digits; more, be they leading zeros, are refused. */
const MAX_LENGTH_DIGITS = 16

/** `1*DIGIT` (RFC 9110 8.6) up to 2^53 − 1; −1 for anything else: signs, lists, white space, hexadecimal, overflow. */
export function readContentLength(buffer: Uint8Array, from: number, to: number): number {
  if (to === from || to - from > MAX_LENGTH_DIGITS) return -1
  let length = 0
  for (let at = from; at < to; at++) {
    const byte = buffer[at]!
    if ((CLASS[byte]! & IN_DIGITS) === 0) return -1
    length = length * 10 + (byte - ZERO)
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1
}

export const CODING_INVALID = 0
export const CODING_CHUNKED = 1
/** Well formed, but with a coding other than `chunked` (RFC 9112 6.1: 501). */
export const CODING_UNKNOWN = 2

const CHUNKED = latin1('chunked')

/**
 * Reads the value of Transfer-Encoding. Only `chunked` by itself is taken (in any case: RFC 9112 7). A list of tokens
 * that names other codings is unknown, unless `chunked` comes before its end or twice, which is invalid whatever the
 * others mean. Empty elements and parameters are invalid: recipients differ on them.
 */
export function readTransferEncoding(buffer: Uint8Array, from: number, to: number): number {
  if (equalsIgnoringCase(buffer, from, to, CHUNKED)) return CODING_CHUNKED
  let begin = from
  for (;;) {
    const end = skipToken(buffer, begin, to)
    if (end === begin) return CODING_INVALID
    const at = skipSpace(buffer, end, to)
    if (at === to) return CODING_UNKNOWN
    if (equalsIgnoringCase(buffer, begin, end, CHUNKED) || buffer[at] !== COMMA) return CODING_INVALID
    begin = skipSpace(buffer, at + 1, to)
  }
}
