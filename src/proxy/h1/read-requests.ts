// Hot path: every head is read here. Bytes are kept only when a head came in pieces.
import type { Conn } from '../../core/conn.js'
import { PARSE_COMPLETE, PARSE_INCOMPLETE, type RequestParser } from '../../http/request-parser.js'
import type { ClientAddress } from '../client-address.js'
import type { Listener } from '../listener.js'
import type { OwnAnswer } from '../own-answer.js'
import type { AnswerDelivery } from './answer-delivery.js'
import { ConnectionEnding } from './end-connection.js'
import type { Http1Context } from './h1-context.js'
import { writeOwnAnswer } from './own-answer.js'
import type { RequestServer, RequestSource, ServedRequest } from './served-request.js'
import { BODY_READ_BYTES, ENDED, EXCHANGING, FLUSHING, HEAD_READ_BYTES, READING } from './session-state.js'

/** Reads a client's requests one after the other: heads, however they are cut, and then bodies for whoever serves them. */
export abstract class RequestReading extends ConnectionEnding implements RequestSource {
  readonly #requests: RequestServer
  /** A loop over kept requests is under way further up the stack. */
  #reading = false

  constructor(
    context: Http1Context,
    requests: RequestServer,
    listener: Listener,
    conn: Conn,
    clientAddress: ClientAddress,
  ) {
    super(context, listener, conn, clientAddress)
    this.#requests = requests
  }

  onExchangeDone(keep: boolean, requestComplete: boolean, blocked: boolean, waits: boolean): void {
    if (!waits) this.exchange = undefined
    if (this.state === ENDED) return
    this.countBytes()
    if (!keep) {
      // A client that pipelined more than it will get would lose the answer to a reset.
      if ((requestComplete && this.kept.empty) || this.inputEnded) this.closeAfterAnswer()
      else this.linger()
      return
    }
    if (blocked) {
      this.state = FLUSHING
      this.conn.pause()
      return
    }
    this.next()
  }

  feedBody(): void {
    if (!this.kept.empty) {
      const { buffer, length } = this.kept
      this.kept.clear()
      this.whileExchanging(buffer, 0, length)
    }
    if (this.kept.empty && this.state === EXCHANGING) this.conn.resume()
  }

  protected checkReading(nowMs: number): number {
    if (this.headStartedMs >= 0) {
      const restMs = this.headStartedMs + this.context.protection.headerTimeoutMs - nowMs
      if (restMs <= 0) this.refuse(408, 'HEADER_TIMEOUT', undefined)
      return restMs
    }
    // Idle, it holds on to nothing that is not in force any more.
    this.takeRoute()
    const restMs = this.conn.lastActiveMs + this.route.settings.config.idleTimeoutMs - nowMs
    if (restMs <= 0) this.conn.close()
    return restMs
  }

  /** Reads requests from [start, end), which begins where a request does. */
  protected read(buffer: Uint8Array, start: number, end: number): void {
    this.#reading = true
    let at = start
    while (at < end && this.state === READING) {
      const parser = (this.parser ??= this.context.takeParser(this.addedHeaders))
      const outcome = parser.parse(buffer, at, end)
      if (outcome === PARSE_COMPLETE) {
        this.headStartedMs = -1
        this.parser = undefined
        this.kept.clear()
        at = this.#requests.onHead(this, parser, buffer, at, end)
        this.context.giveParser(parser)
      } else if (outcome === PARSE_INCOMPLETE) {
        this.#awaitRest(buffer, at, end)
        at = end
      } else {
        this.parser = undefined
        this.refuse(parser.errorStatus, parser.errorReason, parser)
        this.context.giveParser(parser)
        at = end
      }
    }
    this.#reading = false
    // More is here than can be dealt with now.
    if (at < end && (this.state === EXCHANGING || this.state === FLUSHING)) this.#keepPaused(buffer, at, end)
  }

  onBegun(request: ServedRequest, hasBody: boolean): void {
    this.exchange = request
    this.state = EXCHANGING
    if (hasBody) this.conn.readSize = BODY_READ_BYTES
  }

  answer(
    parser: RequestParser,
    buffer: Uint8Array,
    start: number,
    own: OwnAnswer,
    delivery: AnswerDelivery = this.context.takeDelivery(),
  ): number {
    const next = start + parser.headLength
    const keep = parser.keepAlive && !parser.hasBody && !this.listener.draining
    const given = writeOwnAnswer(this.context, this, parser, buffer, start, !keep, own, delivery)
    if (given?.isSending) {
      given.follow(this, keep, !parser.hasBody)
      this.onBegun(given, parser.hasBody)
      return next
    }
    this.exchange = given
    const waits = given !== undefined
    this.onExchangeDone(keep, !parser.hasBody, waits, waits)
    return next
  }

  endServed(): void {
    this.exchange?.onClientEnd()
  }

  protected whileExchanging(buffer: Uint8Array, start: number, end: number): void {
    const next = this.exchange!.onRequestBytes(buffer, start, end)
    if (next < end && this.state === EXCHANGING) this.#keepPaused(buffer, next, end)
  }

  #keepPaused(buffer: Uint8Array, start: number, end: number): void {
    this.conn.pause()
    this.kept.append(buffer, start, end)
  }

  #awaitRest(buffer: Uint8Array, start: number, end: number): void {
    if (this.headStartedMs < 0) {
      this.headStartedMs = this.context.clock.nowMs
      this.checkWithin(this.context.protection.headerTimeoutMs)
    }
    // What was kept from before is what is being read: it lies there already.
    if (this.kept.empty || start > 0) this.kept.replace(buffer, start, end)
  }

  protected next(): void {
    this.state = READING
    this.conn.readSize = HEAD_READ_BYTES
    // Called from within the loop over what was read: that loop goes on by itself.
    if (this.#reading) return
    if (!this.kept.empty) this.read(this.kept.buffer, 0, this.kept.length)
    if (this.state === READING) {
      if (this.inputEnded || (this.listener.draining && this.headStartedMs < 0)) this.conn.close()
      else this.conn.resume()
    } else if (this.state === EXCHANGING && this.kept.empty) {
      // Paused for what was kept: the rest of this request's body, or the client's going, would never be seen.
      this.conn.resume()
    }
  }
}
