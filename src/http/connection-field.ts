// Hot path: nearly every head has a Connection header.
import { equalsIgnoringCase, latin1 } from './bytes.js'
import { COMMA, LOWER } from './characters.js'
import { HEADER_ID, HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from './head-layout.js'
import { HEADER_CONNECTION, HEADER_DROPPED, HEADER_OTHER } from './header-names.js'
import { skipSpace, skipToken } from './list.js'

export const CONNECTION_CLOSE = 1
export const CONNECTION_KEEP_ALIVE = 2
export const CONNECTION_UPGRADE = 4
/** It names something else, perhaps a field. */
export const CONNECTION_NAMES_FIELDS = 8
/** What `readConnection` adds for each list element. */
export const CONNECTION_ELEMENT = 16

/** List elements in a head beyond which it is refused: each may cost a walk over the headers. */
export const MAX_CONNECTION_ELEMENTS = 32

const CLOSE = latin1('close')
const KEEP_ALIVE = latin1('keep-alive')
const UPGRADE = latin1('upgrade')
const TE = latin1('te')

/**
 * Reads `#connection-option` (RFC 9110 7.6.1), options being tokens, empty elements ignored (RFC 9110 5.6.1.2). Returns
 * CONNECTION_* bits plus CONNECTION_ELEMENT for each element, or −1 when it is malformed.
 */
export function readConnection(buffer: Uint8Array, from: number, to: number): number {
  let bits = 0
  let elements = 0
  for (let at = from; at < to; at++) {
    const begin = skipSpace(buffer, at, to)
    const end = skipToken(buffer, begin, to)
    at = skipSpace(buffer, end, to)
    if (at < to && buffer[at] !== COMMA) return -1
    if (end > begin) bits |= optionBit(buffer, begin, end)
    elements++
  }
  return bits + elements * CONNECTION_ELEMENT
}

function optionBit(buffer: Uint8Array, from: number, to: number): number {
  if (equalsIgnoringCase(buffer, from, to, KEEP_ALIVE)) return CONNECTION_KEEP_ALIVE
  if (equalsIgnoringCase(buffer, from, to, CLOSE)) return CONNECTION_CLOSE
  if (equalsIgnoringCase(buffer, from, to, UPGRADE)) return CONNECTION_UPGRADE
  return equalsIgnoringCase(buffer, from, to, TE) ? 0 : CONNECTION_NAMES_FIELDS
}

/**
 * Marks the headers that Connection names with HEADER_DROPPED and returns how many. Only fields that are not known by
 * id can be named: what routing, framing, authorisation, content and the forwarded headers rest on cannot be removed by
 * whoever sends the message (RFC 9110 7.6.1 forbids naming fields meant for all recipients).
 */
export function markNamedFields(headers: Int32Array, count: number, buffer: Uint8Array, start: number): number {
  let marked = 0
  for (let entry = 0, last = count * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    if (headers[entry + HEADER_ID] !== HEADER_CONNECTION) continue
    const to = start + headers[entry + VALUE_END]!
    for (let at = start + headers[entry + VALUE_START]!; at < to; at++) {
      const begin = skipSpace(buffer, at, to)
      const end = skipToken(buffer, begin, to)
      at = skipSpace(buffer, end, to)
      if (end > begin) marked += markNamed(headers, last, buffer, start, begin, end)
    }
  }
  return marked
}

function markNamed(
  headers: Int32Array,
  last: number,
  buffer: Uint8Array,
  start: number,
  from: number,
  to: number,
): number {
  let marked = 0
  for (let entry = 0; entry < last; entry += HEADER_STRIDE) {
    if (headers[entry + HEADER_ID] !== HEADER_OTHER) continue
    const name = start + headers[entry + NAME_START]!
    if (start + headers[entry + NAME_END]! - name !== to - from) continue
    let i = from
    while (i < to && LOWER[buffer[i]!] === LOWER[buffer[name + i - from]!]) i++
    if (i < to) continue
    headers[entry + HEADER_ID] = HEADER_DROPPED
    marked++
  }
  return marked
}
