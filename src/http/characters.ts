// Hot path: tables that every byte of a head is looked up in.

export const HTAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const COMMA = 0x2c
export const HYPHEN = 0x2d
export const SLASH = 0x2f
export const ZERO = 0x30
export const COLON = 0x3a
export const SEMICOLON = 0x3b
export const EQUALS = 0x3d
export const QUESTION = 0x3f
export const PERCENT = 0x25
export const ASTERISK = 0x2a
export const DOUBLE_QUOTE = 0x22
export const BACKSLASH = 0x5c
export const DELETE = 0x7f

/** Bits of `CLASS`. */
export const IN_TOKEN = 1
export const IN_VALUE = 2
export const IN_PATH = 4
export const IN_QUERY = 8
export const IN_HOST = 16
export const IN_DIGITS = 32
export const IN_HEX = 64
export const IN_REQUEST_ID = 128

/**
 * Which grammar each byte may stand in:
 * - token: RFC 9110 5.6.2.
 * - value: RFC 9110 5.5: VCHAR, SP, HTAB and obs-text 0x80–0xFF, which is passed on as it is.
 * - path: RFC 3986 pchar and "/", and what browsers send raw in a path (WHATWG URL): "[", "]", "^", "|". Not "%", which
 *   the parser follows by hand. Refused are the backslash, which some servers read as "/", "#", the quote, "<", ">",
 *   "`", "{", "}", which browsers encode, and every byte beyond ASCII, which is no URI character.
 * - query: RFC 3986 pchar, "/", "?", and what browsers send raw in a query: "[", "]", "^", "|", "`", "{", "}", "\" and
 *   a "%" that begins no escape. Refused are "#", the quote, "<", ">" and bytes beyond ASCII.
 * - host: RFC 3986 3.2.2 reg-name (unreserved and sub-delims) and ":", "[", "]". The percent escapes that reg-name would
 *   also allow are refused: servers disagree about whether they are decoded before names are compared.
 * - request id: what an X-Request-Id may hold to be kept.
 */
export const CLASS = new Uint8Array(256)

/**
 * The byte as header names are compared: letters in lower case, everything that is no letter or digit as "-"; 0 for what
 * may not stand in a name. CGI and its heirs make "_" of "-", some of every such character: names that differ only in
 * that are one variable to a target.
 */
export const FOLD = new Uint8Array(256)

/** The value of a hex digit; 255 for any other byte. */
export const HEX = new Uint8Array(256).fill(255)

/** Letters in lower case, everything else as it is. */
export const LOWER = new Uint8Array(256)

const ALPHA = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const DIGIT = '0123456789'
const UNRESERVED = `${ALPHA}${DIGIT}-._~`
const ALPHANUMERIC = /[A-Za-z0-9]/
const SUB_DELIMS = "!$&'()*+,;="
const PCHAR = `${UNRESERVED}${SUB_DELIMS}:@`

const mark = (characters: string, bit: number): void => {
  for (let i = 0; i < characters.length; i++) CLASS[characters.charCodeAt(i)]! |= bit
}
mark(`${ALPHA}${DIGIT}!#$%&'*+-.^_\`|~`, IN_TOKEN)
mark(`${PCHAR}/[]^|`, IN_PATH)
mark(`${PCHAR}/?%[]^|\`{}\\`, IN_QUERY)
mark(`${UNRESERVED}${SUB_DELIMS}:[]`, IN_HOST)
mark(DIGIT, IN_DIGITS)
mark(`${DIGIT}abcdefABCDEF`, IN_HEX)
mark(`${UNRESERVED}+/=:`, IN_REQUEST_ID)

for (let byte = 0; byte < 256; byte++) {
  const upper = byte >= 0x41 && byte <= 0x5a
  LOWER[byte] = upper ? byte + 32 : byte
  if ((byte >= SP && byte !== 0x7f) || byte === HTAB) CLASS[byte]! |= IN_VALUE
  if ((CLASS[byte]! & IN_TOKEN) !== 0) FOLD[byte] = ALPHANUMERIC.test(String.fromCharCode(byte)) ? LOWER[byte]! : HYPHEN
  if ((CLASS[byte]! & IN_HEX) !== 0) HEX[byte] = Number.parseInt(String.fromCharCode(byte), 16)
}

/** What is wrong with a byte that may not stand where it does, for logs. */
export function byteFault(byte: number): string {
  if (byte === LF) return 'bare LF'
  if (byte === CR) return 'bare CR'
  if (byte === 0) return 'NUL byte'
  if (byte < SP || byte === 0x7f) return 'control character'
  if (byte > 0x7f) return 'byte beyond ASCII'
  return 'character not allowed here'
}
