// Hot path: all that a client sends by HTTP/2 comes in here.
import type { Conn, ConnHandler, SocketShare } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import { REASON, type ReasonCode } from '../../core/reasons.js'
import type { TlsInfo } from '../../core/tls.js'
import {
  H2_ERROR,
  type H2Connection,
  type H2Failure,
  type H2FailureReason,
  type H2Handler,
  type H2Stream,
} from '../../http/h2/engine.js'
import { BodyPace } from '../../limits/body-pace.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { ClientAddress } from '../client-address.js'
import type { Drainable } from '../drainables.js'
import { PinnedConnections } from '../h1/pinned-connections.js'
import type { Listener } from '../listener.js'
import type { Target } from '../target.js'
import { AheadBudget } from './ahead.js'
import { ClientStream, type StreamHome } from './client-stream.js'
import type { Http2Context } from './h2-context.js'
import { pollMsFor, serverConnection } from './limits.js'

const READ_BYTES = 64 * 1024

const REASONS: Record<H2FailureReason, ReasonCode> = {
  PROTOCOL: 'HTTP2_PROTOCOL',
  RAPID_RESET: 'HTTP2_FLOOD',
  STREAMS_REFUSED: 'HTTP2_FLOOD',
  CONTINUATION_FLOOD: 'HTTP2_FLOOD',
  EMPTY_FRAMES: 'HTTP2_FLOOD',
  SETTINGS_FLOOD: 'HTTP2_FLOOD',
  PING_FLOOD: 'HTTP2_FLOOD',
  PRIORITY_FLOOD: 'HTTP2_FLOOD',
  WINDOW_UPDATE_FLOOD: 'HTTP2_FLOOD',
  TINY_WINDOWS: 'HTTP2_FLOOD',
  HEADER_BOMB: 'HTTP2_FLOOD',
  OUTPUT_FLOOD: 'HTTP2_FLOOD',
  STALLED_CONNECTION: 'HTTP2_STALLED',
  SLOW_FRAME: 'HEADER_TIMEOUT',
  SETTINGS_TIMEOUT: 'HEADER_TIMEOUT',
  PING_TIMEOUT: 'IDLE_TIMEOUT',
  LAYER_ABOVE: 'HTTP2_PROTOCOL',
}

/** What of TLS 1.2 is good enough for HTTP/2: all else is on its list of forbidden ciphers (RFC 9113, appendix A). */
const STRONG_CIPHER = /^(ECDHE|DHE)-.*(GCM|CHACHA20|CCM)/

/** Only a custom policy lets such a connection come about. */
const isTooWeak = (tls: TlsInfo | undefined): boolean =>
  tls !== undefined && tls.version !== 'TLSv1.3' && !STRONG_CIPHER.test(tls.cipher)

/**
 * One client's HTTP/2 connection: its timers, its counters, its end. What its streams carry is their sessions' business, and
 * each goes by what is in force when it begins. Of the connection itself the settings that it has told its client of, and
 * the limits that belong to them, stay what they were when it began; how long it may be idle is the newest.
 */
export class ClientConnection implements ConnHandler, Timed, Drainable, H2Handler, StreamHome {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  drainablesPlace = -1
  readonly listener: Listener
  readonly clientAddress: ClientAddress
  readonly conn: Conn
  pinned: PinnedConnections | undefined
  readonly share: SocketShare = { held: 0 }
  readonly ahead = new AheadBudget()
  readonly #shared: Http2Context
  readonly #connection: H2Connection
  readonly #open: ClientStream[] = []
  /** Kept for streams to come: as many as there were at once lately, none while nothing goes on. */
  readonly #free: ClientStream[] = []
  /** The most that were open at once since the timer last looked. */
  #most = 0
  readonly #pollMs: number
  #idleSinceMs: number
  #bodyPace: BodyPace | undefined
  #receivedCounted = 0
  #sentCounted = 0

  constructor(shared: Http2Context, listener: Listener, conn: Conn, clientAddress: ClientAddress) {
    this.#shared = shared
    this.listener = listener
    this.conn = conn
    this.clientAddress = clientAddress
    this.#idleSinceMs = shared.context.clock.nowMs
    const { settingsTimeoutMs, stallTimeoutMs } = listener.route.settings.config.http2!
    this.#pollMs = pollMsFor(shared.context.protection.headerTimeoutMs, settingsTimeoutMs, stallTimeoutMs)
    this.#connection = serverConnection(shared, listener, conn, clientAddress, this)
  }

  /** `early` is what was read of it already; borrowed. */
  start(early: Uint8Array | undefined): void {
    const { context } = this.#shared
    context.drainables.add(this)
    this.conn.handler = this
    this.conn.readSize = READ_BYTES
    context.wheel.schedule(this, this.#pollMs)
    this.#connection.start()
    if (isTooWeak(this.clientAddress.tls)) {
      this.#connection.fail(
        H2_ERROR.INADEQUATE_SECURITY,
        `the cipher ${this.clientAddress.tls!.cipher} is not for HTTP/2`,
      )
      return
    }
    if (early !== undefined && early.length > 0) this.#connection.receive(early, 0, early.length)
    if (this.listener.draining) this.drain()
  }

  drain(): void {
    this.#connection.drain()
  }

  onTargetRemoved(targetSlot: number): void {
    this.pinned?.onTargetRemoved(targetSlot)
  }

  get bodyPace(): BodyPace {
    const { bodyMinRateBytesPerSecond } = this.#shared.context.protection
    return (this.#bodyPace ??= new BodyPace(
      bodyMinRateBytesPerSecond,
      this.listener.route.settings.config.idleTimeoutMs,
    ))
  }

  get receivedBytes(): number {
    return this.conn.bytesRead
  }

  pin(conn: Conn, target: Target): void {
    this.pinned ??= new PinnedConnections()
    this.pinned.put(conn, target)
    // A stream may learn of its client's end after it was answered.
    if (this.conn.closed) this.pinned.closeAll()
  }

  cut(): void {
    // Whoever still waits for an answer is told so first.
    for (const stream of [...this.#open]) stream.session.cut()
    this.#connection.close()
    this.conn.close()
  }

  onOpen(): void {}

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    this.#connection.receive(buffer, 0, length)
  }

  onEnd(): void {
    this.#connection.receiveEnd()
  }

  onWritable(): void {
    this.#connection.onWritable()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    const { context } = this.#shared
    this.#connection.connClosed(cause)
    context.wheel.cancel(this)
    context.drainables.delete(this)
    this.pinned?.closeAll()
    this.#countBytes()
    this.listener.connectionClosed(this.clientAddress.place)
  }

  onTimeout(nowMs: number): number {
    this.#countBytes()
    this.#forgetFree()
    this.#connection.tick(nowMs)
    for (let i = this.#open.length - 1; i >= 0; i--) this.#open[i]!.checkAwaited(nowMs)
    if (this.#open.length === 0 && nowMs - this.#idleSinceMs >= this.listener.route.settings.config.idleTimeoutMs) {
      this.#connection.close()
    }
    return this.conn.closed ? 0 : this.#pollMs
  }

  onStream(stream: H2Stream): void {
    const one = this.#free.pop() ?? new ClientStream(this.#shared, this)
    one.place = this.#open.push(one) - 1
    if (one.place >= this.#most) this.#most = one.place + 1
    one.attach(stream)
  }

  takeBack(stream: ClientStream): void {
    const last = this.#open.pop()!
    if (last !== stream) {
      this.#open[stream.place] = last
      last.place = stream.place
    }
    if (this.#open.length === 0) this.#idleSinceMs = this.#shared.context.clock.nowMs
    if (!stream.tunnelled) this.#free.push(stream)
  }

  onSettings(): void {}

  onStreamsFree(): void {}

  onIdle(): void {}

  onGoAway(): void {}

  onFailure(_connection: H2Connection, failure: H2Failure): void {
    const reason = REASONS[failure.reason]
    this.listener.countReason(REASON[reason])
    const { log, faultLines } = this.#shared
    if (!faultLines.take()) return
    log.info(
      {
        listener: this.listener.name,
        client: this.clientAddress.source.address,
        reason,
        fault: failure.reason,
        detail: failure.detail,
        ...faultLines.omitted(),
      },
      'HTTP/2 connection ended for a fault of its client',
    )
  }

  #forgetFree(): void {
    const needed = this.#most - this.#open.length
    if (this.#free.length > needed) this.#free.length = needed
    this.#most = this.#open.length
  }

  #countBytes(): void {
    const { bytesRead, bytesWritten } = this.conn
    this.listener.countBytes(bytesRead - this.#receivedCounted, bytesWritten - this.#sentCounted)
    this.#receivedCounted = bytesRead
    this.#sentCounted = bytesWritten
  }
}
