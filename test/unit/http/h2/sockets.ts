import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { SystemClock } from '../../../../src/core/clock.js'
import type { Conn, ConnHandler } from '../../../../src/core/conn.js'
import { RECORD_WORDS } from '../../../../src/core/connection-record.js'
import type { CastorError } from '../../../../src/core/errors.js'
import { Http2Connection } from '../../../../src/http/h2/connection.js'
import {
  DEFAULT_H2_LIMITS,
  DEFAULT_H2_SETTINGS,
  type H2Handler,
  type H2Limits,
  type H2Role,
  type H2Settings,
} from '../../../../src/http/h2/engine.js'
import { FlushQueue } from '../../../../src/http/h2/flush-queue.js'
import { SocketTransport } from '../../../../src/net/socket-transport.js'

/** Passes on what a `Conn` says to the engine that is its context. */
class ToEngine implements ConnHandler {
  onOpen(): void {}
  onData(conn: Conn, buffer: Uint8Array, length: number): void {
    ;(conn.context as Http2Connection).receive(buffer, 0, length)
  }
  onEnd(conn: Conn): void {
    ;(conn.context as Http2Connection).receiveEnd()
  }
  onWritable(conn: Conn): void {
    ;(conn.context as Http2Connection).onWritable()
  }
  onClose(conn: Conn, cause?: CastorError): void {
    ;(conn.context as Http2Connection).connClosed(cause)
  }
}

export interface EngineOptions {
  readonly settings?: Partial<H2Settings>
  readonly limits?: Partial<H2Limits>
}

const TICK_MS = 50

/** Engines over real sockets: listens as a server, dials as a client. */
export class Sockets {
  readonly connections: Http2Connection[] = []
  readonly #transport = new SocketTransport(new SystemClock())
  readonly #turn = new FlushQueue((fault) => {
    throw fault
  })
  readonly #toEngine = new ToEngine()
  readonly #servers: Server[] = []
  readonly #ticking = setInterval(() => {
    this.#transport.clock.refresh()
    for (const connection of this.connections) connection.tick(this.#transport.clock.nowMs)
  }, TICK_MS)

  async listen(handler: H2Handler, options: EngineOptions = {}): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
      const conn = this.#transport.adopt(new Int32Array(RECORD_WORDS), 0, socket, this.#toEngine)
      this.#join(conn, 'server', handler, options)
    })
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  dial(port: number, handler: H2Handler, options: EngineOptions = {}): Http2Connection {
    return this.#join(this.#transport.dial('127.0.0.1', port, this.#toEngine), 'client', handler, options)
  }

  close(): void {
    clearInterval(this.#ticking)
    for (const server of this.#servers) server.close()
    this.#transport.dispose()
  }

  #join(conn: Conn, role: H2Role, handler: H2Handler, options: EngineOptions): Http2Connection {
    const connection = new Http2Connection(conn, {
      role,
      settings: { ...DEFAULT_H2_SETTINGS, ...options.settings },
      limits: { ...DEFAULT_H2_LIMITS, ...options.limits },
      handler,
      clock: this.#transport.clock,
      turn: this.#turn,
    })
    conn.context = connection
    this.connections.push(connection)
    connection.start()
    return connection
  }
}
