// Hot path: every request to a kept-alive target takes a connection from here and puts it back.
import type { Clock } from '../core/clock.js'
import { AHEAD_NOTHING, type Conn, type ConnHandler } from '../core/conn.js'
import { charge } from './dial-room.js'
import type { Timed, TimerWheel } from './timer-wheel.js'

/**
 * More idle connections to one target than this are kept only while they are of use: each time the pool looks, half of those
 * that nobody has needed meanwhile are closed. So a burst that comes back finds its connections, and one that does not leaves
 * none behind.
 */
const KEPT = 1024
const LOOK_EVERY_MS = 5_000
/** Long enough to be of use, shorter than the patience of most servers. */
const DEFAULT_KEEP_MS = 30_000
/** Never so close to the target's own limit that a request may cross its close. */
const MARGIN_MS = 1_000

/** What became of a connection that was offered. */
export const SPARE_TAKEN = 0
/** It waits on: this one is not for it. */
export const SPARE_LATER = 1
/** It wants none any more. */
export const SPARE_UNWANTED = 2
export type SpareOutcome = typeof SPARE_TAKEN | typeof SPARE_LATER | typeof SPARE_UNWANTED

/** Whoever waits for a connection to the target, because this host has no socket for another one. */
export interface SpareTaker {
  /** The connection is the taker's from here on where it takes it, its handler included. */
  onSpare(pool: IdlePool, conn: Conn): SpareOutcome
}

/**
 * One target's idle connections in one thread. The last put is the first taken: the busiest stay warm and the rest run
 * out. Bytes or the end of the stream on an idle connection mean that it must never serve anybody again.
 */
export class IdlePool implements ConnHandler, Timed {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly #clock: Clock
  readonly #wheel: TimerWheel
  readonly #onGone: () => void
  readonly #conns: Conn[] = []
  readonly #expiresMs: number[] = []
  /** The fewest that lay here at once since the pool looked last: nobody has needed those. */
  #fewest = 0
  #lookedMs = 0
  /** In the order in which they came. */
  readonly #takers = new Set<SpareTaker>()

  /** `onGone` is told of each connection that closes while it lies here. */
  constructor(clock: Clock, wheel: TimerWheel, onGone: () => void) {
    this.#onGone = onGone
    this.#clock = clock
    this.#wheel = wheel
  }

  get size(): number {
    return this.#conns.length
  }

  /** The connection that was used last, or undefined. Its handler is the caller's to set. */
  take(): Conn | undefined {
    this.#expiresMs.pop()
    const conn = this.#conns.pop()
    if (this.#conns.length < this.#fewest) this.#fewest = this.#conns.length
    return conn
  }

  /** The same, where it must not be one that its target has just closed: those are let go of. */
  takeQuiet(): Conn | undefined {
    for (;;) {
      const conn = this.take()
      if (conn === undefined || conn.lookAhead() === AHEAD_NOTHING) return conn
      conn.abort()
    }
  }

  /** `keepSeconds` is what the target said of its own patience, −1 where it said nothing. */
  put(conn: Conn, keepSeconds: number): void {
    const keepMs = keepSeconds < 0 ? DEFAULT_KEEP_MS : Math.min(DEFAULT_KEEP_MS, keepSeconds * 1000 - MARGIN_MS)
    charge(conn, undefined)
    if (this.#takers.size > 0 && this.#handOver(conn)) return
    conn.handler = this
    if (keepMs <= 0) {
      conn.close()
      return
    }
    conn.context = undefined
    this.#conns.push(conn)
    this.#expiresMs.push(this.#clock.nowMs + keepMs)
    const withinMs = this.#conns.length > KEPT ? Math.min(keepMs, LOOK_EVERY_MS) : keepMs
    // A target that grows less patient must not wait for one that was put before.
    if (this.timerSlot < 0 || this.timerDeadlineMs > this.#clock.nowMs + withinMs) this.#wheel.schedule(this, withinMs)
  }

  awaitSpare(taker: SpareTaker): void {
    this.#takers.add(taker)
  }

  #handOver(conn: Conn): boolean {
    for (const taker of this.#takers) {
      const outcome = taker.onSpare(this, conn)
      if (outcome === SPARE_LATER) continue
      this.#takers.delete(taker)
      if (outcome === SPARE_TAKEN) return true
    }
    return false
  }

  /** Gives up those that have been idle for longest. By a reset: closed in order, each would keep its port for a minute. */
  closeOldest(count: number): void {
    this.#expiresMs.splice(0, count)
    for (const conn of this.#conns.splice(0, count)) conn.abort()
  }

  closeAll(): void {
    this.#wheel.cancel(this)
    this.#expiresMs.length = 0
    for (const conn of this.#conns.splice(0)) conn.close()
  }

  onTimeout(nowMs: number): number {
    // Nearly in order of expiry: the oldest lie at the bottom.
    let surplus = this.#surplus(nowMs)
    let kept = 0
    let nextMs = Number.POSITIVE_INFINITY
    const leaving: Conn[] = []
    for (let i = 0; i < this.#conns.length; i++) {
      const at = this.#expiresMs[i]!
      if (at <= nowMs || surplus > 0) {
        surplus--
        leaving.push(this.#conns[i]!)
        continue
      }
      this.#conns[kept] = this.#conns[i]!
      this.#expiresMs[kept++] = at
      if (at < nextMs) nextMs = at
    }
    this.#conns.length = kept
    this.#expiresMs.length = kept
    if (this.#fewest > kept) this.#fewest = kept
    for (const conn of leaving) conn.close()
    if (kept > KEPT) nextMs = Math.min(nextMs, this.#lookedMs + LOOK_EVERY_MS)
    return kept === 0 ? 0 : Math.max(nextMs - nowMs, 1)
  }

  /** How many of the oldest are to go because nobody has needed them for a while. */
  #surplus(nowMs: number): number {
    if (nowMs - this.#lookedMs < LOOK_EVERY_MS) return 0
    const needless = Math.min(this.#fewest, this.#conns.length - KEPT)
    this.#lookedMs = nowMs
    this.#fewest = this.#conns.length
    return needless > 0 ? Math.ceil(needless / 2) : 0
  }

  onOpen(): void {}

  onData(conn: Conn): void {
    conn.abort()
  }

  onEnd(conn: Conn): void {
    conn.close()
  }

  onWritable(): void {}

  onClose(conn: Conn): void {
    this.#onGone()
    const at = this.#conns.lastIndexOf(conn)
    if (at < 0) return
    this.#conns.splice(at, 1)
    this.#expiresMs.splice(at, 1)
  }
}
