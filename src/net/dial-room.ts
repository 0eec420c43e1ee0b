// Hot path: every dial asks here whether there is a socket for it. Waiting is the exception, and may allocate.
import type { Clock } from '../core/clock.js'
import type { Conn, SocketShare } from '../core/conn.js'

/** How long a dial waits for a socket at most. Longer than a burst of short requests takes, shorter than clients wait. */
const WAIT_MS = 1_000
/** For each socket that one client holds so many must be free: n greedy ones, one after the other, leave (4/5)^n of all. */
const FREE_PER_HELD = 4

/** What sockets to targets are taken out of; the same for all threads. */
export interface SocketBudget {
  /** Sockets that may still be opened; zero or less where there are none. */
  readonly free: number
  /** One more, or one less, is open. */
  use(change: 1 | -1): void
  /** One more, or one less, waits; `starved` where the system itself had no socket for it. */
  wait(change: 1 | -1, starved: boolean): void
}

const UNLIMITED: SocketBudget = { free: Number.POSITIVE_INFINITY, use: () => {}, wait: () => {} }

/** A dial that can wait until there is a socket for it. */
export interface WaitingDial {
  readonly share: SocketShare | undefined
  /** Nobody wants it any more. */
  readonly abandoned: boolean
  /** Makes its socket. False where the system still has none. */
  tryBegin(): boolean
  /** It has waited long enough. */
  giveUp(): void
  /** The thread ends. */
  abort(): void
}

interface Entry {
  readonly dial: WaitingDial
  readonly sinceMs: number
  /** The system itself had no socket for it. */
  readonly starved: boolean
}

/** Counts `conn` in another client's share, or in none. */
export function charge(conn: Conn, share: SocketShare | undefined): void {
  if (conn.share !== undefined) conn.share.held--
  if (share !== undefined) share.held++
  conn.share = share
}

/**
 * A thread's part in the sockets that this host has for its targets. Dials that find none wait for a moment: idle
 * connections are given up for them, and what becomes free goes to the clients that wait in turn. A client that has many
 * requests under way by one connection gets no more than a share of what is free, so that others find some.
 */
export class DialRoom {
  budget: SocketBudget = UNLIMITED
  /** Gives up idle connections. */
  onCrowded: () => void = () => {}
  /** A dial has to wait. `detail` is the system's name for what is missing; empty where the budget is used up. */
  onShortage: (detail: string) => void = () => {}
  readonly #clock: Clock
  /** By client, those that share nothing together; the first key is the next one served. */
  readonly #queues = new Map<SocketShare | undefined, Entry[]>()
  #serving = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes a socket for whoever has this share; false where it has to wait. */
  tryTake(share: SocketShare | undefined): boolean {
    if (this.budget.free <= 0) this.onCrowded()
    if (!this.#hasFor(share)) return false
    this.take()
    return true
  }

  /** The same for what cannot wait. */
  take(): void {
    this.budget.use(1)
  }

  /** A socket that was taken is closed, or was never made. */
  giveBack(): void {
    this.budget.use(-1)
    if (this.#queues.size > 0) this.#serveSoon()
  }

  /** Whether a client with this share may hold one more, were there one. */
  mayHold(share: SocketShare | undefined): boolean {
    return share === undefined || share.held < Math.max(1, Math.floor(this.budget.free / FREE_PER_HELD))
  }

  /** `dial` waits from here on. `detail` as in `onShortage`. */
  wait(dial: WaitingDial, detail: string): void {
    const starved = detail !== ''
    const entry = { dial, sinceMs: this.#clock.nowMs, starved }
    const queue = this.#queues.get(dial.share)
    if (queue === undefined) this.#queues.set(dial.share, [entry])
    else queue.push(entry)
    this.budget.wait(1, starved)
    this.onShortage(detail)
    if (!starved) return
    this.onCrowded()
    this.#serveSoon()
  }

  /** To be called every now and then: other threads may have given sockets back, and some have waited for too long. */
  tick(): void {
    if (this.#queues.size === 0) return
    this.#expire()
    this.#serve()
  }

  /** Nothing is dialled any more. */
  dispose(): void {
    for (const queue of this.#queues.values()) for (const { dial } of queue) dial.abort()
    this.#queues.clear()
  }

  #hasFor(share: SocketShare | undefined): boolean {
    return this.budget.free > 0 && this.mayHold(share)
  }

  /** Not now: whoever closes a connection may be in the middle of something. */
  #serveSoon(): void {
    if (this.#serving) return
    this.#serving = true
    setImmediate(() => {
      this.#serving = false
      this.#serve()
    })
  }

  #serve(): void {
    for (const [share, queue] of this.#queues) {
      while (queue[0]?.dial.abandoned === true) this.#remove(queue)
      if (queue.length > 0 && !this.#hasFor(share)) continue
      this.#queues.delete(share)
      const first = queue[0]
      if (first === undefined) continue
      this.budget.use(1)
      const begun = first.dial.tryBegin()
      if (begun) this.#remove(queue)
      else this.budget.use(-1)
      // To the end, and so to its next turn within this very loop.
      if (queue.length > 0) this.#queues.set(share, queue)
      if (!begun) return
    }
  }

  #expire(): void {
    const sinceMs = this.#clock.nowMs - WAIT_MS
    for (const queue of this.#queues.values()) {
      for (let first = queue[0]; first !== undefined; first = queue[0]) {
        if (first.sinceMs > sinceMs && !first.dial.abandoned) break
        this.#remove(queue)
        if (!first.dial.abandoned) first.dial.giveUp()
      }
    }
  }

  #remove(queue: Entry[]): void {
    const { starved } = queue.shift()!
    this.budget.wait(-1, starved)
  }
}
