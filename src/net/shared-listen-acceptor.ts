import { createServer, isIP, type Server, type Socket } from 'node:net'
import type { AcceptedBatch, Acceptor, AcceptorEvents, Listening, ListenSpec } from '../core/acceptor.js'
import { RECORD_FAMILY, RECORD_FD, RECORD_PORT, RECORD_WORDS } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import { writeAddressWords } from './address-words.js'

/** Connections kept while paused; more are closed, as a kernel's full queue would. */
const HELD_WHILE_PAUSED = 512
/** The system call libuv hides behind this event ran out of descriptors; it retries by itself within a turn or so. */
const STARVED_PAUSE_MS = 100

/** Accepts through `net.Server`, where the addon cannot be had: one socket a batch, handed over as an object. */
export class SharedListenAcceptor implements Acceptor {
  listen(spec: ListenSpec, events: AcceptorEvents): Promise<Listening> {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
      const listening = new SharedListening(server, spec, events)
      const refuse = (cause: NodeJS.ErrnoException): void => {
        reject(
          new CastorError('LISTEN_FAILED', `${spec.address} port ${spec.port}: ${cause.code ?? cause.message}`, {
            cause,
          }),
        )
      }
      server.once('error', refuse)
      const ready = (): void => {
        server.off('error', refuse)
        server.on('error', () => events.onOutOfDescriptors(STARVED_PAUSE_MS))
        resolve(listening)
      }
      if (spec.fd !== undefined) server.listen({ fd: spec.fd }, ready)
      else {
        server.listen({ host: spec.address, port: spec.port, backlog: spec.backlog, ipv6Only: spec.ipv6Only }, ready)
      }
    })
  }
}

class SharedListening implements Listening {
  readonly #server: Server
  readonly #spec: ListenSpec
  readonly #events: AcceptorEvents
  readonly #held: Socket[] = []
  #paused = false

  constructor(server: Server, spec: ListenSpec, events: AcceptorEvents) {
    this.#server = server
    this.#spec = spec
    this.#events = events
    server.on('connection', (socket) => this.#accepted(socket))
  }

  get address(): string {
    const bound = this.#server.address()
    return bound !== null && typeof bound === 'object' ? bound.address : this.#spec.address
  }

  get port(): number {
    const bound = this.#server.address()
    return bound !== null && typeof bound === 'object' ? bound.port : this.#spec.port
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    for (const socket of this.#held.splice(0)) this.#report(socket)
  }

  close(): void {
    for (const socket of this.#held.splice(0)) socket.destroy()
    if (this.#server.listening) this.#server.close()
  }

  #accepted(socket: Socket): void {
    if (!this.#paused) this.#report(socket)
    else if (this.#held.length < HELD_WHILE_PAUSED) this.#held.push(socket)
    else socket.destroy()
  }

  #report(socket: Socket): void {
    // Gone already while it waited.
    if (socket.destroyed || socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const records = new Int32Array(RECORD_WORDS)
    records[RECORD_FD] = -1
    records[RECORD_FAMILY] = isIP(socket.remoteAddress) === 6 ? 6 : 4
    records[RECORD_PORT] = socket.remotePort ?? 0
    writeAddressWords(socket.remoteAddress, records, 0)
    const batch: AcceptedBatch = { count: 1, records, sockets: [socket], discard: () => socket.destroy() }
    this.#events.onAccepted(batch)
  }
}
