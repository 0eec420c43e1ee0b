import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net'
import type { AcceptedBatch, Acceptor, AcceptorEvents, Listening, ListenSpec } from '../core/acceptor.js'
import { RECORD_FAMILY, RECORD_FD, RECORD_PORT, RECORD_WORDS } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import { writeAddressWords } from './address-words.js'

/** Connections kept while paused; more are closed, as a kernel's full queue would. */
const HELD_WHILE_PAUSED = 512
/** Node tells of a failed accept only where libuv could not deal with it; it tries again by itself. */
const STARVED_PAUSE_MS = 100

/**
 * Accepts through `net.Server`, where the addon cannot be had: one socket a batch, handed over as an object. Out of
 * descriptors, libuv turns waiting connections away without a word, so that `onOutOfDescriptors` mostly does not come.
 */
export class SharedListenAcceptor implements Acceptor {
  listen(spec: ListenSpec, events: AcceptorEvents): Promise<Listening> {
    return new Promise((resolve, reject) => {
      // Node would take other text for a name, and ask around for it.
      if (spec.fd === undefined && (isIP(spec.address) === 0 || !(spec.port >= 0 && spec.port <= 65535))) {
        reject(new CastorError('LISTEN_FAILED', `${spec.address} port ${spec.port}: EINVAL`))
        return
      }
      const { keepAliveSeconds = 0 } = spec
      const keepAlive = { keepAlive: keepAliveSeconds > 0, keepAliveInitialDelay: keepAliveSeconds * 1000 }
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...keepAlive })
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
        listening.remember(server.address())
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
  readonly fd = -1
  readonly #server: Server
  readonly #events: AcceptorEvents
  readonly #held: Socket[] = []
  address: string
  port: number
  #paused = false

  constructor(server: Server, spec: ListenSpec, events: AcceptorEvents) {
    this.#server = server
    this.address = spec.address
    this.port = spec.port
    this.#events = events
    server.on('connection', (socket) => this.#accepted(socket))
  }

  /** Where it really listens; it is asked no more once it is closed. */
  remember(bound: AddressInfo | string | null): void {
    if (bound === null || typeof bound === 'string') return
    this.address = bound.address
    this.port = bound.port
  }

  /** Node has no way to it. */
  mute(): boolean {
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    // Whoever is told of one may pause again.
    while (!this.#paused && this.#held.length > 0) this.#report(this.#held.shift()!)
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
