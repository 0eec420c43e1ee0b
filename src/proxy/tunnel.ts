// Hot path: every byte of TCP and WebSocket traffic passes here.
import type { Conn, ConnHandler } from '../core/conn.js'
import type { CastorError } from '../core/errors.js'
import type { Timed, TimerWheel } from '../net/timer-wheel.js'

export type TunnelEnd = 'closed' | 'idle' | 'client-failed' | 'target-failed' | 'cut' | 'shed'

export interface TunnelOwner {
  /** Both connections are closed. Called exactly once. */
  onTunnelClosed(end: TunnelEnd): void
  /** Now and then while it lives, for counters and for what must not be forgotten meanwhile. */
  onTunnelAlive(): void
}

/** Counters of a long-lived tunnel are brought up to date at least this often. */
const REPORT_MS = 5_000

/** Two connections that carry each other's bytes, with backpressure and half-close, until both ends are done. */
export class Tunnel implements ConnHandler, Timed {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly #client: Conn
  readonly #target: Conn
  readonly #wheel: TimerWheel
  readonly #idleMs: number
  readonly #reportMs: number
  readonly #owner: TunnelOwner
  #end: TunnelEnd = 'closed'
  #open = 2

  /** The owner hears of it at least every `keepMs`, too. */
  constructor(client: Conn, target: Conn, idleMs: number, keepMs: number, wheel: TimerWheel, owner: TunnelOwner) {
    this.#client = client
    this.#target = target
    this.#wheel = wheel
    this.#idleMs = idleMs
    this.#reportMs = Math.min(REPORT_MS, keepMs)
    this.#owner = owner
    client.handler = this
    target.handler = this
    wheel.schedule(this, Math.min(idleMs, this.#reportMs))
  }

  onOpen(): void {}

  onData(conn: Conn, buffer: Uint8Array, length: number): void {
    if (!this.#other(conn).write(buffer, 0, length)) conn.pause()
  }

  onEnd(conn: Conn): void {
    this.#other(conn).end()
  }

  onWritable(conn: Conn): void {
    this.#other(conn).resume()
  }

  onClose(conn: Conn, cause?: CastorError): void {
    if (--this.#open === 0) {
      this.#wheel.cancel(this)
      this.#owner.onTunnelClosed(this.#end)
      return
    }
    if (cause !== undefined && this.#end === 'closed')
      this.#end = conn === this.#client ? 'client-failed' : 'target-failed'
    const other = this.#other(conn)
    // A reset on one side is passed on as one; after an orderly close what is queued still goes out.
    if (cause !== undefined) other.abort()
    else other.close()
  }

  onTimeout(nowMs: number): number {
    const idleMs = nowMs - Math.max(this.#client.lastActiveMs, this.#target.lastActiveMs)
    if (idleMs >= this.#idleMs) {
      this.cut('idle')
      return 0
    }
    this.#owner.onTunnelAlive()
    return Math.min(this.#idleMs - idleMs, this.#reportMs)
  }

  /** Ends both sides now. */
  cut(end: TunnelEnd): void {
    if (this.#open === 0) return
    this.#end = end
    this.#client.abort()
    this.#target.abort()
  }

  #other(conn: Conn): Conn {
    return conn === this.#client ? this.#target : this.#client
  }
}
