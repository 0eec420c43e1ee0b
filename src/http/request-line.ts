// Hot path: the request line, a byte at a time; see `request-parser.ts` for what is decided and why.
import { equalsIgnoringCase, latin1 } from './bytes.js'
import {
  ASTERISK,
  byteFault,
  CLASS,
  COLON,
  CR,
  FOLD,
  HEX,
  IN_DIGITS,
  IN_HOST,
  IN_PATH,
  IN_QUERY,
  IN_TOKEN,
  LF,
  PERCENT,
  QUESTION,
  SLASH,
  SP,
} from './characters.js'
import { PARSE_COMPLETE, PARSE_REFUSED, type ParseOutcome } from './head-layout.js'
import { HeadParser, STATE_FIELDS } from './head-parser.js'
import { hostEnd } from './host.js'
import { METHOD_CONNECT, METHOD_OPTIONS, METHOD_OTHER, methodId } from './methods.js'

/** Forms of the request target (RFC 9112 3.2). */
export const FORM_ORIGIN = 0
export const FORM_ABSOLUTE = 1
export const FORM_ASTERISK = 2

const LEADING = 0
const LEADING_LF = 1
const METHOD = 2
const TARGET = 3
const SCHEME = 4
const SCHEME_SLASH = 5
const SCHEME_SECOND_SLASH = 6
const AUTHORITY = 7
const PATH = 8
const ESCAPE = 9
const ESCAPE_SECOND = 10
const QUERY = 11
const TARGET_END = 12
const VERSION = 13
const LINE_CR = 14
const LINE_LF = 15

const HTTP = latin1('http')
const HTTPS = latin1('https')
const VERSION_TEXT = latin1('HTTP/1.1')
const VERSION_MAJOR = 5
const VERSION_MINOR = 7
const DIGIT_ONE = 0x31

/** Reads `method SP request-target SP HTTP-version CRLF` (RFC 9112 3). */
export abstract class RequestLineParser extends HeadParser {
  /** METHOD_* of `methods.ts`. */
  method: number = METHOD_OTHER
  methodStart = 0
  methodEnd = 0
  targetForm: typeof FORM_ORIGIN | typeof FORM_ABSOLUTE | typeof FORM_ASTERISK = FORM_ORIGIN
  /** The target as received. */
  targetStart = 0
  targetEnd = 0
  /** What is forwarded: path and query, or `*`. In absolute form it may be empty or begin with "?": "/" is missing. */
  pathStart = 0
  pathEnd = 0
  /** Of the "?", −1 without a query. */
  queryStart = -1
  /** Of an absolute target, else −1. */
  authorityStart = -1
  authorityEnd = -1
  /** Where the authority's host ends and its port, if any, begins. */
  protected authorityHostEnd = -1

  override reset(): void {
    super.reset()
    this.method = METHOD_OTHER
    this.methodStart = 0
    this.methodEnd = 0
    this.targetForm = FORM_ORIGIN
    this.targetStart = 0
    this.targetEnd = 0
    this.pathStart = 0
    this.pathEnd = 0
    this.queryStart = -1
    this.authorityStart = -1
    this.authorityEnd = -1
    this.authorityHostEnd = -1
  }

  protected requestLine(buffer: Uint8Array, start: number, end: number): ParseOutcome {
    let state = this.state
    let at = start + this.position
    if (state <= LEADING_LF) {
      if (state === LEADING && at < end) {
        state = buffer[at] === CR ? LEADING_LF : METHOD
        if (state === LEADING_LF) at++
      }
      if (state === LEADING_LF && at < end) {
        if (buffer[at] !== LF) return this.malformed('bare CR')
        at++
        this.origin = 2
        state = METHOD
      }
      this.methodStart = this.origin
      if (state !== METHOD) return this.suspend(state, at - start)
    }
    const stop = this.stop(start, end)
    while (at < stop) {
      switch (state) {
        case METHOD: {
          while (at < stop && FOLD[buffer[at]!] !== 0) at++
          if (at === stop) break
          if (buffer[at] !== SP) return this.malformed(byteFault(buffer[at]!))
          if (at - start === this.methodStart) return this.malformed('empty method')
          this.methodEnd = at - start
          this.method = methodId(buffer, start + this.methodStart, at)
          if (this.method === METHOD_CONNECT) return this.refuse(405, 'METHOD_NOT_ALLOWED', 'CONNECT')
          at++
          this.targetStart = at - start
          state = TARGET
          break
        }
        case TARGET: {
          const byte = buffer[at]!
          this.pathStart = at - start
          if (byte === SLASH) {
            this.targetForm = FORM_ORIGIN
            state = PATH
          } else if (byte === ASTERISK && this.method === METHOD_OPTIONS) {
            this.targetForm = FORM_ASTERISK
            state = TARGET_END
          } else if ((CLASS[byte]! & IN_TOKEN) !== 0 && byte !== ASTERISK) {
            this.targetForm = FORM_ABSOLUTE
            state = SCHEME
          } else {
            return this.#badTarget(at - start, byte === SP ? 'empty target' : targetFault(byte))
          }
          at++
          break
        }
        case SCHEME: {
          while (at < stop && (CLASS[buffer[at]!]! & IN_TOKEN) !== 0) at++
          if (at === stop) break
          if (buffer[at] !== COLON) return this.#badTarget(at - start, targetFault(buffer[at]!))
          const from = start + this.targetStart
          if (!equalsIgnoringCase(buffer, from, at, HTTP) && !equalsIgnoringCase(buffer, from, at, HTTPS)) {
            return this.#badTarget(at - start, 'target with another scheme')
          }
          at++
          state = SCHEME_SLASH
          break
        }
        case SCHEME_SLASH:
        case SCHEME_SECOND_SLASH: {
          if (buffer[at] !== SLASH) return this.#badTarget(at - start, 'target without authority')
          at++
          if (state === SCHEME_SECOND_SLASH) this.authorityStart = at - start
          state = state === SCHEME_SLASH ? SCHEME_SECOND_SLASH : AUTHORITY
          break
        }
        case AUTHORITY: {
          while (at < stop && (CLASS[buffer[at]!]! & IN_HOST) !== 0) at++
          if (at === stop) break
          const byte = buffer[at]!
          if (byte !== SLASH && byte !== QUESTION && byte !== SP) return this.#badTarget(at - start, targetFault(byte))
          const nameEnd = hostEnd(buffer, start + this.authorityStart, at)
          if (nameEnd === -1) return this.#badTarget(at - start, 'invalid authority')
          this.authorityEnd = at - start
          this.authorityHostEnd = nameEnd - start
          this.pathStart = at - start
          state = PATH
          break
        }
        case PATH: {
          while (at < stop && (CLASS[buffer[at]!]! & IN_PATH) !== 0) at++
          if (at === stop) break
          const byte = buffer[at]!
          if (byte === SP) {
            state = TARGET_END
            break
          }
          if (byte === QUESTION) {
            this.queryStart = at - start
            state = QUERY
          } else if (byte === PERCENT) {
            state = ESCAPE
          } else {
            return this.#badTarget(at - start, targetFault(byte))
          }
          at++
          break
        }
        case ESCAPE:
        case ESCAPE_SECOND: {
          const digit = HEX[buffer[at]!]!
          if (digit === 255) return this.#badTarget(at - start, 'invalid escape in the path')
          if (state === ESCAPE_SECOND && digit === 0 && HEX[buffer[at - 1]!] === 0) {
            return this.#badTarget(at - start, 'escaped NUL in the path')
          }
          at++
          state = state === ESCAPE ? ESCAPE_SECOND : PATH
          break
        }
        case QUERY: {
          while (at < stop && (CLASS[buffer[at]!]! & IN_QUERY) !== 0) at++
          if (at === stop) break
          if (buffer[at] !== SP) return this.#badTarget(at - start, targetFault(buffer[at]!))
          state = TARGET_END
          break
        }
        case TARGET_END: {
          if (buffer[at] !== SP) return this.#badTarget(at - start, targetFault(buffer[at]!))
          this.targetEnd = at - start
          this.pathEnd = at - start
          if (this.targetEnd - this.targetStart > this.limits.maxTargetBytes) return this.#targetTooLong()
          at++
          state = VERSION
          break
        }
        case VERSION: {
          const begin = start + this.targetEnd + 1
          while (at < stop && at - begin < VERSION_TEXT.length && isVersionByte(buffer[at]!, at - begin)) at++
          if (at === stop) break
          if (at - begin < VERSION_TEXT.length) return this.malformed(versionFault(buffer[at]!))
          if (buffer[begin + VERSION_MAJOR] !== DIGIT_ONE) {
            return this.refuse(505, 'BAD_VERSION', 'another HTTP version')
          }
          // A later minor version is read as the last one known (RFC 9110 2.5).
          this.versionMinor = buffer[begin + VERSION_MINOR]! >= DIGIT_ONE ? 1 : 0
          state = LINE_CR
          break
        }
        case LINE_CR: {
          if (buffer[at] !== CR) return this.malformed(versionFault(buffer[at]!))
          at++
          state = LINE_LF
          break
        }
        default: {
          if (buffer[at] !== LF) return this.malformed('bare CR')
          this.state = STATE_FIELDS
          this.position = at + 1 - start
          return PARSE_COMPLETE
        }
      }
    }
    return this.#suspendLine(state, at - start)
  }

  /** As `suspend`, but a target that is too long, or too long for the whole head, says so. */
  #suspendLine(state: number, position: number): ParseOutcome {
    const inTarget = state >= TARGET && state <= TARGET_END
    if (inTarget && position - this.targetStart > this.limits.maxTargetBytes) return this.#targetTooLong()
    const outcome = this.suspend(state, position)
    return inTarget && outcome === PARSE_REFUSED ? this.#targetTooLong() : outcome
  }

  /** A byte that may not stand at `position`; beyond the limit the target is too long whatever stands there. */
  #badTarget(position: number, detail: string): typeof PARSE_REFUSED {
    if (position - this.targetStart >= this.limits.maxTargetBytes) return this.#targetTooLong()
    return this.malformed(detail)
  }

  #targetTooLong(): typeof PARSE_REFUSED {
    return this.refuse(414, 'TARGET_LINE_TOO_LONG', 'target too long')
  }

  protected override malformed(detail: string): typeof PARSE_REFUSED {
    return this.refuse(400, 'BAD_REQUEST', detail)
  }

  protected override tooLarge(reason: 'HEADER_TOO_LARGE' | 'TOO_MANY_HEADERS', detail: string): typeof PARSE_REFUSED {
    return this.refuse(431, reason, detail)
  }
}

const isVersionByte = (byte: number, index: number): boolean =>
  index === VERSION_MAJOR || index === VERSION_MINOR ? (CLASS[byte]! & IN_DIGITS) !== 0 : byte === VERSION_TEXT[index]

function targetFault(byte: number): string {
  if (byte === CR || byte === LF) return 'request line without a version'
  return byte === ASTERISK ? 'asterisk form without OPTIONS' : `target: ${byteFault(byte)}`
}

function versionFault(byte: number): string {
  return byte === SP ? 'too many spaces in the request line' : 'malformed version'
}
