// Hot path: once per field of the kinds it reads.
import { equalsIgnoringCase, latin1 } from './bytes.js'
import { COMMA, HTAB, SP } from './characters.js'
import { elementEnd, skipSpace, skipToken } from './list.js'

const NTLM = latin1('ntlm')
const NEGOTIATE = latin1('negotiate')

/**
 * Whether a list of challenges, or credentials, names a scheme that authenticates the connection rather than the request
 * (RFC 9110 3.3 has a proxy keep such a connection to one client). Every comma is taken for one between elements, quoted
 * or not: a scheme too many costs one connection its reuse, one that is missed hands a user's session to another.
 */
export function namesConnectionScheme(buffer: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const begin = skipSpace(buffer, at, to)
    const end = skipToken(buffer, begin, to)
    const whole = end === to || buffer[end] === SP || buffer[end] === HTAB || buffer[end] === COMMA
    if (whole && (equalsIgnoringCase(buffer, begin, end, NTLM) || equalsIgnoringCase(buffer, begin, end, NEGOTIATE))) {
      return true
    }
    at = elementEnd(buffer, end, to)
  }
  return false
}
