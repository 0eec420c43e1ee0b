// Hot path: one pass over the bytes of a request head, nothing allocated per request.
import { equalsIgnoringCase, latin1 } from './bytes.js'
import { CLASS, IN_REQUEST_ID } from './characters.js'
import { namesConnectionScheme } from './connection-auth.js'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, CONNECTION_UPGRADE } from './connection-field.js'
import { isDialogueType } from './dialogue-types.js'
import {
  HEADER_STRIDE,
  type HeadLimits,
  PARSE_COMPLETE,
  PARSE_INCOMPLETE,
  PARSE_REFUSED,
  type ParseOutcome,
  VALUE_END,
  VALUE_START,
} from './head-layout.js'
import { STATE_FIELDS } from './head-parser.js'
import {
  HEADER_AUTHORIZATION,
  HEADER_CONNECTION,
  HEADER_CONTENT_LENGTH,
  HEADER_CONTENT_TYPE,
  HEADER_EXPECT,
  HEADER_HOST,
  HEADER_TE,
  HEADER_TRANSFER_ENCODING,
  HEADER_UPGRADE,
  HEADER_USER_AGENT,
  HEADER_X_CASTOR_EXPLAIN,
  HEADER_X_REQUEST_ID,
} from './header-names.js'
import { hostEnd } from './host.js'
import { listHas } from './list.js'
import { METHOD_GET } from './methods.js'
import { FORM_ABSOLUTE, FORM_ASTERISK, FORM_ORIGIN, RequestLineParser } from './request-line.js'

export {
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_NAMES,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
} from './methods.js'
export {
  FORM_ABSOLUTE,
  FORM_ASTERISK,
  FORM_ORIGIN,
  HEADER_STRIDE,
  type HeadLimits,
  PARSE_COMPLETE,
  PARSE_INCOMPLETE,
  PARSE_REFUSED,
  type ParseOutcome,
}

const WEBSOCKET = latin1('websocket')
const CONTINUE = latin1('100-continue')
const TRAILERS = latin1('trailers')

const ONE = 0x31

const UPGRADE_WEBSOCKET = 1
const UPGRADE_OTHER = 2

const MAX_REQUEST_ID_BYTES = 128

/**
 * Reads a request head by RFC 9112 and RFC 9110, refusing whatever two readers could take differently.
 *
 * `buffer[start..end)` holds every byte of the head so far; after PARSE_INCOMPLETE call again with more of them, in
 * whatever buffer and place. All offsets are from the head's first byte. Decisions where the RFCs leave room:
 * - Method: any token, case kept; CONNECT is answered 405 as soon as it is read.
 * - Target: characters as in `characters.ts`; nothing beyond ASCII. In the path "%" must begin an escape, and `%00` is
 *   refused, since targets written in C end the path there; in the query a "%" may stand alone, as browsers send it.
 *   Absolute form only with http or https and a non-empty authority without user information.
 * - Version: HTTP/1.0 or HTTP/1.1 to the letter, HTTP/1.2 to 1.9 as 1.1 (RFC 9110 2.5); another major version is 505,
 *   anything else 400.
 * - Host: exactly one, valid as in `host.ts`, also beside an absolute target, which replaces it. Empty only with
 *   `OPTIONS *`, since http and https URIs must have a host (RFC 9110 4.2.1). HTTP/1.0 may do without.
 * - Field values: visible ASCII, SP, HTAB and 0x80–0xFF, which is passed on unchanged (RFC 9110 5.5).
 * - Content-Length: one header, digits only; the same one twice is refused as well. Transfer-Encoding: only `chunked`,
 *   once, only in HTTP/1.1, never with Content-Length; other codings are 501.
 * - Expect: `100-continue` or 417; ignored in HTTP/1.0 (RFC 9110 10.1.1) and where there is no body to wait for.
 * - One empty line (CRLF) may come before the request line (RFC 9112 2.2); it counts towards no limit.
 */
export class RequestParser extends RequestLineParser {
  /** Value of Host, or the authority that replaces it; −1 when an HTTP/1.0 request has neither. */
  hostStart = -1
  hostEnd = -1
  /** Where the host ends and its port, if any, begins. */
  hostNameEnd = -1
  hasBody = false
  /** The body is one of messages that come whenever there is one: see `isDialogueType`. */
  dialogue = false
  upgradeWebSocket = false
  /** Value of the one Upgrade field of a request that may switch to another protocol; −1 when there is none. */
  upgradeStart = -1
  upgradeEnd = -1
  expectContinue = false
  /** The client sent `TE: trailers`. */
  wantsTrailers = false
  /** The client's X-Request-Id, −1 when there is none that may be kept. */
  requestIdStart = -1
  requestIdEnd = -1
  /** The client asks how its request is routed: `x-castor-explain: 1`. */
  explain = false
  userAgentStart = -1
  userAgentEnd = -1

  #upgrade = 0
  #expect = false
  #requestIds = 0

  override reset(): void {
    super.reset()
    this.hostStart = -1
    this.hostEnd = -1
    this.hostNameEnd = -1
    this.hasBody = false
    this.dialogue = false
    this.upgradeWebSocket = false
    this.upgradeStart = -1
    this.upgradeEnd = -1
    this.expectContinue = false
    this.wantsTrailers = false
    this.requestIdStart = -1
    this.requestIdEnd = -1
    this.explain = false
    this.userAgentStart = -1
    this.userAgentEnd = -1
    this.#upgrade = 0
    this.#expect = false
    this.#requestIds = 0
  }

  parse(buffer: Uint8Array, start: number, end: number): ParseOutcome {
    if (this.state < STATE_FIELDS) {
      const outcome = this.requestLine(buffer, start, end)
      if (outcome !== PARSE_COMPLETE) return outcome
    }
    return this.fields(buffer, start, end)
  }

  /**
   * Takes a whole head in [start, end) whose field lines are well formed, and lie where `lines` says, from `from` on. It says
   * what `parse` would have said of the same bytes, which returns at once from then on.
   */
  adopt(buffer: Uint8Array, start: number, end: number, lines: Int32Array, from: number, count: number): ParseOutcome {
    const outcome = this.requestLine(buffer, start, end)
    return outcome === PARSE_COMPLETE ? this.knownFields(buffer, start, end, lines, from, count) : outcome
  }

  protected override field(buffer: Uint8Array, start: number, entry: number, id: number): void {
    const from = start + this.headers[entry + VALUE_START]!
    const to = start + this.headers[entry + VALUE_END]!
    switch (id) {
      case HEADER_HOST:
        this.#takeHost(buffer, start, from, to)
        return
      case HEADER_CONNECTION:
        this.takeConnection(buffer, from, to)
        return
      case HEADER_USER_AGENT:
        if (this.userAgentStart === -1) {
          this.userAgentStart = from - start
          this.userAgentEnd = to - start
        }
        return
      case HEADER_CONTENT_LENGTH:
        if (this.chunked) this.malformed('Content-Length beside Transfer-Encoding')
        else this.takeContentLength(buffer, from, to)
        return
      case HEADER_TRANSFER_ENCODING:
        if (this.contentLength !== -1) this.malformed('Transfer-Encoding beside Content-Length')
        else if (this.versionMinor === 0) this.malformed('Transfer-Encoding in HTTP/1.0')
        else if (!this.takeTransferEncoding(buffer, from, to)) {
          this.refuse(501, 'TRANSFER_CODING_UNKNOWN', 'unknown transfer coding')
        }
        return
      case HEADER_EXPECT:
        if (!this.#expect && equalsIgnoringCase(buffer, from, to, CONTINUE)) this.#expect = true
        else this.refuse(417, 'BAD_REQUEST', 'unknown expectation')
        return
      case HEADER_UPGRADE:
        this.upgradeStart = this.#upgrade === 0 ? from - start : -1
        this.upgradeEnd = to - start
        this.#upgrade =
          this.#upgrade === 0 && equalsIgnoringCase(buffer, from, to, WEBSOCKET) ? UPGRADE_WEBSOCKET : UPGRADE_OTHER
        return
      case HEADER_AUTHORIZATION:
        if (namesConnectionScheme(buffer, from, to)) this.connectionAuth = true
        return
      case HEADER_TE:
        if (listHas(buffer, from, to, TRAILERS)) this.wantsTrailers = true
        return
      case HEADER_X_CASTOR_EXPLAIN:
        this.explain = to - from === 1 && buffer[from] === ONE
        return
      case HEADER_X_REQUEST_ID:
        this.#takeRequestId(buffer, start, from, to)
        return
    }
  }

  #takeHost(buffer: Uint8Array, start: number, from: number, to: number): void {
    if (this.hostStart !== -1) {
      this.malformed('repeated Host')
      return
    }
    const nameEnd = to === from && this.targetForm === FORM_ASTERISK ? to : hostEnd(buffer, from, to)
    if (nameEnd === -1) {
      this.malformed(to === from ? 'empty Host' : 'invalid Host')
      return
    }
    this.hostStart = from - start
    this.hostEnd = to - start
    this.hostNameEnd = nameEnd - start
  }

  /** Keeps one id of 1–128 harmless characters; of several, none. */
  #takeRequestId(buffer: Uint8Array, start: number, from: number, to: number): void {
    this.requestIdStart = -1
    this.requestIdEnd = -1
    if (++this.#requestIds > 1 || to === from || to - from > MAX_REQUEST_ID_BYTES) return
    for (let at = from; at < to; at++) {
      if ((CLASS[buffer[at]!]! & IN_REQUEST_ID) === 0) return
    }
    this.requestIdStart = from - start
    this.requestIdEnd = to - start
  }

  #isDialogue(buffer: Uint8Array, start: number): boolean {
    const entry = this.find(HEADER_CONTENT_TYPE)
    if (entry < 0) return false
    return isDialogueType(buffer, start + this.headers[entry + VALUE_START]!, start + this.headers[entry + VALUE_END]!)
  }

  protected override finish(buffer: Uint8Array, start: number): void {
    if (this.hostStart === -1 && this.versionMinor === 1) {
      this.malformed('no Host')
      return
    }
    if (this.targetForm === FORM_ABSOLUTE) {
      this.hostStart = this.authorityStart
      this.hostEnd = this.authorityEnd
      this.hostNameEnd = this.authorityHostEnd
    }
    this.hasBody = this.chunked || this.contentLength > 0
    if (this.hasBody) this.dialogue = this.#isDialogue(buffer, start)
    this.keepAlive =
      (this.connection & CONNECTION_CLOSE) === 0 &&
      (this.versionMinor === 1 || (this.connection & CONNECTION_KEEP_ALIVE) !== 0)
    this.expectContinue = this.#expect && this.hasBody && this.versionMinor === 1
    this.upgradeWebSocket =
      this.#upgrade === UPGRADE_WEBSOCKET &&
      (this.connection & CONNECTION_UPGRADE) !== 0 &&
      this.method === METHOD_GET &&
      this.versionMinor === 1 &&
      !this.hasBody
    if (
      this.#upgrade === UPGRADE_WEBSOCKET ||
      (this.connection & CONNECTION_UPGRADE) === 0 ||
      this.versionMinor === 0
    ) {
      this.upgradeStart = -1
    }
  }
}
