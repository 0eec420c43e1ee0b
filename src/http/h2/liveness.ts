import type { Conn } from '../../core/conn.js'
import { H2_ERROR, type H2Limits } from './engine.js'
import type { SessionOps } from './session-ops.js'

/** How the payloads of our PINGs begin; the rest is a number, so that an old answer is none to a new question. */
const ASKS_FOR_LIFE = 1
const ENDS_DRAIN = 2
const PROVOKES = 3

/** What a connection waits for, and how long it does: all its time limits, looked after by `tick`. */
export class Liveness {
  readonly #connection: SessionOps
  readonly #conn: Conn
  readonly #limits: H2Limits
  #startedMs = -1
  #acknowledged = false
  readonly #payload = new Uint8Array(8)
  #pingSentMs = -1
  #drainSentMs = -1
  #leftMs = -1
  #peerEnded = false
  #blockedSinceMs = -1
  #writtenThen = 0

  constructor(connection: SessionOps, conn: Conn, limits: H2Limits) {
    this.#connection = connection
    this.#conn = conn
    this.#limits = limits
  }

  start(): void {
    this.#startedMs = this.#connection.clock.nowMs
  }

  /** True when it was the acknowledgement that was waited for. */
  settingsAcknowledged(): boolean {
    const first = !this.#acknowledged
    this.#acknowledged = true
    return first
  }

  ping(): void {
    if (this.#pingSentMs >= 0) return
    this.#pingSentMs = this.#connection.clock.nowMs
    this.#send(ASKS_FOR_LIFE)
  }

  /** The answer will say that the peer knows of our GOAWAY. */
  drainPing(): void {
    this.#drainSentMs = this.#connection.clock.nowMs
    this.#send(ENDS_DRAIN)
  }

  /**
   * The peer has ended its side and can answer nothing. One that only did that reads on; the system of one that is gone,
   * now or later, answers any frame with a reset, which ends what is under way for it.
   */
  peerEnded(): void {
    this.#peerEnded = true
    this.#send(PROVOKES)
  }

  /** An acknowledged PING; false when it is none of ours. */
  ponged(payload: Uint8Array, at: number): boolean {
    const kind = payload[at]!
    if (kind === ASKS_FOR_LIFE && this.#pingSentMs >= 0 && payload[at + 7] === this.#payload[7]) {
      this.#payload[7]!++
      this.#pingSentMs = -1
      return true
    }
    if (kind !== ENDS_DRAIN || this.#drainSentMs < 0) return false
    this.#drainSentMs = -1
    this.#connection.shutdown.complete()
    return true
  }

  /** The engine has ended the connection. */
  leave(): void {
    this.#leftMs = this.#connection.clock.nowMs
  }

  tick(nowMs: number): void {
    const connection = this.#connection
    const limits = this.#limits
    if (connection.closed) {
      if (this.#leftMs >= 0 && nowMs - this.#leftMs >= limits.lingerMs && !this.#conn.closed) this.#conn.abort()
      return
    }
    if (this.#startedMs >= 0 && !(connection.ready && this.#acknowledged)) {
      if (nowMs - this.#startedMs >= limits.settingsTimeoutMs) {
        const what = connection.ready ? 'no acknowledgement of our SETTINGS' : 'no SETTINGS'
        connection.end(H2_ERROR.SETTINGS_TIMEOUT, 'SETTINGS_TIMEOUT', `${what} (RFC 9113, 6.5.3)`)
        return
      }
    }
    if (this.#pingSentMs >= 0 && nowMs - this.#pingSentMs >= limits.pingTimeoutMs) {
      connection.end(H2_ERROR.NO_ERROR, 'PING_TIMEOUT', 'no answer to PING')
      return
    }
    if (this.#drainSentMs >= 0 && nowMs - this.#drainSentMs >= limits.lingerMs) {
      this.#drainSentMs = -1
      connection.shutdown.complete()
      if (connection.closed) return
    }
    const { partialSinceMs } = connection.incoming
    if (partialSinceMs >= 0 && nowMs - partialSinceMs >= limits.blockTimeoutMs) {
      connection.end(H2_ERROR.ENHANCE_YOUR_CALM, 'SLOW_FRAME', 'a frame or header block was begun and not ended')
      return
    }
    if (connection.output.blocked) {
      this.#lookAtConn(nowMs)
      return
    }
    if (this.#peerEnded) this.#send(PROVOKES)
    this.#lookAtStreams(nowMs)
  }

  #lookAtConn(nowMs: number): void {
    const written = this.#conn.bytesWritten
    if (this.#blockedSinceMs < 0 || written !== this.#writtenThen) {
      this.#blockedSinceMs = nowMs
      this.#writtenThen = written
    } else if (nowMs - this.#blockedSinceMs >= this.#limits.stallTimeoutMs) {
      this.#connection.end(H2_ERROR.ENHANCE_YOUR_CALM, 'STALLED_CONNECTION', 'the peer has stopped reading')
    }
  }

  #lookAtStreams(nowMs: number): void {
    this.#blockedSinceMs = -1
    const connection = this.#connection
    for (const stream of connection.table.open.values()) {
      if (stream.queue === undefined) continue
      const sinceMs = Math.max(stream.movedMs, connection.output.writableMs)
      if (nowMs - sinceMs >= this.#limits.stallTimeoutMs) connection.stall(stream)
      if (connection.closed) return
    }
  }

  #send(kind: number): void {
    const payload = this.#payload
    const before = payload[0]!
    payload[0] = kind
    this.#connection.output.ping(payload, 0, false)
    payload[0] = before
  }
}
