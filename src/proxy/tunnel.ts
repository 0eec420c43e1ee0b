// Hot path: every byte of TCP and WebSocket traffic passes here.
import type { Conn, ConnHandler } from '../core/conn.js'
import type { CastorError } from '../core/errors.js'
import { type Fault, faultOf } from '../core/fault.js'
import type { Timed, TimerWheel } from '../net/timer-wheel.js'

export type TunnelEnd = 'closed' | 'idle' | 'client-failed' | 'target-failed' | 'fault' | 'cut' | 'shed' | 'removed'

const FAILED: Readonly<Record<Fault, TunnelEnd>> = { client: 'client-failed', target: 'target-failed', us: 'fault' }

export interface TunnelOwner {
  /** Both connections are closed. Called exactly once. */
  onTunnelClosed(end: TunnelEnd): void
  /** Now and then while it lives, for counters and for what must not be forgotten meanwhile. */
  onTunnelAlive(): void
}

/** Counters of a long-lived tunnel are brought up to date at least this often. */
const REPORT_MS = 5_000
/** How long both ends have, when the tunnel ends for a time-out, to take what is queued and end their side. */
const LINGER_MS = 1_000
/** How long a target may take nothing of what a client that is gone has left behind. */
const GONE_MS = 3_000

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
  /** Both sides were told of the end: what still comes is of no interest. */
  #ending = false
  #clientGone = false

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
    if (this.#ending) return
    if (!this.#other(conn).write(buffer, 0, length)) conn.pause()
  }

  onEnd(conn: Conn): void {
    if (this.#ending) conn.close()
    else this.#other(conn).end()
  }

  onWritable(conn: Conn): void {
    if (!this.#ending) this.#other(conn).resume()
  }

  onClose(conn: Conn, cause?: CastorError): void {
    if (--this.#open === 0) {
      this.#wheel.cancel(this)
      this.#owner.onTunnelClosed(this.#end)
      return
    }
    if (this.#ending) return
    if (conn === this.#client) this.#clientGone = true
    if (cause !== undefined && this.#end === 'closed')
      this.#end = FAILED[faultOf(cause, conn === this.#client ? 'client' : 'target')]
    const other = this.#other(conn)
    // A reset on one side is passed on as one; after an orderly close what is queued still goes out.
    if (cause !== undefined) other.abort()
    else other.close()
  }

  onTimeout(nowMs: number): number {
    if (this.#ending) {
      abandon(this.#client)
      abandon(this.#target)
      return 0
    }
    const idleMs = nowMs - Math.max(this.#client.lastActiveMs, this.#target.lastActiveMs)
    const gone = this.#clientGone || this.#client.peerReset
    const limitMs = gone ? Math.min(GONE_MS, this.#idleMs) : this.#idleMs
    if (idleMs >= limitMs) {
      if (!gone) this.finish('idle')
      else this.cut(this.#clientGone ? this.#end : 'client-failed')
      return 0
    }
    this.#owner.onTunnelAlive()
    return Math.min(limitMs - idleMs, this.#reportMs)
  }

  /** Ends both sides in order: what is queued, then the end; whoever does not take that in time is reset. */
  finish(end: TunnelEnd): void {
    if (this.#open === 0 || this.#ending) return
    this.#ending = true
    this.#end = end
    this.#wheel.schedule(this, LINGER_MS)
    for (const conn of [this.#client, this.#target]) {
      conn.end()
      // Its own end may be behind what it was held back with.
      conn.resume()
    }
  }

  /** Resets both sides now. */
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

/** An end that was sent and taken is an end, whether or not the peer has sent its own. */
function abandon(conn: Conn): void {
  conn.close()
  if (!conn.closed) conn.abort()
}
