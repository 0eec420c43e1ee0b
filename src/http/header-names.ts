// Hot path: one probe and one comparison a header.
import { COLON, FOLD, LOWER } from './characters.js'

export const HEADER_OTHER = 0
export const HEADER_HOST = 1
export const HEADER_CONNECTION = 2
export const HEADER_CONTENT_LENGTH = 3
export const HEADER_TRANSFER_ENCODING = 4
export const HEADER_KEEP_ALIVE = 5
export const HEADER_PROXY_CONNECTION = 6
export const HEADER_TE = 7
export const HEADER_TRAILER = 8
export const HEADER_UPGRADE = 9
export const HEADER_EXPECT = 10
export const HEADER_COOKIE = 11
export const HEADER_SET_COOKIE = 12
export const HEADER_DATE = 13
export const HEADER_SERVER = 14
export const HEADER_USER_AGENT = 15
export const HEADER_X_FORWARDED_FOR = 16
export const HEADER_X_FORWARDED_PROTO = 17
export const HEADER_X_FORWARDED_PORT = 18
export const HEADER_X_FORWARDED_HOST = 19
export const HEADER_X_FORWARDED_LBIP = 20
export const HEADER_X_FORWARDED_CLIENT_PORT = 21
/** Any other name that begins with `x-forwarded-`. */
export const HEADER_X_FORWARDED_OTHER = 22
export const HEADER_FORWARDED = 23
export const HEADER_X_REQUEST_ID = 24
export const HEADER_VIA = 25
export const HEADER_PROXY_AUTHENTICATE = 26
export const HEADER_PROXY_AUTHORIZATION = 27
export const HEADER_HTTP2_SETTINGS = 28
export const HEADER_AUTHORIZATION = 29
/** The three by which targets are told of a client's certificate. */
export const HEADER_X_CLIENT_CERT_VERIFIED = 30
export const HEADER_X_CLIENT_CERT_SUBJECT = 31
export const HEADER_X_CLIENT_CERT_FINGERPRINT = 32
/** By which a trusted client asks how its request was routed. */
export const HEADER_X_CASTOR_EXPLAIN = 33
/** The first of the end-to-end fields that are known only so that nobody can have them removed or sent as trailers. */
const FIRST_PLAIN = 34

/** Added to the id of a name that is known only when "_", "." and the like are read as "-": never forwarded. */
export const HEADER_LOOK_ALIKE_FLAG = 0x100
/** In place of the id of a header that `Connection` names. */
export const HEADER_DROPPED = 0x200

/** Names by id; the place of `x-forwarded-` other is empty, because it is told by its beginning. */
const NAMES = [
  '',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'cookie',
  'set-cookie',
  'date',
  'server',
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-host',
  'x-forwarded-lbip',
  'x-forwarded-client-port',
  '',
  'forwarded',
  'x-request-id',
  'via',
  'proxy-authenticate',
  'proxy-authorization',
  'http2-settings',
  'authorization',
  'x-client-cert-verified',
  'x-client-cert-subject',
  'x-client-cert-fingerprint',
  'x-castor-explain',
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'access-control-request-headers',
  'access-control-request-method',
  'age',
  'allow',
  'alt-svc',
  'authentication-info',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-range',
  'content-security-policy',
  'content-type',
  'early-data',
  'expires',
  'from',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'origin',
  'pragma',
  'priority',
  'proxy-authentication-info',
  'range',
  'referer',
  'retry-after',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'strict-transport-security',
  'traceparent',
  'tracestate',
  'vary',
  'warning',
  'www-authenticate',
  'x-content-type-options',
  'x-frame-options',
  'x-real-ip',
] as const

export const HEADER_CONTENT_TYPE: number = NAMES.indexOf('content-type')
export const HEADER_WWW_AUTHENTICATE: number = NAMES.indexOf('www-authenticate')
export const HEADER_STRICT_TRANSPORT_SECURITY: number = NAMES.indexOf('strict-transport-security')

/** One more than the highest id. */
export const HEADER_IDS = NAMES.length

/** 1 for fields that concern one connection only (RFC 9110 7.6.1) and are never passed on as they came. */
export const HOP_BY_HOP = new Uint8Array(HEADER_IDS)
for (const id of [
  HEADER_CONNECTION,
  HEADER_TRANSFER_ENCODING,
  HEADER_KEEP_ALIVE,
  HEADER_PROXY_CONNECTION,
  HEADER_TE,
  HEADER_UPGRADE,
  HEADER_PROXY_AUTHENTICATE,
  HEADER_PROXY_AUTHORIZATION,
  HEADER_HTTP2_SETTINGS,
]) {
  HOP_BY_HOP[id] = 1
}

/** 1 for fields whose look-alike could pass for one that Castor writes or that frames the message. */
const GUARDED = new Uint8Array(HEADER_IDS)
for (let id = 1; id < FIRST_PLAIN; id++) GUARDED[id] = 1
for (const id of [HEADER_SET_COOKIE, HEADER_USER_AGENT]) GUARDED[id] = 0

const SLOT_BITS = 10
const SLOT_SHIFT = 32 - SLOT_BITS

const bytesOf = (name: string): Uint8Array => Uint8Array.from(name, (character) => character.charCodeAt(0))
const offsets = new Uint16Array(HEADER_IDS + 1)
NAMES.forEach((name, id) => {
  offsets[id + 1] = offsets[id]! + name.length
})
const nameBytes = bytesOf(NAMES.join(''))

const SHORTEST_NAME = 2
const LONGEST_NAME = Math.max(...NAMES.map((name) => name.length))

/**
 * Length and three bytes, by which all known names differ, so that a name is hashed without going over it. What an
 * attacker makes collide costs one comparison that fails.
 */
const nameKey = (buffer: Uint8Array, from: number, length: number): number =>
  length |
  (FOLD[buffer[from]!]! << 8) |
  (FOLD[buffer[from + (length >> 1)]!]! << 16) |
  (FOLD[buffer[from + length - 2]!]! << 24)

/** Finds a factor under which every known name has a slot of its own. */
function placeNames(): { slots: Uint8Array; factor: number } {
  const keys = NAMES.map((name) => (name === '' ? 0 : nameKey(bytesOf(name), 0, name.length)))
  for (let factor = 0x9e3779b1; ; factor += 2) {
    const slots = new Uint8Array(1 << SLOT_BITS)
    const free = (id: number): boolean => {
      const slot = Math.imul(keys[id]!, factor) >>> SLOT_SHIFT
      if (slots[slot] !== 0) return false
      slots[slot] = id
      return true
    }
    if (NAMES.every((name, id) => name === '' || free(id))) return { slots, factor }
  }
}
const { slots: SLOTS, factor: SLOT_FACTOR } = placeNames()

const FORWARDED_PREFIX = bytesOf('x-forwarded-')
const LETTER_X = 0x78

/** The id of the name at [from, to), with HEADER_LOOK_ALIKE_FLAG when only its punctuation tells it from one that matters. */
export function headerId(buffer: Uint8Array, from: number, to: number): number {
  const length = to - from
  if (length >= SHORTEST_NAME && length <= LONGEST_NAME) {
    const id = SLOTS[Math.imul(nameKey(buffer, from, length), SLOT_FACTOR) >>> SLOT_SHIFT]!
    const name = offsets[id]!
    if (offsets[id + 1]! - name === length) {
      let strangers = 0
      let i = 0
      for (; i < length; i++) {
        const byte = buffer[from + i]!
        if (FOLD[byte] !== nameBytes[name + i]) break
        if (LOWER[byte] !== nameBytes[name + i]) strangers++
      }
      if (i === length) {
        if (strangers === 0) return id
        return GUARDED[id] === 1 ? id | HEADER_LOOK_ALIKE_FLAG : HEADER_OTHER
      }
    }
  }
  return FOLD[buffer[from]!] === LETTER_X ? forwardedFamily(buffer, from, to) : HEADER_OTHER
}

function forwardedFamily(buffer: Uint8Array, from: number, to: number): number {
  const length = FORWARDED_PREFIX.length
  if (to - from <= length) return HEADER_OTHER
  let strangers = 0
  for (let i = 0; i < length; i++) {
    const byte = buffer[from + i]!
    if (FOLD[byte] !== FORWARDED_PREFIX[i]) return HEADER_OTHER
    if (LOWER[byte] !== FORWARDED_PREFIX[i]) strangers++
  }
  return strangers === 0 ? HEADER_X_FORWARDED_OTHER : HEADER_X_FORWARDED_OTHER | HEADER_LOOK_ALIKE_FLAG
}

/** The id of the header whose line, made by Castor itself, begins at `from`. */
export function lineHeaderId(line: Uint8Array, from: number): number {
  return headerId(line, from, line.indexOf(COLON, from))
}
