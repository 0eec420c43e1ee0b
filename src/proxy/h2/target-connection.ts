import type { TargetHttp2Config } from '../../core/config-tls.js'
import { AHEAD_END, type Conn, type ConnHandler } from '../../core/conn.js'
import { CastorError } from '../../core/errors.js'
import type { H2Connection, H2Failure, H2Handler, H2Stream, H2StreamHandler } from '../../http/h2/engine.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { Http2Context } from './h2-context.js'
import { clientConnection, pollMsFor } from './limits.js'

const READ_BYTES = 64 * 1024
/** Long enough to be of use, shorter than the patience of most servers. */
const KEEP_IDLE_MS = 30_000
/** A request that is given up sooner says nothing of its target. */
const DOUBTED_AFTER_MS = 250
const LONGEST_SILENCE_MS = 300_000
/** An answer to PING, and no more. */
const PING_BYTES = 17

/** What a connection to a target tells whoever uses it. */
export interface TargetConnectionOwner {
  onConnectionReady(connection: TargetConnection): void
  onConnectionFree(connection: TargetConnection): void
  /** About once a second for each connection that is ready. */
  onConnectionTick(nowMs: number): void
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
  readonly #shared: Http2Context
  readonly #owner: TargetConnectionOwner
  readonly #connection: H2Connection
  readonly #connectTimeoutMs: number
  readonly #pingAfterMs: number
  readonly #pollMs: number
  #idleSinceMs: number
  /** Bytes that had been written when it was idle last. */
  #idleAtBytes = 0
  /** When the target was last heard. */
  #heardMs: number
  /** When there was nothing to hear, or it was asked. */
  #quietSinceMs = 0
  /** How long it may be silent with requests under way until it is asked for a sign of life. */
  #silenceMs: number
  /** Bytes that had come when it was asked last; −1 where it was not, since it said something of its own. */
  #askedAtBytes = -1
  /** A request got no answer, and the target has said nothing at all meanwhile: no more are given to it until it does. */
  #doubted = false
  /** Its time for connecting was over. */
  #late = false

  constructor(
    shared: Http2Context,
    owner: TargetConnectionOwner,
    { connectTimeoutMs, http2 }: { readonly connectTimeoutMs: number; readonly http2: TargetHttp2Config },
    dial: (handler: ConnHandler) => Conn,
  ) {
    this.#shared = shared
    this.#owner = owner
    this.#idleSinceMs = shared.context.clock.nowMs
    this.#heardMs = this.#idleSinceMs
    this.#pingAfterMs = http2.pingAfterMs
    this.#silenceMs = http2.pingAfterMs
    this.#pollMs = pollMsFor(http2.pingTimeoutMs)
    this.#connectTimeoutMs = connectTimeoutMs
    this.conn = dial(this)
    this.#connection = clientConnection(shared, http2, this.conn, this)
    shared.context.wheel.schedule(this, Math.min(this.#pollMs, connectTimeoutMs))
  }

  /** A request may be sent at once. */
  get free(): boolean {
    return this.ready && !this.#doubted && this.#connection.canOpen
  }

  /** The same where a request cannot be sent twice: the target has not ended it while nothing was going on. */
  get freeAndOpen(): boolean {
    return this.free && (!this.idle || this.conn.lookAhead() !== AHEAD_END)
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
    this.#heardMs = this.#shared.context.clock.nowMs
    this.#doubted = false
    this.#connection.receive(buffer, 0, length)
  }

  /** A request that went out at `sinceMs` was given up without an answer. */
  doubt(sinceMs: number): void {
    if (!this.ready || this.#heardMs > sinceMs || this.#shared.context.clock.nowMs - sinceMs < DOUBTED_AFTER_MS) return
    this.#doubted = true
    this.#connection.ping()
  }

  /**
   * Asks a target that is silent whether it is there. One that only answers is asked again after ever longer silences:
   * some servers take several PINGs with nothing in between for a flood.
   */
  #listen(nowMs: number): void {
    if (this.idle) {
      this.#quietSinceMs = nowMs
      this.#silenceMs = this.#pingAfterMs
      return
    }
    const { bytesRead } = this.conn
    if (this.#askedAtBytes >= 0 && bytesRead > this.#askedAtBytes + PING_BYTES) {
      this.#askedAtBytes = -1
      this.#silenceMs = this.#pingAfterMs
    }
    if (nowMs - Math.max(this.#heardMs, this.#quietSinceMs) < this.#silenceMs) return
    this.#askedAtBytes = bytesRead
    this.#silenceMs = Math.max(this.#silenceMs, Math.min(this.#silenceMs * 4, LONGEST_SILENCE_MS))
    this.#quietSinceMs = nowMs
    this.#connection.ping()
  }

  onEnd(conn: Conn): void {
    this.#connection.receiveEnd(this.#isUnread(conn))
    this.conn.close()
  }

  onWritable(): void {
    this.#connection.onWritable()
  }

  onClose(conn: Conn, cause?: CastorError): void {
    this.#shared.context.wheel.cancel(this)
    this.#connection.connClosed(cause, this.#isUnread(conn))
    this.#owner.onConnectionClosed(this, this.#late ? new CastorError('CONNECT_TIMEOUT') : cause)
  }

  /** The target closed it while it was idle, and has had nothing of what was sent since. */
  #isUnread(conn: Conn): boolean {
    return conn.bytesWritten - this.#idleAtBytes <= conn.unacknowledgedBytes
  }

  onTimeout(nowMs: number): number {
    if (!this.ready) return this.#awaitReady(nowMs)
    this.#owner.onConnectionTick(nowMs)
    this.#listen(nowMs)
    this.#connection.tick(nowMs)
    if (this.idle && nowMs - this.#idleSinceMs >= KEEP_IDLE_MS) this.#connection.close()
    return this.conn.closed ? 0 : this.#pollMs
  }

  /** Milliseconds until its time for connecting is over, which does not run while this host has no socket for it. */
  #awaitReady(nowMs: number): number {
    if (this.conn.closed) return 0
    const { dialledMs } = this.conn
    const leftMs = dialledMs < 0 ? this.#connectTimeoutMs : dialledMs + this.#connectTimeoutMs - nowMs
    if (leftMs > 0) return Math.min(this.#pollMs, leftMs)
    this.#late = true
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
    this.#idleSinceMs = this.#shared.context.clock.nowMs
    this.#owner.onConnectionReady(this)
  }

  onStreamsFree(): void {
    this.#owner.onConnectionFree(this)
  }

  onIdle(): void {
    this.#idleAtBytes = this.conn.bytesWritten
    this.#idleSinceMs = this.#shared.context.clock.nowMs
  }

  onGoAway(): void {}

  onFailure(_connection: H2Connection, failure: H2Failure): void {
    this.#owner.onConnectionFailure(this, failure)
    // Streams wait for it, and nothing else would end it while the target keeps it open.
    if (!this.ready) this.conn.close()
  }
}
