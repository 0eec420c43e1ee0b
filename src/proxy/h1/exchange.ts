// Hot path: every request passes here. No closures or promises.
import { targetLossOf } from '../../core/blame.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { RequestParser } from '../../http/request-parser.js'
import { writeRequestHead } from '../../http/request-writer.js'
import { FRAMING_NONE } from '../../http/response-parser.js'
import { RefusedRequest } from '../refused-request.js'
import { requestFraming } from './body-relay.js'
import { AWAITING, CONNECTING, DELIVERING, FINISHING, OVER, STREAMING } from './exchange-phase.js'
import { ExchangeResponse } from './exchange-response.js'
import { attemptStatus } from './failure-reply.js'
import type { Requester } from './requester.js'
import {
  UPSTREAM_DIALLING,
  UPSTREAM_NONE,
  UPSTREAM_READY,
  UPSTREAM_WAITING,
  type UpstreamState,
} from './upstream-state.js'

/** A target that has answered and takes nothing of the request for so long is done with it. */
const STUCK_MS = 2_000
/** Bodies of a known length up to this are kept while they could still be sent again. */
const HELD_BYTES = 8 * 1024
/** A client that has ended is taken for one that has left when its answer stands still for so long. */
const LEFT_MS = 1_000

/**
 * One request and its response: pick and connect, send, receive, relay, log. The first two are here, `ExchangeResponse`
 * has receive and relay, `ExchangeOutcome` the ways to end. Its client belongs to the session.
 */
export class Exchange extends ExchangeResponse {
  #clientEndedMs = 0
  /** What was sent of the body, if anything, is kept behind the head. */
  #holds = false

  /** Takes the request on. Returns the first byte after what it has consumed: the head and, where it could, body. */
  begin(session: Requester, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    const context = this.context
    this.#reset(session)
    this.pace.reset(parser.dialogue)
    const { hash, group, settings } = session.route
    group.stickiness?.bindRequest(this.affinity, parser, buffer, start, session.clientAddress)
    this.info.capture(
      parser,
      buffer,
      start,
      session.protocol,
      context.requestIds.next(),
      context.accessLog !== undefined,
    )
    this.info.upgrade = settings.upgrades.offered(parser, buffer, start)
    group.retryBudget.countRequest()
    this.requestBody.begin(requestFraming(parser), parser.contentLength, parser.chunked)
    const once = !this.requestBody.none || !this.info.idempotent
    this.upstream.begin(session, hash.of(parser, buffer, start), this.affinity, parser.connectionAuth, once)
    this.#holds = parser.contentLength > 0 && parser.contentLength <= HELD_BYTES
    const { scratch } = context.transport
    const headEnd = writeRequestHead(scratch, 0, parser, buffer, start, session.headOptions(this.info))
    const next = start + parser.headLength
    // A huge head with a huge Host, which is written three times, may be more than fits.
    if (headEnd < 0) {
      this.fail(431, 'HEADER_TOO_LARGE')
      return next
    }
    this.upstream.head.keep(headEnd)
    const state = this.upstream.connect()
    this.#proceed(state)
    return state === UPSTREAM_READY ? this.#send(scratch, headEnd, buffer, next, end) : next
  }

  /** Body bytes from the client. Returns the first one not consumed. */
  onRequestBytes(buffer: Uint8Array, start: number, end: number): number {
    if (this.phase === CONNECTING || this.requestBody.done) return start
    return this.#send(this.context.transport.scratch, 0, buffer, start, end)
  }

  onClientWritable(): void {
    this.responseBody.blocked = false
    this.upstream.conn?.resume()
  }

  /** The client half-closed. */
  onClientEnd(): void {
    if (this.phase === FINISHING) {
      this.conclude(true)
      return
    }
    if (!this.requestBody.done) {
      const session = this.session
      this.release('CLIENT_CLOSED')
      session.cutShort(true)
      return
    }
    this.#clientEndedMs = this.context.clock.nowMs
    if (this.phase <= AWAITING && this.info.versionMinor === 1) this.ownBytes += this.session.probe()
    else this.session.checkWithin(LEFT_MS)
  }

  onClientGone(reason: ReasonCode): void {
    if (this.phase === DELIVERING) this.settle(reason)
    else if (this.phase === FINISHING && reason === 'CLIENT_CLOSED')
      this.release(this.undeliveredBytes === 0 ? 'NONE' : reason)
    else if (this.phase !== OVER) this.release(reason)
  }

  /** Milliseconds until it wants to be asked again. Ends what has taken too long. */
  checkTime(nowMs: number): number {
    const { route, conn } = this.session
    if (this.session.inputEnded && this.#clientHasLeft(nowMs)) {
      const session = this.session
      this.release('CLIENT_CLOSED')
      session.cutShort(true)
      return 0
    }
    if (this.phase === CONNECTING) return this.upstream.checkTime(nowMs)
    if (this.phase === FINISHING) return this.#checkFinishing(nowMs)
    if (this.phase === AWAITING && this.requestBody.done) {
      const sinceMs = Math.max(this.info.requestDoneMs, this.head.interimMs)
      const restMs = sinceMs + route.group.config.timeouts.responseMs - nowMs
      return restMs > 0 ? restMs : this.#onResponseTimeout(nowMs)
    }
    const activeMs = Math.max(conn.lastActiveMs, this.upstream.conn?.lastActiveMs ?? 0)
    const restMs = activeMs + route.settings.config.idleTimeoutMs - nowMs
    if (restMs > 0 && (this.requestBody.done || this.pace.isFastEnough(nowMs, this.session))) return restMs
    if (this.info.isAnswered) this.cut(this.requestBody.done ? 'IDLE_TIMEOUT' : 'BODY_TOO_SLOW')
    else if (this.requestBody.blocked) this.failAttempt(504, 'RESPONSE_TIMEOUT')
    else this.fail(408, 'BODY_TOO_SLOW')
    return restMs
  }

  /**
   * The target has the whole request and has not answered in time. Another one may have it where `retries` say so, if it
   * is idempotent, had no body, and nothing of an answer has come: with each of its attempts the whole time begins anew, so
   * that a client waits `attempts` + 1 times as long at the most. Returns as `checkTime` does.
   */
  #onResponseTimeout(nowMs: number): number {
    this.upstream.countFailure('RESPONSE_TIMEOUT')
    this.upstream.drop()
    const again = this.requestBody.none && this.info.idempotent && !this.head.begun
    const state = again ? this.upstream.connectElsewhere('RESPONSE_TIMEOUT') : UPSTREAM_NONE
    if (state === UPSTREAM_NONE) {
      this.fail(504, 'RESPONSE_TIMEOUT')
      return 0
    }
    this.#retried(state)
    return this.phase === OVER ? 0 : this.checkTime(nowMs)
  }

  /**
   * A client that has ended, and to whom nothing goes any more, has left, unless its listener says otherwise. While
   * something goes to it, or could be probed for, its system would say so with a reset.
   */
  #clientHasLeft(nowMs: number): boolean {
    const { route, conn } = this.session
    const quiet = this.phase === STREAMING ? !this.responseBody.blocked : this.info.versionMinor === 0
    if (!quiet || this.phase === FINISHING || route.settings.config.halfClose === 'keep') return false
    return nowMs - Math.max(conn.lastActiveMs, this.#clientEndedMs) >= LEFT_MS
  }

  /** The client has its answer. A target that takes no more of the request is not waited for. */
  #checkFinishing(nowMs: number): number {
    const session = this.session
    const takenMs = this.upstream.conn?.lastActiveMs ?? 0
    if (this.requestBody.blocked && nowMs - takenMs >= STUCK_MS) {
      this.conclude(true)
      return 0
    }
    const restMs = session.conn.lastActiveMs + session.route.settings.config.idleTimeoutMs - nowMs
    if (restMs > 0) return restMs
    this.release('NONE')
    session.cutShort(false)
    return restMs
  }

  onUpstreamOpen(): void {
    this.onUpstreamTurn(UPSTREAM_READY)
  }

  onUpstreamTurn(state: UpstreamState): void {
    this.#retried(state)
  }

  onUpstreamWritable(): void {
    this.requestBody.blocked = false
    this.#followPace()
    // What may come behind a complete request waits for its answer.
    if (!this.requestBody.done) this.session.conn.resume()
  }

  onConnectFailed(reason: ReasonCode): void {
    const state = this.upstream.connectElsewhere(reason)
    if (state === UPSTREAM_NONE) this.fail(attemptStatus(reason), reason)
    else this.#retried(state)
  }

  onUpstreamLost(cause: CastorError | undefined): void {
    if (this.phase === FINISHING) {
      this.conclude(true)
      return
    }
    if (this.phase === STREAMING) {
      this.cut(targetLossOf(cause, true))
      return
    }
    const reason = targetLossOf(cause, false)
    this.context.log.debug(
      { target: this.upstream.target?.id, cause: cause?.message },
      'target closed before it answered',
    )
    const isExpected = this.upstream.isStale && cause?.code !== 'STREAM_RESET'
    if (this.head.begun || !isExpected) this.upstream.countFailure(reason, cause)
    // What is not held of a body, be it one empty chunk, would be missing from the second try.
    const held = cause instanceof RefusedRequest ? cause.held : undefined
    const refused = cause?.retryable === true
    const whole = this.requestBody.none || this.#holds
    const again =
      reason === 'TARGET_RESET' &&
      (held !== undefined || (whole && (this.#mayRepeat || refused || this.upstream.unread)))
    const state = this.head.begun || !again ? UPSTREAM_NONE : this.upstream.resend(refused, held)
    if (state === UPSTREAM_NONE) this.fail(attemptStatus(reason), reason)
    else this.#retried(state)
  }

  /** Goes on after an attempt to reach a target. */
  #proceed(state: UpstreamState): void {
    switch (state) {
      case UPSTREAM_NONE:
        this.fail(503, this.upstream.refusal)
        return
      case UPSTREAM_WAITING:
      case UPSTREAM_DIALLING:
        this.phase = CONNECTING
        this.session.checkWithin(this.upstream.timeoutMs)
        return
      case UPSTREAM_READY:
        this.phase = AWAITING
        this.session.checkWithin(this.session.route.group.config.timeouts.responseMs)
    }
  }

  /** The head went out again; a body that was held back so far can follow it where the connection is open. */
  #retried(state: UpstreamState): void {
    this.info.requestDoneMs = this.context.clock.nowMs
    this.#proceed(state)
    if (state !== UPSTREAM_READY || this.requestBody.done) return
    this.#followPace()
    this.session.feedBody()
  }

  /** The target may have read it, and may read it again: RFC 9110 9.2.2. */
  get #mayRepeat(): boolean {
    return this.info.idempotent && (this.requestBody.none || this.upstream.isStale)
  }

  /** Sends `at` bytes of scratch, and what of [start, end) belongs to the body. */
  #send(scratch: Uint8Array, at: number, buffer: Uint8Array, start: number, end: number): number {
    const wasDone = this.requestBody.done
    const next = this.requestBody.relay(this.upstream.conn!, scratch, at, buffer, start, end)
    if (this.#holds && next > start) this.#hold(buffer, start, next)
    if (this.requestBody.malformed) {
      if (this.phase === FINISHING) this.conclude(true, 'BAD_BODY')
      else if (this.info.isAnswered) this.cut('BAD_BODY')
      else this.fail(400, 'BAD_BODY')
      return end
    }
    if (!wasDone) this.#followPace()
    if (!this.requestBody.done) {
      if (this.requestBody.blocked) this.session.conn.pause()
    } else if (this.phase === FINISHING) {
      this.conclude(true)
    } else if (!wasDone) {
      this.info.requestDoneMs = this.context.clock.nowMs
      this.session.checkWithin(this.session.route.group.config.timeouts.responseMs)
    }
    return next
  }

  /** Only on a connection that may turn out to be closed: on a new one a body is sent once, and a stream holds its own. */
  #hold(buffer: Uint8Array, start: number, end: number): void {
    this.#holds = this.upstream.isStale && this.upstream.target!.streams === undefined
    if (this.#holds) this.upstream.head.append(buffer, start, end)
  }

  #followPace(): void {
    this.pace.follow(this.context.clock.nowMs, this.requestBody, this.info, this.session)
  }

  #reset(session: Requester): void {
    this.session = session
    this.affinity.reset()
    this.#clientEndedMs = 0
    this.head.reset()
    this.head.parser.tolerate(session.route.group.config.tolerate)
    this.responseBody.begin(FRAMING_NONE, 0, false)
    this.keepClient = false
    this.keepUpstream = false
    this.wide = false
    const { nowMs, wallMs } = this.context.clock
    this.info.begin(session, nowMs, nowMs, wallMs)
    this.ownBytes = 0
    this.writtenBefore = session.conn.bytesWritten
  }
}
