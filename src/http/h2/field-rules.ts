// Hot path: every field of every HTTP/2 header block is checked here.
import { CLASS, HTAB, IN_TOKEN, IN_VALUE, LOWER, SP } from '../characters.js'
import {
  HEADER_CONNECTION,
  HEADER_KEEP_ALIVE,
  HEADER_PROXY_CONNECTION,
  HEADER_TRANSFER_ENCODING,
  HEADER_UPGRADE,
  headerId,
} from '../header-names.js'

/** A name as RFC 9113 8.2.1 has it: a token without upper-case letters. Pseudo-header fields are told apart before. */
export function isFieldName(bytes: Uint8Array, from: number, to: number): boolean {
  if (from === to) return false
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if ((CLASS[byte]! & IN_TOKEN) === 0 || LOWER[byte] !== byte) return false
  }
  return true
}

/** A value as RFC 9113 8.2.1 has it, and RFC 9110 5.5: no control characters, no white space at either end. */
export function isFieldValue(bytes: Uint8Array, from: number, to: number): boolean {
  if (from === to) return true
  if (isSpace(bytes[from]!) || isSpace(bytes[to - 1]!)) return false
  for (let at = from; at < to; at++) if ((CLASS[bytes[at]!]! & IN_VALUE) === 0) return false
  return true
}

const isSpace = (byte: number): boolean => byte === SP || byte === HTAB

/** Whether a field belongs to an HTTP/1.1 connection and may not come by HTTP/2 at all (RFC 9113 8.2.2). TE is apart. */
export function isConnectionField(id: number): boolean {
  switch (id) {
    case HEADER_CONNECTION:
    case HEADER_KEEP_ALIVE:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE:
      return true
    default:
      return false
  }
}

/** The id of a name that has no constant of its own. */
export function idOf(name: string): number {
  const bytes = Buffer.from(name, 'latin1')
  return headerId(bytes, 0, bytes.length)
}
