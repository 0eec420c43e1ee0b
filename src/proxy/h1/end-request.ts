// Hot path: every request ends here, well or not.
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { ResponseParser } from '../../http/response-parser.js'
import { type AnswerExplanation, explanationLine } from '../explain/explain-answer.js'
import { RequestInfo } from '../request-info.js'
import { Affinity } from '../stickiness.js'
import type { BodyRelay } from './body-relay.js'
import { DELIVERING, FINISHING, OVER, type Phase } from './exchange-phase.js'
import { writeFailure } from './failure-reply.js'
import type { Http1Context } from './h1-context.js'
import type { HeadEdits } from './head-edits.js'
import type { MirroredRequest } from './mirrored-request.js'
import { Upstream } from './pick-target.js'
import { RequestPace } from './request-pace.js'
import type { Requester } from './requester.js'
import { ResponseHead } from './response-head.js'
import type { UpstreamState, UpstreamUser } from './upstream-state.js'

/** What a request holds while it is served, and the ways in which it ends: answered, failed, cut. */
export abstract class RequestEnding implements UpstreamUser {
  protected readonly context: Http1Context
  protected readonly head: ResponseHead
  protected readonly upstream: Upstream
  protected readonly requestBody: BodyRelay
  protected readonly responseBody: BodyRelay
  protected readonly info = new RequestInfo()
  protected readonly affinity = new Affinity()
  /** What its answer says of how it was routed; undefined where nothing. */
  protected explained: AnswerExplanation | undefined
  /** Made for the first request whose rule edits heads. */
  protected edits: HeadEdits | undefined
  protected session!: Requester
  protected phase: Phase = OVER
  protected keepClient = false
  protected keepUpstream = false
  protected readonly pace = new RequestPace()
  /** For a mirror, while the request is on its way from its client; undefined without. */
  protected copy: MirroredRequest | undefined
  /** Its client was asked whether more may be fetched ahead. */
  protected wide = false
  /** When the client half-closed. */
  protected clientEndedMs = 0
  /** Bytes given to the client's connection beside the response as it is relayed. */
  protected ownBytes = 0
  /** Bytes that the client's connection had written before. */
  protected writtenBefore = 0
  /** Of an answer that is being delivered. */
  #reason: ReasonCode = 'NONE'

  constructor(context: Http1Context, parser: ResponseParser, request: BodyRelay, response: BodyRelay) {
    this.context = context
    this.head = new ResponseHead(parser, context.clock)
    this.upstream = new Upstream(context, this.info, this)
    this.requestBody = request
    this.responseBody = response
  }

  /** Milliseconds until it wants to be asked again. Ends what has taken too long. */
  abstract checkTime(nowMs: number): number
  abstract onUpstreamTurn(state: UpstreamState): void
  abstract onUpstreamOpen(): void
  abstract onUpstreamData(buffer: Uint8Array, length: number): void
  abstract onUpstreamEnd(): void
  abstract onUpstreamWritable(): void
  abstract onConnectFailed(reason: ReasonCode, cause?: CastorError): void
  abstract onUpstreamLost(cause: CastorError | undefined): void

  /** The thread ends: whoever still waits for an answer is told so. */
  shutDown(): void {
    if (this.phase === FINISHING) this.conclude(true)
    else if (this.info.isAnswered) this.cut('SHUTTING_DOWN')
    else this.fail(503, 'SHUTTING_DOWN')
  }

  /** The target's time is over while it serves this request. */
  onTargetRemoved(targetSlot: number): void {
    if (this.upstream.target?.slot !== targetSlot) return
    if (this.phase === FINISHING) this.conclude(true)
    else if (this.info.isAnswered) this.cut('TARGET_REMOVED')
    else this.fail(503, 'TARGET_REMOVED')
  }

  /** All of the response is out. `extra`: the target's connection cannot be trusted with another request. */
  protected complete(extra: boolean): void {
    const { requestBody, info } = this
    // A client that was to be told to go on will not. Any other has begun, and reads when it is through (RFC 9112 9.6).
    const unasked = info.expectContinue && requestBody.bytes === 0
    const more = !extra && !requestBody.done && !unasked && !this.session.inputEnded
    if (!more || this.upstream.conn === undefined) {
      this.conclude(extra)
      return
    }
    this.phase = FINISHING
    this.session.conn.end()
  }

  /** Nothing more is relayed in either direction. */
  protected conclude(extra: boolean, reason: ReasonCode = 'NONE'): void {
    const session = this.session
    const requestDone = this.requestBody.done
    if (this.phase === FINISHING && requestDone) this.upstream.close()
    else if (extra || !this.keepUpstream || !requestDone) this.upstream.drop()
    else this.upstream.giveBack(this.head.parser.keepAliveTimeoutSeconds, this.keepClient)
    const keep = this.keepClient
    const blocked = this.responseBody.blocked
    const waits = this.#awaitDelivery(reason)
    session.onExchangeDone(keep, requestDone, blocked, waits)
  }

  /** Accounts for the answer, or where its client has yet to take it, for what it took once that is known. */
  #awaitDelivery(reason: ReasonCode): boolean {
    if (this.undeliveredBytes === 0) {
      this.account(reason, 0, 0)
      return false
    }
    this.phase = DELIVERING
    this.#reason = reason
    this.pace.end(this.context.clock.nowMs, this.session)
    this.upstream.finish()
    return true
  }

  /** Bytes of the answer that the client's connection still holds, or held when it was lost. */
  get undeliveredBytes(): number {
    const given = this.ownBytes + this.responseBody.written
    return Math.max(0, this.writtenBefore + given - this.session.conn.bytesWritten)
  }

  /** The client has taken its answer, or, for `reason`, will not. */
  settle(reason: ReasonCode): void {
    const taken = this.#reason !== 'NONE' || this.undeliveredBytes === 0
    this.account(taken ? this.#reason : reason, 0, 0)
  }

  protected nonsense(detail: string): void {
    const { log, targetLines } = this.context
    if (targetLines.take()) {
      log.warn({ target: this.upstream.target?.id, detail, ...targetLines.omitted() }, 'target answered nonsense')
    }
    this.failAttempt(502, 'BAD_RESPONSE')
  }

  /** The same as `fail` where the attempt to have an answer of the target ends with it. */
  protected failAttempt(status: number, reason: ReasonCode): void {
    this.upstream.countFailure(reason)
    this.fail(status, reason)
  }

  /** Castor answers in the target's stead. */
  protected fail(status: number, reason: ReasonCode): void {
    const session = this.session
    const requestDone = this.requestBody.done
    const keep = this.info.keepAlive && requestDone && !session.listener.draining
    const { scratch } = this.context.transport
    const explained = this.explained && explanationLine(this.explained, this.info.target?.id)
    const end = writeFailure(scratch, session, status, reason, this.info, !keep, explained)
    this.answerInstead(end, undefined, status, reason, keep)
  }

  /** The client gets the first `end` bytes of scratch, and then `body`. */
  protected answerInstead(
    end: number,
    body: Uint8Array | undefined,
    status: number,
    reason: ReasonCode,
    keep: boolean,
  ): void {
    const { session, info } = this
    const length = body === undefined ? end : end + body.length
    let blocked = !session.conn.write(this.context.transport.scratch, 0, end)
    if (body !== undefined) blocked = !session.conn.write(body, 0, body.length)
    info.sentBytes += length
    this.ownBytes += length
    info.status = status
    this.upstream.drop()
    const waits = this.#awaitDelivery(reason)
    session.onExchangeDone(keep, this.requestBody.done, blocked, waits)
  }

  /** The response cannot be finished: the client must see that it was cut. */
  protected cut(reason: ReasonCode): void {
    const session = this.session
    // Without framing of its own a body's end looks like its whole: only a reset tells.
    const framed = this.info.versionMinor === 1 || this.head.parser.contentLength >= 0
    const { blocked } = this.responseBody
    this.upstream.countCut(reason)
    this.release(reason)
    if (framed) session.cutShort(false)
    else session.cutUnframed(blocked)
  }

  /** Lets go of the target and accounts for what was; the client's connection is the caller's to deal with. */
  protected release(reason: ReasonCode): void {
    this.upstream.drop()
    this.account(reason, 0, 0)
  }

  /** Log: the last phase. Bytes are what a tunnel carried. */
  protected abstract account(reason: ReasonCode, tunnelReceived: number, tunnelSent: number): void
}
