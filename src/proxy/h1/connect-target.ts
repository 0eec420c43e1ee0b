// Hot path: every request takes its way to a target here.
import { dialFailureOf } from '../../core/blame.js'
import { AHEAD_NOTHING, type Conn, type ConnHandler } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import { charge } from '../../net/dial-room.js'
import {
  type IdlePool,
  SPARE_LATER,
  SPARE_TAKEN,
  SPARE_UNWANTED,
  type SpareOutcome,
  type SpareTaker,
} from '../../net/idle-pool.js'
import { DISCARD } from '../discard.js'
import type { RequestInfo } from '../request-info.js'
import type { Target } from '../target.js'
import type { Http1Context } from './h1-context.js'
import { KeptHead } from './kept-head.js'
import {
  UPSTREAM_DIALLING,
  UPSTREAM_READY,
  type UpstreamSession,
  type UpstreamState,
  type UpstreamUser,
} from './upstream-state.js'

/**
 * The connection to a target that one request goes out on: one that was open, its own or another's that becomes free, or a
 * new one; and what its target is counted with.
 */
export abstract class UpstreamConnection implements ConnHandler, SpareTaker {
  protected readonly context: Http1Context
  protected readonly user: UpstreamUser
  protected readonly info: RequestInfo
  protected session!: UpstreamSession
  /** The head as it goes to the target, kept until the response begins: it may have to go to another. */
  readonly head: KeptHead
  /** Loop time at which it began to wait, or to dial. */
  protected attemptMs = 0
  /** The connection served another request before, and may have been closed by the target in the meantime. */
  protected reused = false
  /** The request was sent once more because of that; from then on it goes on new connections only. */
  protected resent = false
  /** Nobody can tell whether a target that has had the request may have it again. */
  protected once = false
  /** Bytes that had been written to the connection before this request. */
  #writtenBefore = 0
  /** The connection is over, and its target has had nothing of the request. */
  unread = false
  target: Target | undefined
  conn: Conn | undefined
  /** Only this client's requests may follow on the connection: it authenticates whoever uses it (RFC 9110 3.3). */
  protected pinned = false
  connecting = false
  /** What the target's epoch was when the connection was taken or dialled. */
  #epoch = 0

  constructor(context: Http1Context, info: RequestInfo, user: UpstreamUser) {
    this.context = context
    this.info = info
    this.head = new KeptHead(context.transport.scratch)
    this.user = user
  }

  /** It is one of many on a connection by HTTP/2. */
  get isStream(): boolean {
    return this.target?.streams !== undefined
  }

  /** The response has said that the connection authenticates whoever uses it. */
  pin(): void {
    this.pinned = true
    if (this.conn !== undefined) this.target!.streams?.retire(this.conn)
  }

  protected reach(target: Target): UpstreamState {
    this.target = target
    this.info.target = target
    const idle = this.#idle(target)
    if (idle === undefined) return this.dial(target)
    this.attemptMs = this.context.clock.nowMs
    this.#reuse(idle)
    if (this.pinned) target.streams?.retire(idle)
    return UPSTREAM_READY
  }

  /**
   * An open connection. What its target had sent before the request was written, its end above all, is found out first
   * where the request could not be sent again behind it; others go without that question, and are sent again.
   */
  #idle(target: Target): Conn | undefined {
    const own = this.session.pinned?.take(target)
    if (own !== undefined) {
      this.pinned = true
      if (!this.once || own.lookAhead() === AHEAD_NOTHING) return own
      own.handler = target.pool
      own.abort()
    }
    if (this.resent) return undefined
    return this.once ? target.pool.takeQuiet() : target.pool.take()
  }

  #reuse(conn: Conn): void {
    this.reused = true
    this.#writtenBefore = conn.bytesWritten
    this.#epoch = this.target!.epoch
    conn.handler = this
    conn.readSize = this.session.firstReadBytes
    this.conn = conn
    if (this.target!.streams === undefined) charge(conn, this.session.conn.share)
  }

  onSpare(pool: IdlePool, conn: Conn): SpareOutcome {
    const waiting = this.conn
    if (!this.connecting || waiting === undefined || waiting.dialledMs >= 0) return SPARE_UNWANTED
    if (this.target!.pool !== pool || this.resent) return SPARE_UNWANTED
    if (!this.context.transport.mayHold(this.session.conn.share)) return SPARE_LATER
    this.letGo()
    this.#reuse(conn)
    conn.write(this.head.bytes, 0, this.head.length)
    this.user.onUpstreamTurn(UPSTREAM_READY)
    return SPARE_TAKEN
  }

  /** Whether a loss says nothing about the target: it may close what has been idle. */
  get isStale(): boolean {
    return this.reused
  }

  /** The request came to nothing before its target answered. */
  countFailure(reason: ReasonCode, cause?: CastorError): void {
    if (this.target !== undefined) this.session.route.group.outcomes.countFailure(this.info, reason, cause)
  }

  /** The answer that had begun was cut. */
  countCut(reason: ReasonCode): void {
    if (this.target !== undefined) this.session.route.group.outcomes.countCut(this.info, reason)
  }

  /** The dial took too long. */
  abandonDial(): void {
    const late = this.conn!.dialledMs < 0 ? 'LOCAL_SHORTAGE' : 'CONNECT_TIMEOUT'
    this.letGo()
    this.#failDial(late)
  }

  #failDial(reason: ReasonCode, cause?: CastorError): void {
    this.countFailure(reason, cause)
    this.user.onConnectFailed(reason)
  }

  /**
   * The exchange went well: the connection may serve another. `keepSeconds` as the target said, −1 where it did not;
   * `keepClient`: the client stays, too.
   */
  giveBack(keepSeconds: number, keepClient: boolean): void {
    const { conn, target } = this
    this.conn = undefined
    if (conn === undefined) return
    conn.resume()
    if (this.#epoch !== target!.epoch && target!.streams === undefined) {
      // It leads to where the target was, or by certificates that it no longer has.
      conn.handler = target!.pool
      conn.close()
    } else if (this.pinned && target!.streams === undefined) {
      this.session.pin(conn, target!, keepClient)
    } else {
      target!.pool.put(conn, keepSeconds)
    }
  }

  /** The connection has served its last request; what was written to it is still to arrive. */
  close(): void {
    const { conn } = this
    this.conn = undefined
    if (conn === undefined) return
    conn.handler = this.target!.pool
    conn.close()
  }

  /** The connection is of no more use to anybody. */
  drop(): void {
    if (this.conn !== undefined) this.letGo()
  }

  onOpen(conn: Conn): void {
    this.connecting = false
    this.target!.connectionOpened()
    const connectMs = this.context.clock.nowMs - this.attemptMs
    this.info.connectMs = connectMs
    this.session.route.countConnect(connectMs)
    if (!conn.closed) this.user.onUpstreamOpen()
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    this.user.onUpstreamData(buffer, length)
  }

  onEnd(conn: Conn): void {
    this.#noteUnread(conn)
    this.user.onUpstreamEnd()
  }

  onWritable(): void {
    this.user.onUpstreamWritable()
  }

  onClose(conn: Conn, cause?: CastorError): void {
    this.conn = undefined
    this.#noteUnread(conn)
    if (this.connecting) {
      this.connecting = false
      this.#failDial(this.#dialFailure(cause), cause)
    } else {
      this.target!.connectionClosed()
      this.user.onUpstreamLost(cause)
    }
  }

  /**
   * Whether the request went into a connection that its target had closed. The target's end says what its system had
   * received by then: with nothing of the request among it, no program can have read any, and whatever its method it was
   * not acted on (RFC 9110 9.2.2). A reset alone does not tell; it may also come from a target that died over the request.
   */
  #noteUnread(conn: Conn): void {
    this.unread = this.reused && conn.bytesWritten - this.#writtenBefore <= conn.unacknowledgedBytes
  }

  #dialFailure(cause: CastorError | undefined): ReasonCode {
    const reason = dialFailureOf(cause)
    if (reason === 'TARGET_TLS_FAILED')
      this.context.tlsLog.targetFailed(this.session.route.group.config.name, this.target!.id, cause!.message)
    return reason
  }

  protected dial(target: Target): UpstreamState {
    this.attemptMs = this.context.clock.nowMs
    this.reused = false
    this.unread = false
    this.connecting = true
    this.#epoch = target.epoch
    const { transport } = this.context
    const { address, port, tls } = target
    const { conn: client, route } = this.session
    const { keepAliveSeconds } = route.group.config
    const conn =
      target.streams?.dial(this) ?? transport.dial(address, port, this, tls, undefined, client.share, keepAliveSeconds)
    conn.readSize = this.session.firstReadBytes
    this.conn = conn
    if (this.pinned) target.streams?.retire(conn)
    conn.write(this.head.bytes, 0, this.head.length)
    if (conn.dialledMs < 0) target.pool.awaitSpare(this)
    return UPSTREAM_DIALLING
  }

  protected letGo(): void {
    const conn = this.conn!
    this.conn = undefined
    // A connection that was open is counted as closed by the pool, where all of the target's end.
    conn.handler = this.connecting ? DISCARD : this.target!.pool
    this.connecting = false
    conn.abort()
  }
}
