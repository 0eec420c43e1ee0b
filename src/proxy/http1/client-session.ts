// Hot path: every request passes here. No closures or promises; bytes are kept only when a head came in pieces.
import type { Conn, ConnHandler } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import { REASON, type ReasonCode } from '../../core/reasons.js'
import { PARSE_COMPLETE, PARSE_INCOMPLETE, type RequestParser } from '../../http/request-parser.js'
import type { RequestHeadOptions } from '../../http/request-writer.js'
import type { Timed } from '../../net/timer-wheel.js'
import { type ClientOrigin, type ForwardedLines, formatHost, forwardedLines } from '../client-origin.js'
import type { Listener } from '../listener.js'
import type { Session } from '../plane.js'
import type { Exchange } from './exchange.js'
import type { ExchangePool } from './exchange-pool.js'
import type { Http1Plane } from './http1-plane.js'
import { KeptBytes } from './kept-bytes.js'
import { answersItself, writeRedirect, writeRefusal } from './own-answer.js'
import type { RequestFacts } from './request-facts.js'
import type { Requester } from './requester.js'
import {
  BODY_READ_BYTES,
  CONTINUE,
  ENDED,
  EXCHANGING,
  FLUSHING,
  goneReason,
  HEAD_READ_BYTES,
  LINGER_BYTES,
  LINGER_MS,
  LINGERING,
  LOOK_MS,
  READING,
  TUNNELLING,
} from './session-state.js'

/** One client connection of an http listener: reads requests one after the other and hands each to an exchange. */
export class ClientSession implements ConnHandler, Timed, Session, Requester {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly plane: Http1Plane
  readonly listener: Listener
  readonly conn: Conn
  readonly origin: ClientOrigin
  /** The peer is one of `trustForwardedFrom`. */
  readonly trusted: boolean
  readonly protocol: string = ''
  unhurried = false
  readonly #exchanges: ExchangePool
  #forwarded: ForwardedLines | undefined
  #state: number = READING
  #exchange: Exchange | undefined
  #parser: RequestParser | undefined
  /** Bytes not dealt with yet: an unfinished head, a pipelined request, a body that its target is not ready for. */
  readonly #kept = new KeptBytes()
  /** Loop time of the first byte of an unfinished head; −1 between requests. */
  #headStartedMs = -1
  #lingerUntilMs = 0
  #lingerBytes = 0
  inputEnded = false
  #receivedCounted: number
  #sentCounted = 0
  /** A loop over kept requests is under way further up the stack. */
  #reading = false

  constructor(plane: Http1Plane, exchanges: ExchangePool, listener: Listener, conn: Conn, origin: ClientOrigin) {
    this.plane = plane
    this.#exchanges = exchanges
    this.listener = listener
    this.conn = conn
    this.origin = origin
    this.trusted = listener.trusted.has(conn.peer)
    // What came before was a handshake.
    this.#receivedCounted = origin.tls === undefined ? 0 : conn.bytesRead
  }

  get forwarded(): ForwardedLines {
    return (this.#forwarded ??= forwardedLines(
      this.origin,
      this.listener.group.config.forwarded,
      this.listener.asksForCertificates,
    ))
  }

  headOptions(facts: RequestFacts): RequestHeadOptions {
    const { forwarded } = this
    const { config } = this.listener.group
    const options = this.plane.headOptions
    options.clientAddress = forwarded.clientAddress
    options.fixedLines = forwarded.fixedLines
    options.forwardedPrefix = forwarded.forwardedPrefix
    options.appendForwarded = this.trusted
    options.forwardHost = config.forwarded.host
    options.via = config.forwarded.via
    options.requestId = facts.requestIdBytes
    // An HTTP/1.0 client may leave Host out; what it dialled is what it must mean.
    if (!facts.hasHost) options.defaultHost = Buffer.from(formatHost(this.origin), 'latin1')
    return options
  }

  /** `early` is what came behind a PROXY header in the same read; borrowed. */
  start(early: Uint8Array | undefined): void {
    this.#state = READING
    this.inputEnded = false
    this.plane.sessions.add(this)
    this.conn.handler = this
    this.conn.readSize = HEAD_READ_BYTES
    this.plane.wheel.schedule(this, Math.min(this.listener.config.idleTimeoutMs, LOOK_MS))
    if (early !== undefined && early.length > 0) this.#read(early, 0, early.length)
  }

  drain(): void {
    if (this.#state === READING && this.#headStartedMs < 0) this.conn.close()
  }

  leave(targetSlot: number): void {
    this.#exchange?.leave(targetSlot)
  }

  cut(): void {
    if (this.#state === EXCHANGING) this.#exchange!.shutDown()
    else this.conn.abort()
  }

  lookWithin(delayMs: number): void {
    if (delayMs < LOOK_MS && this.plane.clock.nowMs + delayMs < this.timerDeadlineMs)
      this.plane.wheel.schedule(this, delayMs)
  }

  onOpen(): void {}

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    switch (this.#state) {
      case READING:
        if (this.#kept.empty) this.#read(buffer, 0, length)
        else {
          this.#kept.append(buffer, 0, length)
          this.#read(this.#kept.buffer, 0, this.#kept.length)
        }
        return
      case EXCHANGING:
        this.#whileExchanging(buffer, 0, length)
        return
      case LINGERING:
        this.#lingerBytes += length
        if (this.#lingerBytes > LINGER_BYTES) this.conn.abort()
        return
    }
  }

  onEnd(): void {
    this.inputEnded = true
    switch (this.#state) {
      case READING:
        this.conn.close()
        return
      case EXCHANGING:
        this.#exchange!.onClientEnd()
        return
      case LINGERING:
        this.conn.close()
        return
    }
  }

  onWritable(): void {
    if (this.#state === FLUSHING) this.#next()
    else this.#exchange?.onClientWritable()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    const exchange = this.#exchange
    const state = this.#state
    this.#state = ENDED
    this.#exchange = undefined
    if (exchange !== undefined) exchange.onClientGone(goneReason(cause))
    if (state === READING && this.#headStartedMs >= 0) this.listener.countReason(REASON.CLIENT_CLOSED)
    this.#end()
  }

  onTimeout(nowMs: number): number {
    this.countBytes()
    let restMs = LOOK_MS
    switch (this.#state) {
      case READING:
        restMs = this.#checkReading(nowMs)
        break
      case EXCHANGING:
        restMs = this.#exchange!.checkTime(nowMs)
        break
      case FLUSHING:
        restMs = this.conn.lastActiveMs + this.listener.config.idleTimeoutMs - nowMs
        if (restMs <= 0) this.conn.abort()
        break
      case LINGERING:
        restMs = this.#lingerUntilMs - nowMs
        if (restMs <= 0) this.conn.abort()
        break
    }
    if (this.#state === ENDED || this.#state === TUNNELLING) return 0
    return Math.min(Math.max(restMs, 1), LOOK_MS)
  }

  countBytes(): void {
    this.listener.countBytes(this.conn.bytesRead - this.#receivedCounted, this.conn.bytesWritten - this.#sentCounted)
    this.#receivedCounted = this.conn.bytesRead
    this.#sentCounted = this.conn.bytesWritten
  }

  onExchangeDone(keep: boolean, requestComplete: boolean, blocked: boolean): void {
    this.#exchange = undefined
    if (this.#state === ENDED) return
    this.countBytes()
    if (!keep) {
      // A client that pipelined more than it will get would lose the answer to a reset.
      if ((requestComplete && this.#kept.empty) || this.inputEnded) this.closeAfterAnswer()
      else this.linger()
      return
    }
    if (blocked) {
      this.#state = FLUSHING
      this.conn.pause()
      return
    }
    this.#next()
  }

  cutShort(reset: boolean): void {
    this.#exchange = undefined
    if (this.#state === ENDED) return
    this.#kept.clear()
    if (reset) this.conn.abort()
    else this.closeAfterAnswer()
  }

  /**
   * The client has half-closed while its answer is awaited. Nobody can tell one that only stopped sending from one that
   * is gone. An interim response, which every client must be able to skip (RFC 9110 15.2), can: the system of one that
   * is gone answers it with a reset.
   */
  probe(): void {
    this.conn.write(CONTINUE, 0, CONTINUE.length)
  }

  feedBody(): void {
    if (!this.#kept.empty) {
      const { buffer, length } = this.#kept
      this.#kept.clear()
      this.#whileExchanging(buffer, 0, length)
    }
    if (this.#kept.empty && this.#state === EXCHANGING) this.conn.resume()
  }

  /** The answer is out and the connection is to end, but the client may not have sent all it wanted to. */
  linger(): void {
    this.#kept.clear()
    this.#state = LINGERING
    this.#lingerUntilMs = this.plane.clock.nowMs + LINGER_MS
    this.lookWithin(LINGER_MS)
    this.conn.end()
    if (this.inputEnded) this.conn.close()
    else this.conn.resume()
  }

  becomeTunnel(): Uint8Array | undefined {
    const ahead = this.#kept.empty ? undefined : this.#kept.buffer.subarray(0, this.#kept.length)
    this.#kept.clear()
    this.#state = TUNNELLING
    this.#exchange = undefined
    this.plane.wheel.cancel(this)
    this.plane.sessions.delete(this)
    this.conn.readSize = BODY_READ_BYTES
    return ahead
  }

  onTunnelClosed(): void {
    this.#state = ENDED
    this.#end()
  }

  #checkReading(nowMs: number): number {
    if (this.#headStartedMs >= 0) {
      const restMs = this.#headStartedMs + this.plane.protection.headerTimeoutMs - nowMs
      if (restMs <= 0) this.refuse(408, 'HEADER_TIMEOUT', undefined)
      return restMs
    }
    const restMs = this.conn.lastActiveMs + this.listener.config.idleTimeoutMs - nowMs
    if (restMs <= 0) this.conn.close()
    return restMs
  }

  /** Reads requests from [start, end), which begins where a request does. */
  #read(buffer: Uint8Array, start: number, end: number): void {
    this.#reading = true
    let at = start
    while (at < end && this.#state === READING) {
      const parser = (this.#parser ??= this.plane.takeParser())
      const outcome = parser.parse(buffer, at, end)
      if (outcome === PARSE_COMPLETE) {
        this.#headStartedMs = -1
        this.#parser = undefined
        this.#kept.clear()
        at = this.#begin(parser, buffer, at, end)
      } else if (outcome === PARSE_INCOMPLETE) {
        this.#awaitRest(buffer, at, end)
        at = end
      } else {
        this.#parser = undefined
        this.refuse(parser.errorStatus, parser.errorReason, parser)
        this.plane.giveParser(parser)
        at = end
      }
    }
    this.#reading = false
    // More is here than can be dealt with now.
    if (at < end && (this.#state === EXCHANGING || this.#state === FLUSHING)) this.#keepPaused(buffer, at, end)
  }

  #begin(parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    if (answersItself(this.listener)) return this.#redirect(parser, buffer, start)
    const exchange = this.#exchanges.take()
    this.#exchange = exchange
    this.#state = EXCHANGING
    if (parser.hasBody) this.conn.readSize = BODY_READ_BYTES
    const next = exchange.begin(this, parser, buffer, start, end)
    this.plane.giveParser(parser)
    return next
  }

  /** No target is asked: the client is sent to https. */
  #redirect(parser: RequestParser, buffer: Uint8Array, start: number): number {
    const next = start + parser.headLength
    const keep = parser.keepAlive && !parser.hasBody && !this.plane.draining
    const blocked = !writeRedirect(this.plane, this, parser, buffer, start, !keep)
    this.plane.giveParser(parser)
    this.onExchangeDone(keep, !parser.hasBody, blocked)
    return next
  }

  #whileExchanging(buffer: Uint8Array, start: number, end: number): void {
    const next = this.#exchange!.onRequestBytes(buffer, start, end)
    if (next < end && this.#state === EXCHANGING) this.#keepPaused(buffer, next, end)
  }

  #keepPaused(buffer: Uint8Array, start: number, end: number): void {
    this.conn.pause()
    this.#kept.append(buffer, start, end)
  }

  #awaitRest(buffer: Uint8Array, start: number, end: number): void {
    if (this.#headStartedMs < 0) {
      this.#headStartedMs = this.plane.clock.nowMs
      this.lookWithin(this.plane.protection.headerTimeoutMs)
    }
    // What was kept from before is what is being read: it lies there already.
    if (this.#kept.empty || start > 0) this.#kept.replace(buffer, start, end)
  }

  /** Answers a request that never became an exchange, and closes. `parser` has the request as far as it was understood. */
  protected refuse(status: number, reason: ReasonCode, parser: RequestParser | undefined): void {
    this.#state = LINGERING
    writeRefusal(this.plane, this, status, reason, parser, this.#headStartedMs)
    this.#headStartedMs = -1
    this.linger()
  }

  #next(): void {
    this.#state = READING
    this.conn.readSize = HEAD_READ_BYTES
    // Called from within the loop over what was read: that loop goes on by itself.
    if (this.#reading) return
    if (!this.#kept.empty) this.#read(this.#kept.buffer, 0, this.#kept.length)
    if (this.#state === READING) {
      if (this.inputEnded || (this.plane.draining && this.#headStartedMs < 0)) this.conn.close()
      else this.conn.resume()
    } else if (this.#state === EXCHANGING && this.#kept.empty) {
      // Paused for what was kept: the rest of this request's body, or the client's going, would never be seen.
      this.conn.resume()
    }
  }

  protected closeAfterAnswer(): void {
    this.#state = LINGERING
    this.#lingerUntilMs = this.plane.clock.nowMs + this.listener.config.idleTimeoutMs
    this.conn.close()
  }

  #end(): void {
    this.plane.wheel.cancel(this)
    this.plane.sessions.delete(this)
    if (this.#parser !== undefined) this.plane.giveParser(this.#parser)
    this.#parser = undefined
    this.#kept.clear()
    this.onEnded()
  }

  protected onEnded(): void {
    this.countBytes()
    this.listener.connectionClosed()
  }
}
