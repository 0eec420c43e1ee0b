// Hot path: comma-separated field values (RFC 9110 5.6.1) without strings.
import { equalsIgnoringCase } from './bytes.js'
import { CLASS, COMMA, HTAB, IN_TOKEN, SP } from './characters.js'

/** The first byte at or after `at` that is not white space, or `to`. */
export function skipSpace(buffer: Uint8Array, at: number, to: number): number {
  while (at < to && (buffer[at] === SP || buffer[at] === HTAB)) at++
  return at
}

/** The first byte at or after `at` that is no token character, or `to`. */
export function skipToken(buffer: Uint8Array, at: number, to: number): number {
  while (at < to && (CLASS[buffer[at]!]! & IN_TOKEN) !== 0) at++
  return at
}

/** Where the list element at `at` ends: the next comma, or `to`. Not for values that may hold quoted strings. */
export function elementEnd(buffer: Uint8Array, at: number, to: number): number {
  while (at < to && buffer[at] !== COMMA) at++
  return at
}

/** True when one element of the list in [from, to) is exactly `lowerCase`, letters compared without case. */
export function listHas(buffer: Uint8Array, from: number, to: number, lowerCase: Uint8Array): boolean {
  for (let at = from; at < to; at++) {
    const begin = skipSpace(buffer, at, to)
    at = elementEnd(buffer, begin, to)
    let end = at
    while (end > begin && (buffer[end - 1] === SP || buffer[end - 1] === HTAB)) end--
    if (equalsIgnoringCase(buffer, begin, end, lowerCase)) return true
  }
  return false
}
