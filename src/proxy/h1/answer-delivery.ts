// Hot path where a listener redirects: once per answer that no target was asked for.
import type { Conn } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import { logRequest } from '../log-request.js'
import { RequestInfo } from '../request-info.js'
import type { WorkerContext } from '../worker-context.js'
import type { ServedRequest } from './served-request.js'

/** An answer of Castor's own, until its client has taken it or is lost: then it is logged, with the bytes that were taken. */
export class AnswerDelivery implements ServedRequest {
  readonly info = new RequestInfo()
  readonly #context: Pick<WorkerContext, 'accessLog' | 'entry' | 'clock'>
  readonly #home: AnswerDelivery[]
  #conn!: Conn
  /** Bytes that the client's connection will have written once all of the answer is out. */
  #writtenAfter = 0
  #reason: ReasonCode = 'NONE'

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
    conn.write(bytes, 0, end)
    if (body !== undefined) conn.write(body, 0, body.length)
    if (this.undeliveredBytes > 0) return false
    this.settle('NONE')
    return true
  }

  get undeliveredBytes(): number {
    return Math.max(0, this.#writtenAfter - this.#conn.bytesWritten)
  }

  settle(reason: ReasonCode): void {
    const { info, undeliveredBytes } = this
    info.sentBytes -= undeliveredBytes
    logRequest(this.#context, info, this.#reason !== 'NONE' || undeliveredBytes === 0 ? this.#reason : reason)
    this.#home.push(this)
  }

  onClientGone(reason: ReasonCode): void {
    this.settle(reason)
  }

  onRequestBytes(_buffer: Uint8Array, _start: number, end: number): number {
    return end
  }

  onClientWritable(): void {}

  onClientEnd(): void {}

  checkTime(): number {
    return 0
  }

  shutDown(): void {}

  onTargetRemoved(): void {}
}
