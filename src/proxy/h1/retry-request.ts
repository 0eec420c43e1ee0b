// Hot path: every request passes here. No closures or promises.
import { targetLossOf } from '../../core/blame.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import { RefusedRequest } from '../refused-request.js'
import { AWAITING, CONNECTING, FINISHING, OVER, STREAMING } from './exchange-phase.js'
import { attemptStatus } from './failure-reply.js'
import { RequestSending } from './send-request.js'
import {
  UPSTREAM_DIALLING,
  UPSTREAM_NONE,
  UPSTREAM_READY,
  UPSTREAM_WAITING,
  type UpstreamState,
} from './upstream-state.js'

/** What an attempt to reach a target comes to: the request is on its way, goes to another target, or has failed. */
export abstract class RequestRetries extends RequestSending {
  onUpstreamOpen(): void {
    this.onUpstreamTurn(UPSTREAM_READY)
  }

  onUpstreamTurn(state: UpstreamState): void {
    this.retried(state)
  }

  /** Goes on after an attempt to reach a target. */
  protected proceed(state: UpstreamState): void {
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
        this.session.checkWithin(this.session.route.responseTimeoutMs)
    }
  }

  /** The head went out again; a body that was held back so far can follow it where the connection is open. */
  protected retried(state: UpstreamState): void {
    this.info.requestDoneMs = this.context.clock.nowMs
    this.proceed(state)
    if (state !== UPSTREAM_READY || this.requestBody.done) return
    this.followPace()
    this.session.feedBody()
  }

  onConnectFailed(reason: ReasonCode): void {
    const state = this.upstream.connectElsewhere(reason)
    if (state === UPSTREAM_NONE) this.fail(attemptStatus(reason), reason)
    else this.retried(state)
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
    const whole = this.requestBody.none || this.holds
    const again =
      reason === 'TARGET_RESET' &&
      (held !== undefined || (whole && (this.mayRepeat || refused || this.upstream.unread)))
    const state = this.head.begun || !again ? UPSTREAM_NONE : this.upstream.resend(refused, held)
    if (state === UPSTREAM_NONE) this.fail(attemptStatus(reason), reason)
    else this.retried(state)
  }

  /**
   * The target has the whole request and has not answered in time. Another one may have it where `retries` say so, if it
   * is idempotent, had no body, and nothing of an answer has come: with each of its attempts the whole time begins anew, so
   * that a client waits `attempts` + 1 times as long at the most. Returns as `checkTime` does.
   */
  protected onResponseTimeout(nowMs: number): number {
    this.upstream.countFailure('RESPONSE_TIMEOUT')
    this.upstream.drop()
    const again = this.requestBody.none && this.info.idempotent && !this.head.begun
    const state = again ? this.upstream.connectElsewhere('RESPONSE_TIMEOUT') : UPSTREAM_NONE
    if (state === UPSTREAM_NONE) {
      this.fail(504, 'RESPONSE_TIMEOUT')
      return 0
    }
    this.retried(state)
    return this.phase === OVER ? 0 : this.checkTime(nowMs)
  }

  /** The target may have read it, and may read it again: RFC 9110 9.2.2. */
  protected get mayRepeat(): boolean {
    return this.info.idempotent && (this.requestBody.none || this.upstream.isStale)
  }
}
