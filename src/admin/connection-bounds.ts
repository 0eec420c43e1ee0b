import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isIPv6, type Socket } from 'node:net'

export interface BoundsOptions {
  /** Connections at once, without event streams. */
  readonly max: number
  /** Of them from one source: an IPv4 address, an IPv6 /64, or a Unix socket. */
  readonly maxPerSource: number
  /** Requests on one connection whose answers are not out yet. */
  readonly maxInFlight: number
}

interface Entry {
  readonly socket: Socket
  readonly source: string
  /** Requests whose answer is not out yet. */
  inFlight: number
}

/**
 * Bounds the connections of one admin address. A new connection is always taken, so that nobody can lock out those who
 * ask after the health of the host by opening connections: at the bound, the source with the most connections loses its
 * oldest one that waits for a request, else its oldest. A connection that asks on and on without waiting for its answers
 * is cut: one read brings a thousand requests, and what is asked for at once is answered within one turn of the loop.
 */
export class ConnectionBounds {
  readonly #options: BoundsOptions
  /** In the order of their last request, or of their coming where there was none. */
  readonly #entries = new Map<Socket, Entry>()
  readonly #ofSource = new Map<string, number>()

  constructor(options: BoundsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  /** Before the server listens, and before it gets its request handler. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#admit(socket))
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response))
  }

  /** No longer counts the connection: an event stream, which is bounded apart and ends with its connection. */
  release(socket: Socket): void {
    const entry = this.#entries.get(socket)
    if (entry === undefined) return
    this.#entries.delete(socket)
    const left = this.#ofSource.get(entry.source)! - 1
    if (left === 0) this.#ofSource.delete(entry.source)
    else this.#ofSource.set(entry.source, left)
  }

  #admit(socket: Socket): void {
    const source = sourceOf(socket)
    if ((this.#ofSource.get(source) ?? 0) >= this.#options.maxPerSource) this.#evict(source)
    else if (this.#entries.size >= this.#options.max) this.#evict(this.#largestSource())
    this.#entries.set(socket, { socket, source, inFlight: 0 })
    this.#ofSource.set(source, (this.#ofSource.get(source) ?? 0) + 1)
    socket.once('close', () => this.release(socket))
  }

  #onRequest({ socket }: IncomingMessage, response: ServerResponse): void {
    const entry = this.#entries.get(socket)
    // One that is not counted any more is an event stream, which is its connection's last answer.
    if (entry === undefined || entry.inFlight >= this.#options.maxInFlight) {
      socket.destroy()
      return
    }
    this.#count(entry, 1)
    response.once('close', () => this.#count(entry, -1))
  }

  #count(entry: Entry, change: 1 | -1): void {
    const { socket } = entry
    entry.inFlight += change
    if (!this.#entries.delete(socket)) return
    this.#entries.set(socket, entry)
  }

  #evict(source: string): void {
    let victim: Entry | undefined
    for (const entry of this.#entries.values()) {
      if (entry.source !== source) continue
      victim ??= entry
      if (entry.inFlight > 0) continue
      victim = entry
      break
    }
    if (victim === undefined) return
    this.release(victim.socket)
    victim.socket.destroy()
  }

  #largestSource(): string {
    let largest = ''
    let most = 0
    for (const [source, count] of this.#ofSource) {
      if (count <= most) continue
      largest = source
      most = count
    }
    return largest
  }
}

/** Who is behind a connection, as far as bounds go; empty for a Unix socket. */
export function sourceOf({ remoteAddress = '' }: Socket): string {
  if (!isIPv6(remoteAddress)) return remoteAddress
  const text = new URL(`http://[${remoteAddress.replace(/%.*/, '')}]`).hostname.slice(1, -1)
  if (text.startsWith('::ffff:')) return text
  // Written out: "2001:db8::1" is "2001:db8:0:0:0:0:0:1".
  const [head = '', tail] = text.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return `${groups.slice(0, 4).join(':')}::/64`
}
