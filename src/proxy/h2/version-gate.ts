import type { Conn, ConnHandler } from '../../core/conn.js'
import { REASON } from '../../core/reasons.js'
import { latin1 } from '../../http/bytes.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { Listener } from '../listener.js'
import type { Drainable, WorkerContext } from '../worker-context.js'

/** What a client that knows that HTTP/2 is spoken here begins with (RFC 9113 3.4). */
const PREFACE = latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export type HttpVersion = 1 | 2

/** Tells by a connection's first bytes which version of HTTP its client speaks (RFC 9113 3.3), where both are served. */
export class VersionGate implements ConnHandler, Timed, Drainable {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly #context: WorkerContext
  readonly listener: Listener
  readonly #conn: Conn
  readonly #enter: (version: HttpVersion, early: Uint8Array) => void
  /** As much of the preface as has come. */
  #matched = 0

  /** `enter` is called once, with all that was read. */
  constructor(
    context: WorkerContext,
    listener: Listener,
    conn: Conn,
    enter: (version: HttpVersion, early: Uint8Array) => void,
  ) {
    this.#context = context
    this.listener = listener
    this.#conn = conn
    this.#enter = enter
  }

  /** `early` is what was read already; borrowed. */
  start(early: Uint8Array | undefined): void {
    this.#context.drainables.add(this)
    this.#conn.handler = this
    this.#context.wheel.schedule(this, this.listener.route.settings.config.idleTimeoutMs)
    if (early !== undefined && early.length > 0) this.onData(this.#conn, early, early.length)
  }

  drain(): void {
    this.#conn.close()
  }

  onTargetRemoved(): void {}

  cut(): void {
    this.#conn.abort()
  }

  onOpen(): void {}

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    const before = this.#matched
    const most = Math.min(PREFACE.length - before, length)
    let at = 0
    while (at < most && buffer[at] === PREFACE[before + at]) at++
    this.#matched += at
    if (at === length && this.#matched < PREFACE.length) {
      if (before === 0) this.#context.wheel.schedule(this, this.#context.protection.headerTimeoutMs)
      return
    }
    this.#leave()
    const read = buffer.subarray(0, length)
    const version = this.#matched === PREFACE.length ? 2 : 1
    this.#enter(version, before === 0 ? read : Buffer.concat([PREFACE.subarray(0, before), read]))
  }

  onEnd(conn: Conn): void {
    conn.close()
  }

  onWritable(): void {}

  onClose(): void {
    this.#leave()
    this.listener.connectionClosed()
  }

  onTimeout(): number {
    if (this.#matched > 0) this.listener.countReason(REASON.HEADER_TIMEOUT)
    this.#conn.close()
    return 0
  }

  #leave(): void {
    this.#context.wheel.cancel(this)
    this.#context.drainables.delete(this)
  }
}
