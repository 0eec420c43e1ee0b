// Hot path where a listener redirects: once per answer that no target was asked for, and per piece of a long one.
import type { Conn } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import { logRequest } from '../log-request.js'
import { RequestInfo } from '../request-info.js'
import type { WorkerContext } from '../worker-context.js'
import type { Requester } from './requester.js'
import type { ServedRequest } from './served-request.js'

/** So much of a body is handed over at once: what a client does not take of more than that waits with the body itself. */
const PIECE_BYTES = 32 * 1024

/** An answer of Castor's own, until its client has taken it or is lost: then it is logged, with the bytes that were taken. */
export class AnswerDelivery implements ServedRequest {
  readonly info = new RequestInfo()
  readonly #context: Pick<WorkerContext, 'accessLog' | 'entry' | 'clock'>
  readonly #home: AnswerDelivery[]
  #conn!: Conn
  /** Bytes that the client's connection will have written once all of the answer is out. */
  #writtenAfter = 0
  #reason: ReasonCode = 'NONE'
  /** What follows the head: the configuration's own, shared by all who get it. */
  #body: Uint8Array | undefined
  /** So much of it was handed over. */
  #poured = 0
  #session: Requester | undefined
  #keep = false
  #requestComplete = true
  /** When the client took something last, as far as anybody has looked. */
  #takenMs = 0
  #takenBytes = 0

  /** `home` takes it back when it is over. */
  constructor(context: Pick<WorkerContext, 'accessLog' | 'entry' | 'clock'>, home: AnswerDelivery[]) {
    this.#context = context
    this.#home = home
  }

  /**
   * Sends the answer, [0, end) of `bytes` and then `body`, to the request that `info` tells of. True where its client has
   * taken it all.
   */
  send(conn: Conn, bytes: Uint8Array, end: number, status: number, reason: ReasonCode, body?: Uint8Array): boolean {
    const length = body === undefined ? end : end + body.length
    this.#conn = conn
    this.#writtenAfter = conn.bytesWritten + length
    this.#reason = reason
    this.info.status = status
    this.info.sentBytes = length
    this.#body = body
    this.#poured = 0
    conn.write(bytes, 0, end)
    this.#pour()
    if (this.undeliveredBytes > 0) return false
    this.settle('NONE')
    return true
  }

  /** Some of its body waits until its client has taken what came before. */
  get isSending(): boolean {
    return this.#body !== undefined && this.#poured < this.#body.length
  }

  /** Goes on as the client takes it; `session` is told at the end. `keep` and `requestComplete` as of `onExchangeDone`. */
  follow(session: Requester, keep: boolean, requestComplete: boolean): void {
    this.#session = session
    this.#keep = keep
    this.#requestComplete = requestComplete
    this.#takenMs = this.#context.clock.nowMs
    this.#takenBytes = this.#conn.bytesWritten
  }

  #pour(): void {
    const body = this.#body
    if (body === undefined) return
    while (this.#poured < body.length) {
      const from = this.#poured
      this.#poured = Math.min(from + PIECE_BYTES, body.length)
      if (!this.#conn.write(body, from, this.#poured)) return
    }
  }

  get undeliveredBytes(): number {
    return Math.max(0, this.#writtenAfter - this.#conn.bytesWritten)
  }

  settle(reason: ReasonCode): void {
    const { info, undeliveredBytes } = this
    info.sentBytes -= undeliveredBytes
    this.log(this.#reason !== 'NONE' || undeliveredBytes === 0 ? this.#reason : reason)
    this.#body = undefined
    this.#session = undefined
    this.#home.push(this)
  }

  /** The head is in `info`. */
  onCaptured(): void {}

  protected log(reason: ReasonCode): void {
    logRequest(this.#context, this.info, reason)
  }

  onClientGone(reason: ReasonCode): void {
    this.settle(reason)
  }

  /** Nobody wants the body of the request; what comes behind one without is none of it. */
  onRequestBytes(_buffer: Uint8Array, start: number, end: number): number {
    return this.#requestComplete ? start : end
  }

  onClientWritable(): void {
    const session = this.#session
    if (session === undefined || !this.isSending) return
    this.#pour()
    if (this.isSending) return
    const waits = this.undeliveredBytes > 0
    const keep = this.#keep && !session.listener.draining
    const complete = this.#requestComplete
    if (!waits) this.settle('NONE')
    session.onExchangeDone(keep, complete, waits, waits)
  }

  onClientEnd(): void {}

  /** The idle time-out counts from when the client took something last, whatever it sends meanwhile. */
  checkTime(nowMs: number): number {
    const { bytesWritten } = this.#conn
    if (bytesWritten !== this.#takenBytes) {
      this.#takenBytes = bytesWritten
      this.#takenMs = nowMs
    }
    const restMs = this.#takenMs + this.#session!.route.settings.config.idleTimeoutMs - nowMs
    if (restMs <= 0) this.#cut('IDLE_TIMEOUT')
    return restMs
  }

  shutDown(): void {
    if (this.#session !== undefined) this.#cut('SHUTTING_DOWN')
  }

  #cut(reason: ReasonCode): void {
    const session = this.#session!
    this.settle(reason)
    session.cutShort(true)
  }

  onTargetRemoved(): void {}
}
