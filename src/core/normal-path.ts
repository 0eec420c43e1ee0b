/**
 * Paths as rules compare them. The target is forwarded as it came; only the comparison is made on this form, so that no
 * spelling of a path slips past a rule about it:
 * - an escape of an unreserved character is that character (RFC 3986 6.2.2.2); `%61` is `a`, `%2e` is `.`;
 * - any other escape stays one, its digits in upper case (RFC 3986 6.2.2.1). So `%2F` is not a "/": it separates
 *   nothing, and `/a%2Fb` is one segment. Targets that read it as a slash anyhow must not be guarded by paths alone.
 *   `%25` stays `%25`: nothing is decoded twice. `%00` never comes here: the parser refuses it;
 * - several slashes in a row are one;
 * - dot segments are removed after that (RFC 3986 5.2.4); those beyond the root vanish.
 * The query is no part of it.
 */
export function normalizePath(path: string): string {
  if (isNormal(path)) return path
  const segments: string[] = []
  const parts = decodeUnreserved(path).split('/')
  for (const part of parts) {
    if (part === '' || part === '.') continue
    if (part === '..') segments.pop()
    else segments.push(part)
  }
  const last = parts[parts.length - 1]
  const directory = last === '' || last === '.' || last === '..'
  return segments.length === 0 ? '/' : `/${segments.join('/')}${directory ? '/' : ''}`
}

const SLASH = 0x2f
const DOT = 0x2e
const PERCENT = 0x25

/** True when there is nothing to change: no escape, no empty segment, none that begins with a dot. The usual case. */
function isNormal(path: string): boolean {
  if (path.charCodeAt(0) !== SLASH) return false
  let previous = 0
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (code === PERCENT || (previous === SLASH && (code === SLASH || code === DOT))) return false
    previous = code
  }
  return true
}

function decodeUnreserved(path: string): string {
  let decoded = ''
  let from = 0
  for (let at = path.indexOf('%'); at !== -1; at = path.indexOf('%', at + 1)) {
    const code = Number.parseInt(path.slice(at + 1, at + 3), 16)
    const kept = path.slice(at, at + 3).toUpperCase()
    decoded += path.slice(from, at) + (isUnreserved(code) ? String.fromCharCode(code) : kept)
    from = at + kept.length
  }
  return decoded + path.slice(from)
}

const isUnreserved = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x61 && code <= 0x7a) ||
  code === 0x2d ||
  code === DOT ||
  code === 0x5f ||
  code === 0x7e
