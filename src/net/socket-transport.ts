import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../core/clock.js'
import type { Conn, ConnHandler, Endpoint, Transport } from '../core/conn.js'
import { recordPeer } from '../core/connection-record.js'
import { CastorError } from '../core/errors.js'
import type { ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig, TlsInfo } from '../core/tls.js'

const SCRATCH_BYTES = 256 * 1024
const UNKNOWN: Endpoint = { family: 4, address: '0.0.0.0', port: 0 }

/** Connections on `net.Socket`: for machines without the addon, and for whatever must be a stream to Node. */
export class SocketTransport implements Transport {
  readonly clock: Clock
  readonly scratch = new Uint8Array(SCRATCH_BYTES)
  readonly #open = new Set<SocketConn>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  get size(): number {
    return this.#open.size
  }

  adopt(records: Int32Array, at: number, socket: unknown, handler: ConnHandler): Conn {
    const conn = new SocketConn(socket as Socket, this.clock, handler, recordPeer(records, at), (gone) =>
      this.#open.delete(gone),
    )
    this.#open.add(conn)
    conn.start()
    return conn
  }

  dial(address: string, port: number, handler: ConnHandler, tls?: ClientTls): Conn {
    if (tls !== undefined) throw new CastorError('TLS_CONFIG', 'TLS is not built yet')
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true })
    const conn = new SocketConn(socket, this.clock, handler, undefined, (gone) => this.#open.delete(gone))
    this.#open.add(conn)
    return conn
  }

  serverTls(_config: ServerTlsConfig): ServerTls {
    throw new CastorError('TLS_CONFIG', 'TLS is not built yet')
  }

  clientTls(_config: ClientTlsConfig): ClientTls {
    throw new CastorError('TLS_CONFIG', 'TLS is not built yet')
  }

  secure(_conn: Conn, _context: ServerTls, _early: Uint8Array | undefined): void {
    throw new CastorError('TLS_CONFIG', 'TLS is not built yet')
  }

  /** The same through TLS: open once the handshake is done. `verify` refuses certificates that do not verify. */
  dialTls(address: string, port: number, tls: { serverName: string; verify: boolean }, handler: ConnHandler): Conn {
    // RFC 6066 3: server names are no addresses.
    const name = isIP(tls.serverName) === 0 ? { servername: tls.serverName } : {}
    const socket = connectTls({ host: address, port, rejectUnauthorized: tls.verify, ...name })
    const conn = new SocketConn(
      socket,
      this.clock,
      handler,
      undefined,
      (gone) => this.#open.delete(gone),
      'secureConnect',
    )
    this.#open.add(conn)
    return conn
  }

  dispose(): void {
    for (const conn of [...this.#open]) conn.abort()
  }
}

class SocketConn implements Conn {
  handler: ConnHandler
  context: unknown = undefined
  closed = false
  readonly tls: TlsInfo | undefined = undefined
  /** Node reads 64 KiB at a time whatever is asked for. */
  readSize = 65536
  lastActiveMs: number
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #forget: (conn: SocketConn) => void
  #peer: Endpoint | undefined
  #local: Endpoint | undefined
  #failure: NodeJS.ErrnoException | undefined
  #opened: boolean
  #readEnded = false
  #ending = false
  #aborting = false
  #wantsWritable = false
  #paused = false
  #rest: Buffer | undefined

  constructor(
    socket: Socket,
    clock: Clock,
    handler: ConnHandler,
    peer: Endpoint | undefined,
    forget: (conn: SocketConn) => void,
    opens: 'connect' | 'secureConnect' = 'connect',
  ) {
    this.#socket = socket
    this.#clock = clock
    this.handler = handler
    this.#peer = peer
    this.#forget = forget
    this.#opened = peer !== undefined
    this.lastActiveMs = clock.nowMs
    socket.once(opens, () => this.#onConnect())
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => {
      this.#failure = error
      // What arrived before a reset and waits for `resume` would go down with the stream.
      if (this.#paused) this.#rest = socket.read() ?? undefined
    })
    socket.on('close', () => this.#onClose())
  }

  get peer(): Endpoint {
    const { remoteFamily, remoteAddress, remotePort } = this.#socket
    return (this.#peer ??= endpoint(remoteFamily, remoteAddress, remotePort)) ?? UNKNOWN
  }

  get local(): Endpoint {
    const { localFamily, localAddress, localPort } = this.#socket
    return (this.#local ??= endpoint(localFamily, localAddress, localPort)) ?? UNKNOWN
  }

  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten
  }

  /** Accepted sockets come paused, so that nothing is lost before somebody listens. */
  start(): void {
    this.#socket.resume()
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.#rest !== undefined) this.#dropRest()
    if (this.closed || this.#ending || this.#socket.destroyed) return false
    if (start === end) return this.#socket.writableLength === 0
    // The buffer is borrowed and the stream may keep it: only a copy is safe to give away.
    this.#socket.write(Buffer.from(buffer.subarray(start, end)), this.#onWritten)
    this.lastActiveMs = this.#clock.nowMs
    if (this.#socket.writableLength === 0) return true
    this.#wantsWritable = true
    return false
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#rest === undefined) this.#socket.resume()
    else setImmediate(this.#giveRest)
  }

  end(): void {
    if (this.#ending || this.closed) return
    this.#ending = true
    this.#socket.end()
  }

  close(): void {
    if (this.closed) return
    this.#ending = true
    if (this.#rest === undefined) this.#socket.destroySoon()
    else this.#dropRest()
  }

  abort(): void {
    if (this.closed) return
    this.#aborting = true
    this.#rest = undefined
    // Node would wait for a connection that is under way before it resets it; one whose half-close is under way libuv
    // refuses to reset, and Node would lose the handle: the descriptor stayed open and the thread could never end.
    const shuttingDown = this.#ending && !this.#socket.writableFinished
    if (this.#opened && !shuttingDown) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
    this.#onClose()
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error != null || !this.#wantsWritable || this.#socket.writableLength > 0 || this.closed || this.#ending) return
    this.#wantsWritable = false
    this.handler.onWritable(this)
  }

  readonly #giveRest = (): void => {
    const rest = this.#rest
    if (rest === undefined || this.#paused) return
    this.#rest = undefined
    this.#onData(rest)
    this.#onClose()
  }

  /** Nobody wants to read any more: what it was kept open for is gone. */
  #dropRest(): void {
    this.#rest = undefined
    setImmediate(() => this.#onClose())
  }

  #onConnect(): void {
    this.#clock.refresh()
    this.#opened = true
    this.handler.onOpen(this)
  }

  #onData(chunk: Buffer): void {
    if (this.closed) return
    this.#clock.refresh()
    this.lastActiveMs = this.#clock.nowMs
    this.handler.onData(this, chunk, chunk.length)
  }

  #onEnd(): void {
    if (this.closed || this.#readEnded) return
    this.#readEnded = true
    if (!this.#socket.writableFinished) this.handler.onEnd(this)
  }

  #onClose(): void {
    if (this.closed || this.#rest !== undefined) return
    this.closed = true
    this.#forget(this)
    const failure = this.#aborting ? undefined : this.#failure
    this.handler.onClose(
      this,
      failure &&
        new CastorError(this.#opened ? 'PEER_RESET' : 'CONNECT_FAILED', failure.code ?? failure.message, {
          cause: failure,
        }),
    )
  }
}

/** Undefined while Node knows none, which is before a dialled connection is open. */
function endpoint(
  family: string | undefined,
  address: string | undefined,
  port: number | undefined,
): Endpoint | undefined {
  if (address === undefined) return undefined
  if (family === 'IPv6' && address.startsWith('::ffff:') && address.includes('.')) {
    return { family: 4, address: address.slice(7), port: port ?? 0 }
  }
  return { family: family === 'IPv6' ? 6 : 4, address, port: port ?? 0 }
}
