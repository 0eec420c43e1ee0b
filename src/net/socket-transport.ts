import { isIP, Socket } from 'node:net'
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import type { Clock } from '../core/clock.js'
import type { Conn, ConnHandler, SocketShare, Transport } from '../core/conn.js'
import { recordPeer } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig } from '../core/tls.js'
import { charge, DialRoom } from './dial-room.js'
import { SocketConn } from './socket-conn.js'
import { SocketClientTls, SocketServerTls } from './socket-tls.js'

const SCRATCH_BYTES = 256 * 1024

/** How a connection is made that is TLS from the start. */
export interface DialTls {
  /** For SNI and verification; an address is only verified. */
  readonly serverName: string
  readonly verify: boolean
  /** What is shown and trusted; nothing and Node's own authorities without it. */
  readonly credentials?: SecureContext
  /** The one protocol that is offered by ALPN, and must be agreed on. */
  readonly alpn?: string | undefined
}

/** Connections on `net.Socket`: for machines without the addon, and for whatever must be a stream to Node. */
export class SocketTransport implements Transport {
  readonly clock: Clock
  readonly scratch = new Uint8Array(SCRATCH_BYTES)
  readonly #open = new Set<SocketConn>()
  readonly room: DialRoom
  readonly #forget = (conn: SocketConn): void => {
    this.#open.delete(conn)
    if (conn.dialledMs <= 0) return
    charge(conn, undefined)
    this.room.giveBack()
  }

  /** Node tells of it when the connection is gone: it fails at once, and those that come after it find more room. */
  readonly #onShortage = (name: string): void => {
    this.room.onShortage(name)
    this.room.onCrowded()
  }

  constructor(clock: Clock) {
    this.clock = clock
    this.room = new DialRoom(clock)
  }

  get size(): number {
    return this.#open.size
  }

  adopt(records: Int32Array, at: number, socket: unknown, handler: ConnHandler): Conn {
    const conn = new SocketConn(socket as Socket, this.clock, handler, recordPeer(records, at), this.#forget)
    this.#open.add(conn)
    conn.start()
    return conn
  }

  dial(
    address: string,
    port: number,
    handler: ConnHandler,
    tls?: ClientTls,
    inClear?: Uint8Array,
    share?: SocketShare,
    keepAliveSeconds = 0,
  ): Conn {
    const socket = new Socket({ allowHalfOpen: true })
    const conn = new SocketConn(socket, this.clock, handler, undefined, this.#forget)
    this.#open.add(conn)
    conn.onShortage = this.#onShortage
    const begin = (): boolean => {
      conn.dialledMs = this.#dialNow()
      charge(conn, share)
      // Here, since Node looks for neither in the options of `connect`.
      socket.setNoDelay(true)
      if (keepAliveSeconds > 0) socket.setKeepAlive(true, keepAliveSeconds * 1000)
      socket.connect({ host: address, port })
      if (tls !== undefined) {
        if (inClear !== undefined) socket.write(inClear)
        conn.speakTls((carrier) => (tls as SocketClientTls).wrap(carrier, address, port))
      }
      conn.begun()
      return true
    }
    if (this.room.tryTake(share)) {
      begin()
      return conn
    }
    conn.waitForSocket()
    const dial = {
      share,
      get abandoned() {
        return socket.destroyed
      },
      tryBegin: begin,
      giveUp: () => conn.fail(new CastorError('LOCAL_SHORTAGE', 'EMFILE')),
      abort: () => conn.abort(),
    }
    this.room.wait(dial, '')
    return conn
  }

  mayHold(share: SocketShare | undefined): boolean {
    return this.room.mayHold(share)
  }

  /** Never 0, which would say that it was accepted. */
  #dialNow(): number {
    return Math.max(this.clock.nowMs, Number.MIN_VALUE)
  }

  serverTls(config: ServerTlsConfig): ServerTls {
    return new SocketServerTls(config)
  }

  clientTls(config: ClientTlsConfig): ClientTls {
    return new SocketClientTls(config)
  }

  secure(conn: Conn, context: ServerTls, early: Uint8Array | undefined): void {
    ;(conn as SocketConn).secure(context as SocketServerTls, early)
  }

  /**
   * The same through TLS: open once the handshake is done. `verify` refuses certificates that do not verify; `inClear`
   * goes out before the handshake.
   */
  dialTls(address: string, port: number, tls: DialTls, handler: ConnHandler, inClear?: Uint8Array): Conn {
    // RFC 6066 3: server names are no addresses.
    const name = isIP(tls.serverName) === 0 ? { servername: tls.serverName } : {}
    const { verify: rejectUnauthorized, credentials, alpn } = tls
    const shown = credentials === undefined ? {} : { secureContext: credentials }
    const offered = alpn === undefined ? {} : { ALPNProtocols: [alpn] }
    const options = { rejectUnauthorized, ...shown, ...name, ...offered }
    let socket: TLSSocket
    if (inClear === undefined) socket = connectTls({ host: address, port, ...options })
    else {
      const carrier = new Socket().connect({ host: address, port, noDelay: true })
      carrier.write(inClear)
      socket = connectTls({ socket: carrier, ...options })
    }
    if (alpn !== undefined) {
      // Ahead of the connection's own listener: what speaks another protocol never opens.
      socket.once('secureConnect', () => {
        if (socket.alpnProtocol !== alpn) conn.fail(new CastorError('CONNECT_FAILED', `no ${alpn} by ALPN`))
      })
    }
    const conn = new SocketConn(socket, this.clock, handler, undefined, this.#forget, 'secureConnect')
    conn.dialledMs = this.#dialNow()
    this.room.take()
    this.#open.add(conn)
    return conn
  }

  dispose(): void {
    for (const conn of [...this.#open]) conn.abort()
    this.room.dispose()
  }
}
