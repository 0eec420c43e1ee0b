// Hot path: every request passes here. No closures or promises; bytes are kept only when a head came in pieces.
import { clientLossOf } from '../../core/blame.js'
import type { Conn, ConnHandler } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import { REASON, type ReasonCode } from '../../core/reasons.js'
import { RequestReading } from './read-requests.js'
import {
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
export class ClientSession extends RequestReading implements ConnHandler {
  readonly protocol: string = ''
  #lingerBytes = 0

  /** `early` is what came behind a PROXY header in the same read; borrowed. */
  start(early: Uint8Array | undefined): void {
    this.state = READING
    this.inputEnded = false
    this.#lingerBytes = 0
    this.context.sessions.add(this)
    this.conn.handler = this
    this.conn.readSize = HEAD_READ_BYTES
    this.context.wheel.schedule(this, Math.min(this.route.settings.config.idleTimeoutMs, POLL_MS))
    if (early !== undefined && early.length > 0) this.read(early, 0, early.length)
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
        if (this.kept.empty) this.read(buffer, 0, length)
        else {
          this.kept.append(buffer, 0, length)
          this.read(this.kept.buffer, 0, this.kept.length)
        }
        return
      case EXCHANGING:
        this.whileExchanging(buffer, 0, length)
        return
      case LINGERING:
        this.#lingerBytes += length
        if (this.#lingerBytes > LINGER_BYTES) this.conn.abort()
        return
    }
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
      this.next()
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
        restMs = this.checkReading(nowMs)
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
}
