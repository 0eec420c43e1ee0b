// Hot path: one capture per request, into memory that is used again.

import type { ReasonCode } from '../core/reasons.js'
import { METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_TRACE } from '../http/methods.js'
import type { RequestParser } from '../http/request-parser.js'
import type { ClientAddress } from './client-address.js'
import type { Listener } from './listener.js'
import type { Route } from './route.js'
import type { Target } from './target.js'

const REQUEST_ID_MAX = 128
const NOTHING = Buffer.alloc(0)

/** Whom a request is from, and what it goes by. */
export interface RequestOrigin {
  readonly listener: Listener
  readonly route: Route
  readonly clientAddress: ClientAddress
}

/**
 * All that is known of one request, or of one connection of a tcp listener. The phases fill it in on the way; counters,
 * outlier detection and the access log read it. One object serves many requests, one after the other. Times are loop times
 * (`Clock.nowMs`), durations are milliseconds; −1 for none.
 */
export class RequestInfo {
  // Accept to route: whom it is from, and what it goes by until it ends.
  listener!: Listener
  route!: Route
  clientAddress!: ClientAddress
  /** As the access log names it; empty where it was never said. */
  protocol = ''
  /** When its first byte was there, and the same as epoch time. */
  startedMs = 0
  startedWallMs = 0
  requestIdLength = 0

  // Head: what outlives it once it was sent on.
  method: number = METHOD_GET
  versionMinor: 0 | 1 = 1
  keepAlive = false
  /** What its target may switch to; empty where nothing. */
  upgrade = ''
  hasHost = true
  expectContinue = false
  /** Bytes of the head as received. */
  headBytes = 0
  /** The head as received from its method on, with places in it, −1 for what it lacks; only where `hasHead`. */
  head: Buffer = NOTHING
  hasHead = false
  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  hostStart = -1
  hostEnd = -1
  userAgentStart = -1
  userAgentEnd = -1

  // Pick, connect, send.
  /** The target that it is with, or was with last. */
  target: Target | undefined
  /** How long the last dial took; −1 where none was needed. */
  connectMs = -1
  /** When the target had, or should have had, the whole request. */
  requestDoneMs = 0
  /** Bytes of the body that were sent on; for a tcp listener all bytes from the client. */
  receivedBytes = 0

  // Receive, relay: what came of it.
  /** What the client was answered; 0 until then, and for a tcp listener. */
  status = 0
  /** What the target answered in its final head; 0 until then. */
  targetStatus = 0
  /** From the whole request to the head of the answer. */
  responseMs = -1
  /** Bytes that the client was sent: heads, and bodies without their framing. */
  sentBytes = 0

  // Log.
  endedMs = 0
  reason: ReasonCode = 'NONE'

  #idBytes: Uint8Array = NOTHING
  /** The first `requestIdLength` of `#idBytes`; made anew only where the length changes. */
  #id: Uint8Array = NOTHING

  /** A request begins, or one that never came about is to be logged. */
  begin({ listener, route, clientAddress }: RequestOrigin, startedMs: number, nowMs: number, wallMs: number): void {
    this.listener = listener
    this.route = route
    this.clientAddress = clientAddress
    this.protocol = ''
    this.startedMs = startedMs
    this.startedWallMs = wallMs - (nowMs - startedMs)
    this.headBytes = 0
    this.hasHead = false
    this.target = undefined
    this.connectMs = -1
    this.requestDoneMs = nowMs
    this.receivedBytes = 0
    this.status = 0
    this.targetStatus = 0
    this.responseMs = -1
    this.sentBytes = 0
    this.reason = 'NONE'
  }

  /** The head is there. `made` is the id for a request that came with none worth keeping. */
  capture(
    parser: RequestParser,
    buffer: Uint8Array,
    start: number,
    protocol: string,
    made: Uint8Array,
    forLog: boolean,
  ): void {
    this.method = parser.method
    this.headBytes = parser.headLength
    this.versionMinor = parser.versionMinor
    this.protocol = protocol !== '' ? protocol : parser.versionMinor === 1 ? 'HTTP/1.1' : 'HTTP/1.0'
    this.keepAlive = parser.keepAlive
    this.hasHost = parser.hostStart >= 0
    this.expectContinue = parser.expectContinue
    const { requestIdStart } = parser
    if (requestIdStart < 0) this.identify(made, 0, made.length)
    else this.identify(buffer, start + requestIdStart, start + parser.requestIdEnd)
    this.hasHead = forLog
    if (forLog) this.#keepHead(parser, buffer, start)
  }

  /** [start, end) of `buffer` is its id. */
  identify(buffer: Uint8Array, start: number, end: number): void {
    const length = Math.min(end - start, REQUEST_ID_MAX)
    if (length > this.#idBytes.length) {
      this.#idBytes = new Uint8Array(length)
      this.#id = this.#idBytes
    }
    for (let i = 0; i < length; i++) this.#idBytes[i] = buffer[start + i]!
    this.requestIdLength = length
  }

  /** Borrowed: overwritten by the next request. */
  get requestIdBytes(): Uint8Array {
    return this.requestIdLength === this.#id.length
      ? this.#id
      : (this.#id = this.#idBytes.subarray(0, this.requestIdLength))
  }

  get isHead(): boolean {
    return this.method === METHOD_HEAD
  }

  /** The answer is on its way to the client. */
  get isAnswered(): boolean {
    return this.targetStatus !== 0
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

  #keepHead(parser: RequestParser, buffer: Uint8Array, start: number): void {
    const length = parser.headLength
    if (length > this.head.length) this.head = Buffer.allocUnsafeSlow(length * 2)
    this.head.set(buffer.subarray(start, start + length))
    // Offsets count from the head's first byte; an empty line before it shifts the method.
    const shift = parser.methodStart
    if (shift > 0) this.head.copyWithin(0, shift, length)
    this.methodEnd = parser.methodEnd - shift
    this.targetStart = parser.targetStart - shift
    this.targetEnd = parser.targetEnd - shift
    this.hostStart = parser.hostStart < 0 ? -1 : parser.hostStart - shift
    this.hostEnd = parser.hostEnd - shift
    this.userAgentStart = parser.userAgentStart < 0 ? -1 : parser.userAgentStart - shift
    this.userAgentEnd = parser.userAgentEnd - shift
  }
}
