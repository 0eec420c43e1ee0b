import { COLON, CR, LOWER, SP } from '../characters.js'
import { headerId } from '../header-names.js'
import { isTrailerAllowed } from '../trailers.js'
import { FIELD_WORDS, type FieldList } from './field-list.js'
import { isConnectionField, isFieldName, isFieldValue } from './field-rules.js'
import type { HeadBuffer } from './head-buffer.js'

/**
 * Appends trailer fields as HTTP/1.1 lines, without those that may not be passed on as trailers; false when they are
 * malformed (RFC 9113 8.1: no pseudo-header fields).
 */
export function trailersToLines(fields: FieldList, out: HeadBuffer): boolean {
  const { bytes, offsets, count } = fields
  for (let i = 0, at = 0; i < count; i++, at += FIELD_WORDS) {
    const nameStart = offsets[at]!
    const nameEnd = offsets[at + 1]!
    const valueStart = offsets[at + 2]!
    const valueEnd = offsets[at + 3]!
    if (!isFieldName(bytes, nameStart, nameEnd) || !isFieldValue(bytes, valueStart, valueEnd)) return false
    const id = headerId(bytes, nameStart, nameEnd)
    if (isConnectionField(id)) return false
    if (isTrailerAllowed(id, bytes, nameStart, nameEnd)) out.putLine(bytes, nameStart, nameEnd, valueStart, valueEnd)
  }
  return true
}

/** Appends the lines `name: value` CRLF in [0, length), as a `ChunkedDecoder` leaves them, as fields. */
export function linesToTrailers(lines: Uint8Array, length: number, out: FieldList): void {
  for (let at = 0; at < length; ) {
    const nameStart = at
    while (lines[at] !== COLON) at++
    const nameEnd = at
    at++
    if (lines[at] === SP) at++
    const valueStart = at
    while (lines[at] !== CR) at++
    pushLowerCase(out, lines, nameStart, nameEnd, valueStart, at)
    at += 2
  }
}

/** Copies a field in with its name in lower case, as RFC 9113 8.2.1 wants it. */
export function pushLowerCase(
  out: FieldList,
  source: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): void {
  out.push(source, nameStart, nameEnd, source, valueStart, valueEnd)
  const at = (out.count - 1) * FIELD_WORDS
  const { bytes } = out
  for (let i = out.offsets[at]!, to = out.offsets[at + 1]!; i < to; i++) bytes[i] = LOWER[bytes[i]!]!
}
