import type { Conn } from '../../core/conn.js'
import { REASON } from '../../core/reasons.js'
import { latin1 } from '../../http/bytes.js'
import { Gate } from '../gate.js'
import type { Listener } from '../listener.js'
import type { WorkerContext } from '../worker-context.js'

/** What a client that knows that HTTP/2 is spoken here begins with (RFC 9113 3.4). */
const PREFACE = latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export type HttpVersion = 1 | 2

/** Tells by a connection's first bytes which version of HTTP its client speaks (RFC 9113 3.3), where both are served. */
export class VersionGate extends Gate {
  readonly #enter: (version: HttpVersion, early: Uint8Array) => void
  /** As much of the preface as has come. */
  #matched = 0

  /** `enter` is called once, with all that was read. */
  constructor(
    context: WorkerContext,
    listener: Listener,
    conn: Conn,
    place: number,
    enter: (version: HttpVersion, early: Uint8Array) => void,
  ) {
    super(context, listener, conn, place)
    this.#enter = enter
  }

  /** `early` is what was read already; borrowed. */
  start(early: Uint8Array | undefined): void {
    this.hold(this.listener.route.settings.config.idleTimeoutMs)
    if (early !== undefined && early.length > 0) this.onData(this.conn, early, early.length)
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    const before = this.#matched
    const most = Math.min(PREFACE.length - before, length)
    let at = 0
    while (at < most && buffer[at] === PREFACE[before + at]) at++
    this.#matched += at
    if (at === length && this.#matched < PREFACE.length) {
      if (before === 0) this.context.wheel.schedule(this, this.context.protection.headerTimeoutMs)
      return
    }
    this.leave()
    const read = buffer.subarray(0, length)
    const version = this.#matched === PREFACE.length ? 2 : 1
    this.#enter(version, before === 0 ? read : Buffer.concat([PREFACE.subarray(0, before), read]))
  }

  onTimeout(): number {
    if (this.#matched > 0) this.listener.countReason(REASON.HEADER_TIMEOUT)
    this.conn.close()
    return 0
  }
}
