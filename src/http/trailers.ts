import { equalsIgnoringCase, latin1 } from './bytes.js'
import { COLON, FOLD, LF } from './characters.js'
import { HEADER_OTHER } from './header-names.js'
import type { NameSet } from './name-set.js'

/** Families of fields about framing, content, routing or authorisation, none of which may come after the body. */
const FORBIDDEN_PREFIXES = ['content-', 'proxy-', 'sec-', 'if-', 'access-control-', 'x-forwarded-', 'x-original-'].map(
  latin1,
)
/** Of those families, the one made to be a trailer (RFC 9530 2). */
const CONTENT_DIGEST = latin1('content-digest')

/**
 * Whether the field named in [from, to), known by `id`, may be passed on as a trailer (RFC 9110 6.5.1): nothing that
 * frames, routes, authorises or describes the message, and no field that a recipient may have acted on already. Every
 * field that Castor knows by id is of that kind.
 */
export function isTrailerAllowed(id: number, buffer: Uint8Array, from: number, to: number): boolean {
  if (id !== HEADER_OTHER) return false
  if (equalsIgnoringCase(buffer, from, to, CONTENT_DIGEST)) return true
  for (const prefix of FORBIDDEN_PREFIXES) {
    if (to - from > prefix.length && beginsWith(buffer, from, prefix)) return false
  }
  return true
}

/** Names that differ only in punctuation are one to some targets. */
function beginsWith(buffer: Uint8Array, from: number, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (FOLD[buffer[from + i]!] !== prefix[i]) return false
  return true
}

/** The lines, each with its CRLF, without those of `removed`; undefined where none is left. */
export function withoutFields(lines: Uint8Array, removed: NameSet): Uint8Array | undefined {
  const kept = new Uint8Array(lines.length)
  let length = 0
  for (let from = 0; from < lines.length; ) {
    const to = lines.indexOf(LF, from) + 1
    if (!removed.has(lines, from, lines.indexOf(COLON, from))) {
      kept.set(lines.subarray(from, to), length)
      length += to - from
    }
    from = to
  }
  return length === 0 ? undefined : kept.subarray(0, length)
}
