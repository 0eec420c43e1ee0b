// Hot path: every request passes here. No closures or promises; bytes are kept only when a head came in pieces.
import { clientLossOf } from '../../core/blame.js'
import type { Conn, ConnHandler } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import { REASON, type ReasonCode } from '../../core/reasons.js'
import { PARSE_COMPLETE, PARSE_INCOMPLETE, type RequestParser } from '../../http/request-parser.js'
import type { ClientAddress } from '../client-address.js'
import type { Listener } from '../listener.js'
import { ClientLink } from './client-link.js'
import type { ExchangePool } from './exchange-pool.js'
import type { Http1Context } from './h1-context.js'
import { answersItself, writeRedirect } from './own-answer.js'
import type { Requester } from './requester.js'
import {
  BODY_READ_BYTES,
  CUT_MS,
  CUTTING,
  ENDED,
  EXCHANGING,
  FLUSHING,
  HEAD_READ_BYTES,
  LINGER_BYTES,
  LINGERING,
  POLL_MS,
  READING,
  TUNNELLING,
} from './session-state.js'

/** One client connection of an http listener: reads requests one after the other and hands each to an exchange. */
export class ClientSession extends ClientLink implements ConnHandler, Requester {
  readonly protocol: string = ''
  readonly #exchanges: ExchangePool
  #lingerBytes = 0
  /** A loop over kept requests is under way further up the stack. */
  #reading = false

  constructor(
    context: Http1Context,
    exchanges: ExchangePool,
    listener: Listener,
    conn: Conn,
    clientAddress: ClientAddress,
  ) {
    super(context, listener, conn, clientAddress)
    this.#exchanges = exchanges
  }

  /** `early` is what came behind a PROXY header in the same read; borrowed. */
  start(early: Uint8Array | undefined): void {
    this.state = READING
    this.inputEnded = false
    this.context.sessions.add(this)
    this.conn.handler = this
    this.conn.readSize = HEAD_READ_BYTES
    this.context.wheel.schedule(this, Math.min(this.route.settings.config.idleTimeoutMs, POLL_MS))
    if (early !== undefined && early.length > 0) this.#read(early, 0, early.length)
  }

  drain(): void {
    if (this.state === READING && this.headStartedMs < 0) this.conn.close()
    else this.hurry()
  }

  onTargetRemoved(targetSlot: number): void {
    this.exchange?.onTargetRemoved(targetSlot)
    this.pinned?.onTargetRemoved(targetSlot)
  }

  cut(): void {
    if (this.state === EXCHANGING) this.exchange!.shutDown()
    else this.#giveUp('SHUTTING_DOWN')
  }

  /** Whatever the client has not taken by now it does not get. */
  #giveUp(reason: ReasonCode): void {
    this.#settle(reason)
    this.conn.abort()
  }

  /** The answer that was waited for has been taken, or for `reason` will not be. */
  #settle(reason: ReasonCode): void {
    const { exchange } = this
    this.exchange = undefined
    exchange?.settle(reason)
  }

  onOpen(): void {}

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    switch (this.state) {
      case READING:
        if (this.kept.empty) this.#read(buffer, 0, length)
        else {
          this.kept.append(buffer, 0, length)
          this.#read(this.kept.buffer, 0, this.kept.length)
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

  protected readHead(buffer: Uint8Array, start: number, end: number): void {
    this.#read(buffer, start, end)
  }

  onEnd(): void {
    this.inputEnded = true
    switch (this.state) {
      case READING:
        this.conn.close()
        return
      case EXCHANGING:
        this.exchange!.onClientEnd()
        return
      case LINGERING:
        this.conn.close()
        return
    }
  }

  onWritable(): void {
    if (this.state === FLUSHING) {
      this.#settle('NONE')
      this.#next()
    } else if (this.state === CUTTING) this.resetWithin(CUT_MS)
    else this.exchange?.onClientWritable()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    const exchange = this.exchange
    const state = this.state
    this.state = ENDED
    this.exchange = undefined
    if (exchange !== undefined) exchange.onClientGone(clientLossOf(cause))
    if (state === READING && this.headStartedMs >= 0) this.listener.countReason(REASON.CLIENT_CLOSED)
    this.finish()
  }

  onTimeout(nowMs: number): number {
    this.countBytes()
    let restMs = POLL_MS
    switch (this.state) {
      case READING:
        restMs = this.#checkReading(nowMs)
        break
      case EXCHANGING:
        restMs = this.exchange!.checkTime(nowMs)
        break
      case FLUSHING:
        restMs = this.conn.lastActiveMs + this.route.settings.config.idleTimeoutMs - nowMs
        if (restMs <= 0) this.#giveUp('IDLE_TIMEOUT')
        break
      case CUTTING:
        restMs = this.lingerUntilMs - nowMs
        if (restMs <= 0) this.conn.abort()
        break
      case LINGERING:
        this.followDelivery(nowMs)
        restMs = this.lingerUntilMs - nowMs
        if (restMs <= 0) this.#giveUp(this.listener.draining ? 'SHUTTING_DOWN' : 'IDLE_TIMEOUT')
        else if (this.exchange?.undeliveredBytes === 0) this.#settle('NONE')
        break
    }
    if (this.state === ENDED || this.state === TUNNELLING) return 0
    return Math.min(Math.max(restMs, 1), POLL_MS)
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
    this.#next()
  }

  feedBody(): void {
    if (!this.kept.empty) {
      const { buffer, length } = this.kept
      this.kept.clear()
      this.#whileExchanging(buffer, 0, length)
    }
    if (this.kept.empty && this.state === EXCHANGING) this.conn.resume()
  }

  #checkReading(nowMs: number): number {
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
  #read(buffer: Uint8Array, start: number, end: number): void {
    this.#reading = true
    let at = start
    while (at < end && this.state === READING) {
      const parser = (this.parser ??= this.context.takeParser(this.addedHeaders))
      const outcome = parser.parse(buffer, at, end)
      if (outcome === PARSE_COMPLETE) {
        this.headStartedMs = -1
        this.parser = undefined
        this.kept.clear()
        at = this.#begin(parser, buffer, at, end)
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

  #begin(parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    this.takeRoute()
    if (this.clients !== undefined) this.clientAddress = this.clients.of(parser, buffer, start)
    if (answersItself(this.route)) return this.#redirect(parser, buffer, start)
    const exchange = this.#exchanges.take()
    this.exchange = exchange
    this.state = EXCHANGING
    if (parser.hasBody) this.conn.readSize = BODY_READ_BYTES
    const next = exchange.begin(this, parser, buffer, start, end)
    this.context.giveParser(parser)
    return next
  }

  /** No target is asked: the client is sent to https. */
  #redirect(parser: RequestParser, buffer: Uint8Array, start: number): number {
    const next = start + parser.headLength
    const keep = parser.keepAlive && !parser.hasBody && !this.listener.draining
    const blocked = !writeRedirect(this.context, this, parser, buffer, start, !keep)
    this.context.giveParser(parser)
    this.onExchangeDone(keep, !parser.hasBody, blocked, false)
    return next
  }

  #whileExchanging(buffer: Uint8Array, start: number, end: number): void {
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

  #next(): void {
    this.state = READING
    this.conn.readSize = HEAD_READ_BYTES
    // Called from within the loop over what was read: that loop goes on by itself.
    if (this.#reading) return
    if (!this.kept.empty) this.#read(this.kept.buffer, 0, this.kept.length)
    if (this.state === READING) {
      if (this.inputEnded || (this.listener.draining && this.headStartedMs < 0)) this.conn.close()
      else this.conn.resume()
    } else if (this.state === EXCHANGING && this.kept.empty) {
      // Paused for what was kept: the rest of this request's body, or the client's going, would never be seen.
      this.conn.resume()
    }
  }
}
