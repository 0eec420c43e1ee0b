// Hot path: framing of every chunk that goes out (RFC 9112 7.1).
import { latin1 } from './bytes.js'
import { CR, LF } from './characters.js'

/** The longest chunk header: 14 hex digits hold 2^53, then CRLF. */
export const CHUNK_HEADER_MAX = 16
/** Follows the data of each chunk. */
export const CHUNK_TERMINATOR = latin1('\r\n')
/** Ends a body without trailers. */
export const LAST_CHUNK = latin1('0\r\n\r\n')
/** Ends the data of a body whose trailers follow, which end with CHUNK_TERMINATOR. */
export const LAST_CHUNK_BEFORE_TRAILERS = latin1('0\r\n')

const HEX_DIGITS = latin1('0123456789abcdef')

/** Writes `size` (1 to 2^53 − 1; 0 would end the body) in hex and CRLF; returns where it ends. */
export function writeChunkHeader(out: Uint8Array, at: number, size: number): number {
  let digits = 1
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 16)) digits++
  let rest = size
  for (let i = at + digits - 1; i >= at; i--) {
    const next = Math.floor(rest / 16)
    out[i] = HEX_DIGITS[rest - next * 16]!
    rest = next
  }
  out[at + digits] = CR
  out[at + digits + 1] = LF
  return at + digits + 2
}
