import type { Conn, ConnHandler } from '../core/conn.js'
import type { CastorError } from '../core/errors.js'
import type { Timed } from '../net/timer-wheel.js'
import type { Drainable } from './drainables.js'
import type { Listener } from './listener.js'
import type { WorkerContext } from './worker-context.js'

/**
 * A step before a connection's protocol: a PROXY header, the TLS handshake, the version of HTTP. It has the connection from
 * `hold` to `leave`, and counts it out where it ends meanwhile. It goes by the settings that are in force while it lasts.
 */
export abstract class Gate implements ConnHandler, Timed, Drainable {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  drainablesPlace = -1
  readonly listener: Listener
  protected readonly context: WorkerContext
  protected readonly conn: Conn
  /** Where the connection's source is counted, or −1. */
  readonly #place: number

  constructor(context: WorkerContext, listener: Listener, conn: Conn, place: number) {
    this.context = context
    this.listener = listener
    this.conn = conn
    this.#place = place
  }

  abstract onData(conn: Conn, buffer: Uint8Array, length: number): void
  abstract onTimeout(nowMs: number): number

  drain(): void {
    this.conn.close()
  }

  cut(): void {
    this.conn.abort()
  }

  onTargetRemoved(): void {}

  onOpen(_conn: Conn): void {}

  onEnd(conn: Conn): void {
    conn.close()
  }

  onWritable(): void {}

  onClose(_conn: Conn, _cause?: CastorError): void {
    this.leave()
    this.listener.connectionClosed(this.#place)
  }

  protected hold(timeoutMs: number): void {
    this.context.drainables.add(this)
    this.conn.handler = this
    this.context.wheel.schedule(this, timeoutMs)
  }

  protected leave(): void {
    this.context.wheel.cancel(this)
    this.context.drainables.delete(this)
  }
}
