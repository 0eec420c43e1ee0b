// Hot path: one capture a request, into memory that is used again.
import {
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_NAMES,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PUT,
  METHOD_TRACE,
} from '../../http/methods.js'
import type { RequestParser } from '../../http/request-parser.js'
import type { AccessEntry } from '../../observe/access-log.js'

const FIRST_BYTES = 1024
const REQUEST_ID_MAX = 128

/** What outlives a request's head once it was sent on: all that the answer, a retry and the access log need to know. */
export class RequestInfo {
  method: number = METHOD_GET
  versionMinor: 0 | 1 = 1
  keepAlive = false
  /** What its target may switch to; empty where nothing. */
  upgrade = ''
  hasHost = true
  expectContinue = false
  readonly requestId = Buffer.alloc(REQUEST_ID_MAX)
  requestIdLength = 0
  /** Bytes of the head as received. */
  headBytes = 0
  /** `requestId` cut to its length; made again only when the length changes. */
  #id: Uint8Array = this.requestId.subarray(0, 0)
  /** The head as received, where the access log wants it. */
  #head: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #captured = false
  #methodEnd = 0
  #targetStart = 0
  #targetEnd = 0
  #hostStart = -1
  #hostEnd = -1
  #userAgentStart = -1
  #userAgentEnd = -1

  /** `made` is the id for a request that came with none worth keeping. */
  capture(parser: RequestParser, buffer: Uint8Array, start: number, made: Uint8Array, forLog: boolean): void {
    this.method = parser.method
    this.headBytes = parser.headLength
    this.versionMinor = parser.versionMinor
    this.keepAlive = parser.keepAlive
    this.hasHost = parser.hostStart >= 0
    this.expectContinue = parser.expectContinue
    if (parser.requestIdStart >= 0) {
      this.requestIdLength = Math.min(parser.requestIdEnd - parser.requestIdStart, REQUEST_ID_MAX)
      for (let i = 0; i < this.requestIdLength; i++) this.requestId[i] = buffer[start + parser.requestIdStart + i]!
    } else {
      this.requestIdLength = made.length
      for (let i = 0; i < made.length; i++) this.requestId[i] = made[i]!
    }
    this.#captured = forLog
    if (forLog) this.#captureForLog(parser, buffer, start)
  }

  /** Borrowed: overwritten by the next request. */
  get requestIdBytes(): Uint8Array {
    return this.requestIdLength === this.#id.length
      ? this.#id
      : (this.#id = this.requestId.subarray(0, this.requestIdLength))
  }

  get isHead(): boolean {
    return this.method === METHOD_HEAD
  }

  /** RFC 9110 9.2.2. */
  get idempotent(): boolean {
    switch (this.method) {
      case METHOD_GET:
      case METHOD_HEAD:
      case METHOD_PUT:
      case METHOD_DELETE:
      case METHOD_OPTIONS:
      case METHOD_TRACE:
        return true
      default:
        return false
    }
  }

  /** Call after `entry.reset()`. The entry borrows from here until it is recorded. */
  describe(entry: AccessEntry): void {
    entry.requestId = this.requestIdBytes
    entry.protocol = this.versionMinor === 1 ? 'HTTP/1.1' : 'HTTP/1.0'
    if (!this.#captured) return
    entry.method =
      this.method === METHOD_OTHER
        ? this.#head.toString('latin1', 0, this.#methodEnd)
        : (METHOD_NAMES[this.method] ?? '')
    entry.uri = this.#head
    entry.uriStart = this.#targetStart
    entry.uriEnd = this.#targetEnd
    if (this.#hostStart >= 0) {
      entry.host = this.#head
      entry.hostStart = this.#hostStart
      entry.hostEnd = this.#hostEnd
    }
    if (this.#userAgentStart >= 0) {
      entry.userAgent = this.#head
      entry.userAgentStart = this.#userAgentStart
      entry.userAgentEnd = this.#userAgentEnd
    }
  }

  #captureForLog(parser: RequestParser, buffer: Uint8Array, start: number): void {
    const length = parser.headLength
    if (length > this.#head.length) this.#head = Buffer.allocUnsafeSlow(length * 2)
    this.#head.set(buffer.subarray(start, start + length))
    // Offsets count from the head's first byte; an empty line before it shifts the method.
    const shift = parser.methodStart
    if (shift > 0) this.#head.copyWithin(0, shift, length)
    this.#methodEnd = parser.methodEnd - shift
    this.#targetStart = parser.targetStart - shift
    this.#targetEnd = parser.targetEnd - shift
    this.#hostStart = parser.hostStart < 0 ? -1 : parser.hostStart - shift
    this.#hostEnd = parser.hostEnd - shift
    this.#userAgentStart = parser.userAgentStart < 0 ? -1 : parser.userAgentStart - shift
    this.#userAgentEnd = parser.userAgentEnd - shift
  }
}
