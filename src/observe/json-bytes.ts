// Hot path: writes JSON values byte by byte for the access log. No strings are built, nothing is allocated.

export const QUOTE = 0x22
const BACKSLASH = 0x5c
const ZERO = 0x30
const LOWER_U = 0x75
/** `\u2026`, an ellipsis: no byte of a client is written so, hence a cut value is always told from a whole one. */
const CUT = new TextEncoder().encode('\\u2026')
const NULL = new TextEncoder().encode('null')
const HEX = new TextEncoder().encode('0123456789abcdef')
/** The longest form of one character, `\uXXXX`. */
const LONGEST_ESCAPE = 6

/** By byte: 0 = goes as it is, 1 = `\u00XX`, else the letter that follows the backslash. DEL counts as a control. */
const ESCAPES = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) ESCAPES[byte] = byte < 0x20 || byte >= 0x7f ? 1 : 0
ESCAPES[QUOTE] = QUOTE
ESCAPES[BACKSLASH] = BACKSLASH
ESCAPES[0x08] = 0x62
ESCAPES[0x09] = 0x74
ESCAPES[0x0a] = 0x6e
ESCAPES[0x0c] = 0x66
ESCAPES[0x0d] = 0x72

// Every function writes at `at` and returns where the next byte goes; the caller has made sure of the room.

function putAll(b: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) b[at + i] = bytes[i]!
  return at + bytes.length
}

/** Bytes [start, end) as a JSON string, each byte a latin-1 character; `null` when there are none. */
export function putBytes(
  b: Uint8Array,
  from: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  maxBytes: number,
): number {
  if (start >= end) return putAll(b, from, NULL)
  const last = from + 1 + maxBytes - LONGEST_ESCAPE
  let at = from
  b[at++] = QUOTE
  let i = start
  while (i < end) {
    // Four at once while nothing is to be escaped and nothing could be too long: a third of the time.
    for (const stop = Math.min(end - 3, i + last - at); i < stop; i += 4, at += 4) {
      const b0 = bytes[i]!
      const b1 = bytes[i + 1]!
      const b2 = bytes[i + 2]!
      const b3 = bytes[i + 3]!
      if ((ESCAPES[b0]! | ESCAPES[b1]! | ESCAPES[b2]! | ESCAPES[b3]!) !== 0) break
      b[at] = b0
      b[at + 1] = b1
      b[at + 2] = b2
      b[at + 3] = b3
    }
    if (i >= end) break
    if (at > last) {
      at = putAll(b, at, CUT)
      break
    }
    const byte = bytes[i++]!
    const form = ESCAPES[byte]!
    if (form === 0) b[at++] = byte
    else at = putEscaped(b, at, byte, form)
  }
  b[at] = QUOTE
  return at + 1
}

/** A string as a JSON string in ASCII; `null` when empty. */
export function putString(b: Uint8Array, from: number, text: string, maxBytes: number): number {
  const length = text.length
  if (length === 0) return putAll(b, from, NULL)
  const last = from + 1 + maxBytes - LONGEST_ESCAPE
  let at = from
  b[at++] = QUOTE
  for (let i = 0; i < length; i++) {
    if (at > last) {
      at = putAll(b, at, CUT)
      break
    }
    const code = text.charCodeAt(i)
    const form = code < 256 ? ESCAPES[code]! : 1
    if (form === 0) b[at++] = code
    else at = putEscaped(b, at, code, form)
  }
  b[at] = QUOTE
  return at + 1
}

function putEscaped(b: Uint8Array, at: number, code: number, form: number): number {
  b[at] = BACKSLASH
  if (form !== 1) {
    b[at + 1] = form
    return at + 2
  }
  b[at + 1] = LOWER_U
  b[at + 2] = HEX[code >>> 12]!
  b[at + 3] = HEX[(code >>> 8) & 15]!
  b[at + 4] = HEX[(code >>> 4) & 15]!
  b[at + 5] = HEX[code & 15]!
  return at + LONGEST_ESCAPE
}

/** A whole number, its fraction cut; `null` when negative or not a number. */
export function putInteger(b: Uint8Array, at: number, value: number): number {
  if (!(value >= 0)) return putAll(b, at, NULL)
  let rest = value < Number.MAX_SAFE_INTEGER ? Math.trunc(value) : Number.MAX_SAFE_INTEGER
  let digits = 1
  for (let bound = 10; rest >= bound; bound *= 10) digits++
  for (let i = at + digits - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10)
    b[i] = ZERO + (rest - tenth * 10)
    rest = tenth
  }
  return at + digits
}

/** Milliseconds with three decimals; `null` when negative or not a number. */
export function putMs(b: Uint8Array, at: number, ms: number): number {
  if (!(ms >= 0)) return putAll(b, at, NULL)
  const micros = Math.round(ms * 1000)
  const whole = Math.floor(micros / 1000)
  const next = putInteger(b, at, whole)
  const rest = micros - whole * 1000
  b[next] = 0x2e
  return putThreeDigits(b, next + 1, rest >= 0 && rest < 1000 ? rest : 0)
}

export function putThreeDigits(b: Uint8Array, at: number, value: number): number {
  const hundreds = Math.floor(value / 100)
  const tens = Math.floor(value / 10)
  b[at] = ZERO + hundreds
  b[at + 1] = ZERO + tens - hundreds * 10
  b[at + 2] = ZERO + value - tens * 10
  return at + 3
}
