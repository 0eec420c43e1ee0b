import type { Clock } from '../../src/core/clock.js'
import type { Conn, ConnHandler, Endpoint, Transport } from '../../src/core/conn.js'
import { RECORD_FD, RECORD_PORT, RECORD_WORDS, recordPeer } from '../../src/core/connection-record.js'
import { CastorError } from '../../src/core/errors.js'
import { writeAddressWords } from '../../src/net/address-words.js'
import { MemoryConn } from './memory-conn.js'

const BUFFER_BYTES = 256 * 1024
const DEFAULT_CAPACITY_BYTES = 64 * 1024
const FIRST_EPHEMERAL_PORT = 49_152
/** A test that is not done after so many turns never will be. */
const MOST_TURNS = 100_000

export interface MemoryOptions {
  /** Bytes that one direction of a connection holds before `write` returns false. */
  readonly capacityBytes?: number
  /** Asked for a turn when there is work to do; without it turns are the test's to take. */
  readonly schedule?: (turn: () => void) => void
  /** What a peer has sent is known of only once it is read, as though it were still on its way. */
  readonly blind?: boolean
}

/** Where dialled connections arrive; `adopt` takes the two arguments. */
export type OnMemoryAccepted = (records: Int32Array, socket: unknown) => void

/**
 * Connections within one thread's memory, for tests: they behave as TCP does between two machines, but everything
 * happens in turns that a test takes one by one, in the order in which it was asked for. Lent buffers are overwritten
 * once their time is over, so that a handler that holds on to one does not get away with it.
 */
export class MemoryTransport implements Transport {
  readonly clock: Clock
  readonly scratch = new Uint8Array(BUFFER_BYTES)
  readonly readBuffer = new Uint8Array(BUFFER_BYTES)
  readonly capacityBytes: number
  readonly blind: boolean
  readonly #schedule: ((turn: () => void) => void) | undefined
  readonly #listeners = new Map<string, OnMemoryAccepted>()
  readonly #open = new Set<MemoryConn>()
  #listed: MemoryConn[] = []
  #scheduled = false
  #lastPort = FIRST_EPHEMERAL_PORT
  #disposed = false

  constructor(clock: Clock, options: MemoryOptions = {}) {
    this.clock = clock
    this.capacityBytes = options.capacityBytes ?? DEFAULT_CAPACITY_BYTES
    this.blind = options.blind ?? false
    this.#schedule = options.schedule
  }

  get size(): number {
    return this.#open.size
  }

  /** Port 0 takes a free one. Answers the port; `unlisten` ends it. */
  listen(address: string, port: number, onAccepted: OnMemoryAccepted): number {
    const chosen = port === 0 ? this.#nextPort() : port
    this.#listeners.set(key(endpoint(address, chosen)), onAccepted)
    return chosen
  }

  unlisten(address: string, port: number): void {
    this.#listeners.delete(key(endpoint(address, port)))
  }

  adopt(_records: Int32Array, _at: number, socket: unknown, handler: ConnHandler): Conn {
    const conn = socket as MemoryConn
    this.#open.add(conn)
    conn.adopt(handler)
    return conn
  }

  dial(address: string, port: number, handler: ConnHandler): Conn {
    const peer = endpoint(address, port)
    const local = endpoint(peer.family === 4 ? '127.0.0.1' : '::1', this.#nextPort())
    const conn = new MemoryConn(this, handler, peer, local)
    this.#open.add(conn)
    this.list(conn)
    return conn
  }

  mayHold(): boolean {
    return true
  }

  serverTls(): never {
    throw new CastorError('TLS_CONFIG', 'connections in memory speak no TLS')
  }

  clientTls(): never {
    throw new CastorError('TLS_CONFIG', 'connections in memory speak no TLS')
  }

  secure(): never {
    throw new CastorError('TLS_CONFIG', 'connections in memory speak no TLS')
  }

  /** Two ends of a connection that is there already: no `onOpen` comes. */
  pair(left: ConnHandler, right: ConnHandler): [Conn, Conn] {
    const here = endpoint('127.0.0.1', this.#nextPort())
    const there = endpoint('127.0.0.1', this.#nextPort())
    const ends: [MemoryConn, MemoryConn] = [
      new MemoryConn(this, left, there, here),
      new MemoryConn(this, right, here, there),
    ]
    MemoryConn.join(...ends)
    ends[1].adopt(right)
    for (const end of ends) this.#open.add(end)
    return ends
  }

  /** Gives each connection that has something to do its turn; what that leads to is for the next. False: nothing was. */
  turn(): boolean {
    this.#scheduled = false
    const list = this.#listed
    if (list.length === 0) return false
    this.#listed = []
    this.clock.refresh()
    for (const conn of list) {
      conn.listed = false
      if (conn.connecting) this.#connect(conn)
      else conn.step()
    }
    return true
  }

  /** Takes turns until there is nothing left to do. */
  flush(): void {
    for (let turns = 0; this.turn(); turns++) {
      if (turns === MOST_TURNS) throw new Error('the connections never come to rest')
    }
  }

  dispose(): void {
    this.#disposed = true
    this.#listeners.clear()
    for (const conn of [...this.#open]) conn.abort()
  }

  list(conn: MemoryConn): void {
    if (conn.listed) return
    conn.listed = true
    this.#listed.push(conn)
    if (this.#schedule === undefined || this.#scheduled) return
    this.#scheduled = true
    this.#schedule(() => this.turn())
  }

  forget(conn: MemoryConn): void {
    this.#open.delete(conn)
  }

  #connect(conn: MemoryConn): void {
    if (conn.closed) return
    const onAccepted = this.#listeners.get(key(conn.peer))
    if (onAccepted === undefined) {
      conn.refuse(this.#disposed ? 'ECANCELED' : 'ECONNREFUSED')
      return
    }
    const accepted = new MemoryConn(this, conn.handler, conn.local, conn.peer)
    MemoryConn.join(conn, accepted)
    onAccepted(record(conn.local), accepted)
    conn.opened()
  }

  #nextPort(): number {
    this.#lastPort = this.#lastPort === 65_535 ? FIRST_EPHEMERAL_PORT : this.#lastPort + 1
    return this.#lastPort
  }
}

function key({ address, port }: Endpoint): string {
  return `${address} ${port}`
}

function record({ address, port }: Endpoint): Int32Array {
  const words = new Int32Array(RECORD_WORDS)
  words[RECORD_FD] = -1
  words[RECORD_PORT] = port
  writeAddressWords(address, words, 0)
  return words
}

function endpoint(address: string, port: number): Endpoint {
  return recordPeer(record({ family: 4, address, port }), 0)
}
