// Hot path: every request is looked at here while it lasts. No closures or promises.
import type { ReasonCode } from '../../core/reasons.js'
import { AWAITING, CONNECTING, DELIVERING, FINISHING, OVER, STREAMING } from './exchange-phase.js'
import { ResponseReceiving } from './receive-response.js'

/** A target that has answered and takes nothing of the request for so long is done with it. */
const STUCK_MS = 2_000
/** A client that has ended is taken for one that has left when its answer stands still for so long. */
const LEFT_MS = 1_000

/** How long things may take, and what becomes of a request whose client has ended or is gone. */
export abstract class RequestTiming extends ResponseReceiving {
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
    this.clientEndedMs = this.context.clock.nowMs
    if (this.phase <= AWAITING && this.info.versionMinor === 1) this.ownBytes += this.session.probe()
    else this.session.checkWithin(LEFT_MS)
  }

  onClientGone(reason: ReasonCode): void {
    if (this.phase === DELIVERING) this.settle(reason)
    else if (this.phase === FINISHING && reason === 'CLIENT_CLOSED')
      this.release(this.undeliveredBytes === 0 ? 'NONE' : reason)
    else if (this.phase !== OVER) this.release(reason)
  }

  onClientWritable(): void {
    this.responseBody.blocked = false
    this.upstream.conn?.resume()
  }

  /** Milliseconds until it wants to be asked again. Ends what has taken too long. */
  checkTime(nowMs: number): number {
    const { route, conn } = this.session
    if (this.session.inputEnded && this.clientHasLeft(nowMs)) {
      const session = this.session
      this.release('CLIENT_CLOSED')
      session.cutShort(true)
      return 0
    }
    if (this.phase === CONNECTING) return this.upstream.checkTime(nowMs)
    if (this.phase === FINISHING) return this.checkFinishing(nowMs)
    if (this.phase === AWAITING && (this.requestBody.done || this.awaitsContinue)) {
      const sinceMs = Math.max(this.info.requestDoneMs, this.head.interimMs)
      const restMs = sinceMs + route.responseTimeoutMs - nowMs
      return restMs > 0 ? restMs : this.onResponseTimeout(nowMs)
    }
    const activeMs = Math.max(conn.lastActiveMs, this.upstream.conn?.lastActiveMs ?? 0)
    const restMs = activeMs + route.settings.config.idleTimeoutMs - nowMs
    if (restMs > 0 && (this.requestBody.done || this.pace.isFastEnough(nowMs, this.session))) return restMs
    if (this.info.isAnswered) this.cut(this.requestBody.done ? 'IDLE_TIMEOUT' : 'BODY_TOO_SLOW')
    else if (this.requestBody.blocked) this.failAttempt(504, 'RESPONSE_TIMEOUT')
    else this.fail(408, 'BODY_TOO_SLOW')
    return restMs
  }

  /** The client sends its body once the target has said that it may. */
  protected get awaitsContinue(): boolean {
    return this.info.expectContinue && this.requestBody.bytes === 0
  }

  /**
   * A client that has ended, and to whom nothing goes any more, has left, unless its listener says otherwise. While
   * something goes to it, or could be probed for, its system would say so with a reset.
   */
  protected clientHasLeft(nowMs: number): boolean {
    const { route, conn } = this.session
    const quiet = this.phase === STREAMING ? !this.responseBody.blocked : this.info.versionMinor === 0
    if (!quiet || this.phase === FINISHING || route.settings.config.halfClose === 'keep') return false
    return nowMs - Math.max(conn.lastActiveMs, this.clientEndedMs) >= LEFT_MS
  }

  /** The client has its answer. A target that takes no more of the request is not waited for. */
  protected checkFinishing(nowMs: number): number {
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
}
