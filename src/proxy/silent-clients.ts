// Hot path: every connection passes here once or twice. Linked in place, one object a connection.
import type { Clock } from '../core/clock.js'
import type { Conn, Silence } from '../core/conn.js'
import { REASON } from '../core/reasons.js'
import { WORKER_SILENT } from '../shm/layout.js'
import type { Listener } from './listener.js'

/** Younger ones may just not have come to speak yet: a client that connects in order to ask does so within this time. */
const LEAST_AGE_MS = 1_000

/** Whoever has more to do than to close the connection. */
export interface Sheddable {
  shed(): void
}

/** A client's connection on which nothing has come yet. */
class SilentClient implements Silence {
  next: SilentClient | null = null
  previous: SilentClient | null = null
  list: SilentList | null = null
  sinceMs = 0
  owner: Sheddable | undefined = undefined
  readonly conn: Conn
  readonly listener: Listener
  readonly #home: SilentClients

  constructor(home: SilentClients, conn: Conn, listener: Listener) {
    this.#home = home
    this.conn = conn
    this.listener = listener
  }

  over(): void {
    this.#home.remove(this)
  }
}

/** In order of arrival. */
class SilentList {
  head: SilentClient | null = null
  #tail: SilentClient | null = null

  append(client: SilentClient): void {
    client.list = this
    client.previous = this.#tail
    client.next = null
    if (this.#tail === null) this.head = client
    else this.#tail.next = client
    this.#tail = client
  }

  remove(client: SilentClient): void {
    const { next, previous } = client
    if (previous === null) this.head = next
    else previous.next = next
    if (next === null) this.#tail = previous
    else next.previous = previous
    client.list = null
  }
}

/**
 * A thread's clients that have not said anything, the oldest first: the first to go where connections run short, and on
 * http and https listeners after `protection.firstByteTimeout` in any case. A TLS handshake and a PROXY header say nothing
 * yet. On tcp and tls listeners a target may speak first: clients that it has spoken to go last.
 */
export class SilentClients {
  readonly #clock: Clock
  /** How long a client may say nothing on http and https listeners. */
  timeoutMs: number
  readonly #words: Float64Array
  readonly #countAt: number
  readonly #timed = new SilentList()
  readonly #untimed = new SilentList()
  readonly #spokenTo = new SilentList()

  /** `countAt` is the thread's worker words in `words`, where their number is told. */
  constructor(clock: Clock, timeoutMs: number, words: Float64Array, workerAt: number) {
    this.#clock = clock
    this.timeoutMs = timeoutMs
    this.#words = words
    this.#countAt = workerAt + WORKER_SILENT
  }

  /** Nothing has come from this client at this stage. `timed`: something must within `firstByteTimeout`. */
  add(conn: Conn, listener: Listener, timed: boolean): void {
    if (conn.closed) return
    const known = conn.silence as SilentClient | undefined
    if (known !== undefined) this.remove(known)
    const client = known ?? new SilentClient(this, conn, listener)
    client.sinceMs = this.#clock.nowMs
    conn.silence = client
    ;(timed ? this.#timed : this.#untimed).append(client)
    this.#words[this.#countAt]!++
  }

  /** The client's connection is ended by `owner`, should it come to that. */
  own(conn: Conn, owner: Sheddable): void {
    const client = conn.silence as SilentClient | undefined
    if (client !== undefined) client.owner = owner
  }

  remove(client: SilentClient): void {
    if (client.list === null) return
    client.list.remove(client)
    this.#words[this.#countAt]!--
  }

  /** Closes the oldest, at most `count`; returns how many there were. */
  shed(count: number): number {
    let done = 0
    for (; done < count; done++) {
      const client = this.#oldest()
      if (client === undefined) break
      this.#shed(client)
    }
    return done
  }

  /** Ends those whose time is over. To be called every now and then. */
  tick(): void {
    const untilMs = this.#clock.nowMs - this.timeoutMs
    for (let client = this.#timed.head; client !== null && client.sinceMs <= untilMs; client = this.#timed.head) {
      this.remove(client)
      client.conn.silence = undefined
      client.conn.close()
    }
  }

  #oldest(): SilentClient | undefined {
    this.#setAside()
    const timed = this.#timed.head
    const untimed = this.#untimed.head
    const first = timed === null || (untimed !== null && untimed.sinceMs < timed.sinceMs) ? untimed : timed
    const client = first ?? this.#spokenTo.head
    return client !== null && this.#clock.nowMs - client.sinceMs >= LEAST_AGE_MS ? client : undefined
  }

  /** Moves those at the head that their target has spoken to; each is moved once. */
  #setAside(): void {
    for (let client = this.#untimed.head; client !== null; client = this.#untimed.head) {
      if (client.owner === undefined || client.conn.bytesWritten === 0) return
      this.#untimed.remove(client)
      this.#spokenTo.append(client)
    }
  }

  #shed(client: SilentClient): void {
    this.remove(client)
    client.conn.silence = undefined
    if (client.owner !== undefined) {
      client.owner.shed()
      return
    }
    client.listener.countReason(REASON.SHED_SILENT)
    client.conn.abort()
  }
}
