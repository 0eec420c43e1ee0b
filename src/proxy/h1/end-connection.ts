import type { ReasonCode } from '../../core/reasons.js'
import type { RequestParser } from '../../http/request-parser.js'
import { ClientLink } from './client-link.js'
import { writeRefusal } from './refusal.js'
import { BODY_READ_BYTES, CUT_MS, CUTTING, ENDED, LINGER_MS, LINGERING, TUNNELLING } from './session-state.js'

/** The ways in which a client's connection ends, or stops to be read. */
export abstract class ConnectionEnding extends ClientLink {
  protected lingerUntilMs = 0
  /** Bytes that had gone out when an answer's end was last waited for. */
  #deliveredBytes = 0

  cutShort(reset: boolean): void {
    this.exchange = undefined
    if (this.state === ENDED) return
    this.kept.clear()
    if (reset) this.conn.abort()
    else this.closeAfterAnswer()
  }

  /** The answer is out and the connection is to end, but the client may not have sent all it wanted to. */
  linger(): void {
    const lingerMs = this.listener.draining ? LINGER_MS : this.route.settings.config.idleTimeoutMs
    this.kept.clear()
    this.state = LINGERING
    this.lingerUntilMs = this.context.clock.nowMs + lingerMs
    this.#deliveredBytes = this.conn.bytesWritten
    this.checkWithin(lingerMs)
    this.conn.end()
    if (this.inputEnded) this.conn.close()
    else this.conn.resume()
  }

  /** An answer that its client still takes, however slowly, has as long again from each time that some of it went out. */
  protected followDelivery(nowMs: number): void {
    const { bytesWritten } = this.conn
    if (bytesWritten === this.#deliveredBytes) return
    this.#deliveredBytes = bytesWritten
    this.lingerUntilMs = Math.max(this.lingerUntilMs, nowMs + this.route.settings.config.idleTimeoutMs)
  }

  cutUnframed(blocked: boolean): void {
    this.exchange = undefined
    if (this.state === ENDED) return
    this.kept.clear()
    this.state = CUTTING
    this.conn.pause()
    this.resetWithin(blocked ? this.route.settings.config.idleTimeoutMs : CUT_MS)
  }

  protected resetWithin(delayMs: number): void {
    this.lingerUntilMs = this.context.clock.nowMs + delayMs
    this.checkWithin(delayMs)
  }

  /** What is still thrown away is awaited no longer than a moment. */
  protected hurry(): void {
    if (this.state !== LINGERING) return
    this.lingerUntilMs = Math.min(this.lingerUntilMs, this.context.clock.nowMs + LINGER_MS)
  }

  becomeTunnel(): Uint8Array | undefined {
    const ahead = this.kept.empty ? undefined : this.kept.buffer.subarray(0, this.kept.length)
    this.kept.clear()
    this.state = TUNNELLING
    this.exchange = undefined
    this.closePinned()
    this.context.wheel.cancel(this)
    this.context.sessions.delete(this)
    this.conn.readSize = BODY_READ_BYTES
    return ahead
  }

  onTunnelClosed(): void {
    this.state = ENDED
    this.finish()
  }

  /** Answers a request that never became an exchange, and closes. `parser` has the request as far as it was understood. */
  protected refuse(status: number, reason: ReasonCode, parser: RequestParser | undefined): void {
    this.takeRoute()
    this.clientAddress = this.peer
    this.state = LINGERING
    this.exchange = writeRefusal(this.context, this, status, reason, parser, this.headStartedMs)
    this.headStartedMs = -1
    this.linger()
    // Who was too slow already is not waited for much longer.
    if (status === 408) this.hurry()
  }

  protected closeAfterAnswer(): void {
    this.state = LINGERING
    this.lingerUntilMs = this.context.clock.nowMs + this.route.settings.config.idleTimeoutMs
    this.#deliveredBytes = this.conn.bytesWritten
    this.conn.close()
  }

  protected finish(): void {
    this.context.wheel.cancel(this)
    this.context.sessions.delete(this)
    if (this.parser !== undefined) this.context.giveParser(this.parser)
    this.parser = undefined
    this.kept.clear()
    this.closePinned()
    this.onEnded()
  }

  protected onEnded(): void {
    this.countBytes()
    this.listener.connectionClosed(this.clientAddress.place)
  }
}
