import type { Conn, ConnHandler } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import type { H2Connection, H2Failure, H2Handler, H2Stream, H2StreamHandler } from '../../http/h2/engine.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { Http2Plane } from './http2-plane.js'
import { clientConnection } from './limits.js'

const READ_BYTES = 64 * 1024
const LOOK_MS = 1_000
/** Long enough to be of use, shorter than the patience of most servers. */
const KEEP_IDLE_MS = 30_000

/** What a connection to a target tells whoever uses it. */
export interface TargetConnectionOwner {
  onConnectionReady(connection: TargetConnection): void
  onConnectionFree(connection: TargetConnection): void
  onConnectionFailure(connection: TargetConnection, failure: H2Failure): void
  /** Exactly once. */
  onConnectionClosed(connection: TargetConnection, cause: CastorError | undefined): void
}

/** One HTTP/2 connection to a target: open from the target's first SETTINGS on, closed when it carries nothing for long. */
export class TargetConnection implements ConnHandler, Timed, H2Handler {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly conn: Conn
  /** The target has spoken HTTP/2. */
  ready = false
  /** It leads to where the target no longer is. */
  outdated = false
  readonly #shared: Http2Plane
  readonly #owner: TargetConnectionOwner
  readonly #connection: H2Connection
  readonly #connectTimeoutMs: number
  #idleSinceMs: number

  constructor(
    shared: Http2Plane,
    owner: TargetConnectionOwner,
    connectTimeoutMs: number,
    dial: (handler: ConnHandler) => Conn,
  ) {
    this.#shared = shared
    this.#owner = owner
    this.#idleSinceMs = shared.plane.clock.nowMs
    this.#connectTimeoutMs = connectTimeoutMs
    this.conn = dial(this)
    this.#connection = clientConnection(shared, this.conn, this)
    shared.plane.wheel.schedule(this, Math.min(LOOK_MS, connectTimeoutMs))
  }

  /** A request may be sent at once. */
  get free(): boolean {
    return this.ready && this.#connection.canOpen
  }

  get idle(): boolean {
    return this.#connection.streams === 0
  }

  /** It will take no more requests, though it may be busy with some. */
  get leaving(): boolean {
    return this.#connection.draining
  }

  openStream(handler: H2StreamHandler): H2Stream | undefined {
    return this.ready ? this.#connection.openStream(handler) : undefined
  }

  /** Closes once what it carries is done. */
  drain(): void {
    if (this.ready) this.#connection.drain()
    else this.conn.abort()
  }

  onOpen(conn: Conn): void {
    conn.readSize = READ_BYTES
    this.#connection.start()
    this.#connection.flush()
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    this.#connection.receive(buffer, 0, length)
  }

  onEnd(): void {
    this.#connection.receiveEnd()
    this.conn.close()
  }

  onWritable(): void {
    this.#connection.onWritable()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    this.#shared.plane.wheel.cancel(this)
    this.#connection.connClosed(cause)
    this.#owner.onConnectionClosed(this, cause)
  }

  onTimeout(nowMs: number): number {
    if (!this.ready) return this.#awaitReady(nowMs)
    this.#connection.tick(nowMs)
    if (this.idle && nowMs - this.#idleSinceMs >= KEEP_IDLE_MS) this.#connection.close()
    return this.conn.closed ? 0 : LOOK_MS
  }

  /** Milliseconds until its time for connecting is over, which does not run while this host has no socket for it. */
  #awaitReady(nowMs: number): number {
    if (this.conn.closed) return 0
    const { dialledMs } = this.conn
    const leftMs = dialledMs < 0 ? this.#connectTimeoutMs : dialledMs + this.#connectTimeoutMs - nowMs
    if (leftMs > 0) return Math.min(LOOK_MS, leftMs)
    this.conn.abort()
    return 0
  }

  onStream(): void {}

  onSettings(): void {
    if (this.ready) {
      if (this.free) this.#owner.onConnectionFree(this)
      return
    }
    this.ready = true
    this.#idleSinceMs = this.#shared.plane.clock.nowMs
    this.#owner.onConnectionReady(this)
  }

  onStreamsFree(): void {
    this.#owner.onConnectionFree(this)
  }

  onIdle(): void {
    this.#idleSinceMs = this.#shared.plane.clock.nowMs
  }

  onGoAway(): void {}

  onFailure(_connection: H2Connection, failure: H2Failure): void {
    this.#owner.onConnectionFailure(this, failure)
  }
}
