// Hot path: one pass over the bytes of a response head, nothing allocated per response.
import { TOLERATE_BARE_LF, TOLERATE_SHORT_STATUS_LINE } from '../core/tolerances.js'
import { equalsIgnoringCase, latin1 } from './bytes.js'
import { byteFault, CLASS, CR, EQUALS, IN_DIGITS, IN_VALUE, LF, SP, ZERO } from './characters.js'
import { namesConnectionScheme } from './connection-auth.js'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, CONNECTION_UPGRADE } from './connection-field.js'
import { PARSE_COMPLETE, type PARSE_REFUSED, type ParseOutcome, VALUE_END, VALUE_START } from './head-layout.js'
import { HeadParser, STATE_FIELDS } from './head-parser.js'
import {
  HEADER_CONNECTION,
  HEADER_CONTENT_LENGTH,
  HEADER_KEEP_ALIVE,
  HEADER_PROXY_AUTHENTICATE,
  HEADER_TRANSFER_ENCODING,
  HEADER_UPGRADE,
  HEADER_WWW_AUTHENTICATE,
} from './header-names.js'
import { elementEnd, skipSpace } from './list.js'
import { METHOD_HEAD } from './methods.js'

/** No body: HEAD, 1xx, 204, 304, or a length of 0. */
export const FRAMING_NONE = 0
export const FRAMING_LENGTH = 1
export const FRAMING_CHUNKED = 2
export const FRAMING_UNTIL_CLOSE = 3
export type Framing = typeof FRAMING_NONE | typeof FRAMING_LENGTH | typeof FRAMING_CHUNKED | typeof FRAMING_UNTIL_CLOSE

const VERSION = 0
const STATUS = 1
const STATUS_SPACE = 2
const REASON = 3
const LINE_LF = 4

/** `HTTP/1.x SP`: x is checked apart. */
const VERSION_TEXT = latin1('HTTP/1.1 ')
const VERSION_MINOR = 7
const STATUS_END = VERSION_TEXT.length + 3

const TIMEOUT = latin1('timeout')
/** A day: a target that promises more is taken at this. */
const MAX_TIMEOUT_SECONDS = 86_400

/**
 * Reads a response head by RFC 9112 as strictly as `RequestParser` reads requests; the rules for bytes, offsets and
 * repeated calls are the same, unless `tolerate` says otherwise, and so is HTTP/1.2 to 1.9. Refused beside what is malformed: a status outside 100–599, the space after the status missing (RFC 9112 4), more than one Content-Length, any Transfer-Encoding but
 * one `chunked` in HTTP/1.1, both together, a 1xx with Transfer-Encoding, and a 1xx or 204 with a Content-Length above 0
 * (RFC 9112 6.1, RFC 9110 8.6; a length of 0 there says nothing wrong and is dropped). A 204 or 304 with Transfer-Encoding
 * has no body all the same (RFC 9112 6.3), and ends its connection.
 */
export class ResponseParser extends HeadParser {
  status = 0
  /** The reason phrase, perhaps empty. */
  reasonStart = 0
  reasonEnd = 0
  /** A 101 that switches to the protocols of [upgradeStart, upgradeEnd). */
  upgrade = false
  upgradeStart = 0
  upgradeEnd = 0
  /** Upgrade fields, whatever the status. */
  upgradeFields = 0
  /** From `Keep-Alive: timeout=N`, −1 when the target does not say. */
  keepAliveTimeoutSeconds = -1
  #allowsShortLine = false

  override reset(): void {
    super.reset()
    this.status = 0
    this.upgrade = false
    this.keepAliveTimeoutSeconds = -1
    this.upgradeFields = 0
  }

  /**
   * What of TOLERATE_* the heads from here on may have. To be called before the heads that answer one request, interim ones
   * included: none of them, nor the final one, keeps the connection open once a line has ended with a bare LF. Where an
   * application lets a line feed into a field, the rest of its answer might be taken for the answer to another request.
   */
  tolerate(faults: number): void {
    this.allowsBareLf = (faults & TOLERATE_BARE_LF) !== 0
    this.#allowsShortLine = (faults & TOLERATE_SHORT_STATUS_LINE) !== 0
    this.hasBareLf = false
  }

  #mayBeShort(byte: number): boolean {
    return this.#allowsShortLine && (byte === CR || byte === LF)
  }

  parse(buffer: Uint8Array, start: number, end: number): ParseOutcome {
    if (this.state < STATE_FIELDS) {
      const outcome = this.#statusLine(buffer, start, end)
      if (outcome !== PARSE_COMPLETE) return outcome
    }
    return this.fields(buffer, start, end)
  }

  /** Takes a whole head whose field lines are well formed and known, as `RequestParser.adopt` does. */
  adopt(buffer: Uint8Array, start: number, end: number, lines: Int32Array, count: number): ParseOutcome {
    const outcome = this.#statusLine(buffer, start, end)
    return outcome === PARSE_COMPLETE ? this.knownFields(buffer, start, end, lines, 0, count) : outcome
  }

  /** How the body is framed (RFC 9112 6.3), given the method of the request that this answers. */
  framing(requestMethod: number): Framing {
    const { status } = this
    if (requestMethod === METHOD_HEAD || status < 200 || status === 204 || status === 304) return FRAMING_NONE
    if (this.chunked) return FRAMING_CHUNKED
    if (this.contentLength === 0) return FRAMING_NONE
    return this.contentLength > 0 ? FRAMING_LENGTH : FRAMING_UNTIL_CLOSE
  }

  #statusLine(buffer: Uint8Array, start: number, end: number): ParseOutcome {
    let state = this.state
    let at = start + this.position
    const stop = this.stop(start, end)
    while (at < stop) {
      switch (state) {
        case VERSION: {
          const index = at - start
          const byte = buffer[at]!
          if (index === VERSION_MINOR) {
            if ((CLASS[byte]! & IN_DIGITS) === 0) return this.malformed('malformed status line')
            // A later minor version is read as the last one known (RFC 9110 2.5).
            this.versionMinor = byte === ZERO ? 0 : 1
          } else if (byte !== VERSION_TEXT[index]) {
            return this.malformed('malformed status line')
          }
          at++
          if (index === VERSION_TEXT.length - 1) state = STATUS
          break
        }
        case STATUS: {
          const byte = buffer[at]!
          if ((CLASS[byte]! & IN_DIGITS) === 0) return this.malformed('malformed status')
          this.status = this.status * 10 + byte - ZERO
          at++
          if (at - start === STATUS_END) {
            if (this.status < 100 || this.status > 599) return this.malformed('status out of range')
            state = STATUS_SPACE
          }
          break
        }
        case STATUS_SPACE: {
          if (buffer[at] === SP) at++
          else if (!this.#mayBeShort(buffer[at]!)) return this.malformed('no space after the status')
          this.reasonStart = at - start
          state = REASON
          break
        }
        case REASON: {
          while (at < stop && (CLASS[buffer[at]!]! & IN_VALUE) !== 0) at++
          if (at === stop) break
          this.reasonEnd = at - start
          if (buffer[at] === CR) at++
          else if (!this.endsLine(buffer[at]!)) return this.malformed(byteFault(buffer[at]!))
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
    return this.suspend(state, at - start)
  }

  protected override malformed(detail: string): typeof PARSE_REFUSED {
    return this.refuse(502, 'BAD_RESPONSE', detail)
  }

  protected override tooLarge(_reason: string, detail: string): typeof PARSE_REFUSED {
    return this.refuse(502, 'BAD_RESPONSE', detail)
  }

  protected override field(buffer: Uint8Array, start: number, entry: number, id: number): void {
    const from = start + this.headers[entry + VALUE_START]!
    const to = start + this.headers[entry + VALUE_END]!
    switch (id) {
      case HEADER_CONTENT_LENGTH:
        if (this.chunked) this.malformed('Content-Length beside Transfer-Encoding')
        else this.takeContentLength(buffer, from, to)
        return
      case HEADER_TRANSFER_ENCODING:
        if (this.contentLength !== -1) this.malformed('Transfer-Encoding beside Content-Length')
        else if (this.versionMinor === 0) this.malformed('Transfer-Encoding in HTTP/1.0')
        else if (!this.takeTransferEncoding(buffer, from, to)) this.malformed('unknown transfer coding')
        return
      case HEADER_CONNECTION:
        this.takeConnection(buffer, from, to)
        return
      case HEADER_KEEP_ALIVE:
        this.#takeKeepAlive(buffer, from, to)
        return
      case HEADER_WWW_AUTHENTICATE:
      case HEADER_PROXY_AUTHENTICATE:
        if (namesConnectionScheme(buffer, from, to)) this.connectionAuth = true
        return
      case HEADER_UPGRADE:
        this.upgradeFields++
        this.upgradeStart = from - start
        this.upgradeEnd = to - start
        return
    }
  }

  /** `timeout=N` among parameters separated by commas; what cannot be read is passed over, since it is only a hint. */
  #takeKeepAlive(buffer: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const begin = skipSpace(buffer, at, to)
      at = elementEnd(buffer, begin, to)
      const value = begin + TIMEOUT.length + 1
      if (value >= at || buffer[value - 1] !== EQUALS) continue
      if (!equalsIgnoringCase(buffer, begin, value - 1, TIMEOUT)) continue
      let seconds = 0
      for (let digit = value; digit < at && (CLASS[buffer[digit]!]! & IN_DIGITS) !== 0; digit++) {
        seconds = Math.min(seconds * 10 + buffer[digit]! - ZERO, MAX_TIMEOUT_SECONDS)
      }
      this.keepAliveTimeoutSeconds = seconds
    }
  }

  protected override finish(): void {
    const { status } = this
    if (status < 200) {
      if (this.chunked || this.contentLength > 0) {
        this.malformed('body where none may be')
        return
      }
      this.contentLength = -1
    } else if (status === 204) {
      if (this.contentLength > 0) {
        this.malformed('body where none may be')
        return
      }
      this.contentLength = -1
    }
    // Chunks may follow after all, which are nobody's: the connection is of no further use.
    const stray = this.chunked && (status === 204 || status === 304)
    if (stray) this.chunked = false
    this.keepAlive =
      !stray &&
      !this.hasBareLf &&
      (this.connection & CONNECTION_CLOSE) === 0 &&
      (this.versionMinor === 1 || (this.connection & CONNECTION_KEEP_ALIVE) !== 0)
    this.upgrade =
      status === 101 &&
      this.upgradeFields === 1 &&
      this.versionMinor === 1 &&
      (this.connection & CONNECTION_UPGRADE) !== 0
  }
}
