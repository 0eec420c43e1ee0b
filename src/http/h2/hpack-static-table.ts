// Hot path: most fields of a header block are in here.
import { latin1 } from '../bytes.js'

/** RFC 7541, appendix A: index 1 is the first. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
]

export const STATIC_COUNT = ENTRIES.length

/** All names and values, one after the other. */
export const STATIC_BYTES = latin1(ENTRIES.map(([name, value]) => name + value).join(''))
/** By index: where the name begins, and how long name and value are. Index 0 is none. */
export const STATIC_START = new Int32Array(STATIC_COUNT + 1)
export const STATIC_NAME_LENGTH = new Int32Array(STATIC_COUNT + 1)
export const STATIC_VALUE_LENGTH = new Int32Array(STATIC_COUNT + 1)

let start = 0
for (const [i, [name, value]] of ENTRIES.entries()) {
  STATIC_START[i + 1] = start
  STATIC_NAME_LENGTH[i + 1] = name.length
  STATIC_VALUE_LENGTH[i + 1] = value.length
  start += name.length + value.length
}

/** The first index with this name, as text; 0 when there is none. */
export function staticNameIndex(name: string): number {
  return ENTRIES.findIndex(([known]) => known === name) + 1
}
