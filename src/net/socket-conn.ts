import type { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../core/clock.js'
import {
  AHEAD_BYTES,
  AHEAD_END,
  AHEAD_NOTHING,
  type Ahead,
  type Conn,
  type ConnHandler,
  type Endpoint,
  type Silence,
  type SocketShare,
} from '../core/conn.js'
import { CastorError } from '../core/errors.js'
import type { TlsInfo } from '../core/tls.js'
import { isLocalShortage } from './local-shortage.js'
import { endSilence } from './silence.js'
import { isOfTls, type SocketServerTls, type TlsWrapping } from './socket-tls.js'

const UNKNOWN: Endpoint = { family: 4, address: '0.0.0.0', port: 0 }

/** A connection on a `net.Socket`, or on the `TLSSocket` around it. */
export class SocketConn implements Conn {
  handler: ConnHandler
  context: unknown = undefined
  closed = false
  dialledMs = 0
  share: SocketShare | undefined = undefined
  silence: Silence | undefined = undefined
  /** The system has no socket for this dial. */
  onShortage: ((name: string) => void) | undefined
  tls: TlsInfo | undefined = undefined
  /** Node does not say. */
  readonly unacknowledgedBytes = 0
  /** Node reads 64 KiB at a time whatever is asked for. */
  readSize = 65536
  lastActiveMs: number
  #socket: Socket
  /** What lies below TLS: only that can be reset. */
  #carrier: Socket
  #shaking: TlsWrapping | undefined
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
  /** What was written before the dial began. */
  #early: Buffer[] | undefined
  /** Why the handshake was given up from this side. */
  #refusal: CastorError | undefined

  constructor(
    socket: Socket,
    clock: Clock,
    handler: ConnHandler,
    peer: Endpoint | undefined,
    forget: (conn: SocketConn) => void,
    opens: 'connect' | 'secureConnect' = 'connect',
  ) {
    this.#socket = socket
    this.#carrier = socket
    this.#clock = clock
    this.handler = handler
    this.#peer = peer
    this.#forget = forget
    this.#opened = peer !== undefined
    this.lastActiveMs = clock.nowMs
    this.#attach(opens)
  }

  get peer(): Endpoint {
    const { remoteFamily, remoteAddress, remotePort } = this.#socket
    return (this.#peer ??= endpoint(remoteFamily, remoteAddress, remotePort)) ?? UNKNOWN
  }

  get local(): Endpoint {
    const { localFamily, localAddress, localPort } = this.#socket
    return (this.#local ??= endpoint(localFamily, localAddress, localPort)) ?? UNKNOWN
  }

  get peerReset(): boolean {
    return this.#rest !== undefined
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

  /** A dial that has to wait: what is written meanwhile is kept here, since a stream that does not connect takes nothing. */
  waitForSocket(): void {
    this.dialledMs = -1
    this.#early = []
  }

  /** It waits no longer: its socket connects from here on. */
  begun(): void {
    const early = this.#early ?? []
    this.#early = undefined
    for (const bytes of early) this.#socket.write(bytes, this.#onWritten)
    if (this.#ending) this.#socket.end()
  }

  /** The dial failed before there was a socket; told of in a turn of its own. */
  fail(cause: CastorError): void {
    this.#refusal = cause
    this.#socket.destroy()
  }

  /** An accepted connection speaks TLS from here on. */
  secure(context: SocketServerTls, early: Uint8Array | undefined): void {
    if (this.closed || this.#socket.destroyed) return
    this.#socket.pause()
    if (early !== undefined && early.length > 0) this.#socket.unshift(Buffer.from(early))
    this.speakTls((socket) => context.wrap(socket))
  }

  /** `wrap` puts TLS around the connection's socket. */
  speakTls(wrap: (carrier: Socket) => TlsWrapping): void {
    const carrier = this.#carrier
    carrier
      .off('connect', this.#onConnect)
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
    carrier.on('error', (error) => {
      this.#failure ??= error
    })
    const wrapping = wrap(this.#carrier)
    this.#shaking = wrapping
    this.#opened = false
    this.#socket = wrapping.socket
    this.#attach(wrapping.opens)
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.#rest !== undefined) this.#dropRest()
    if (this.closed || this.#ending || this.#socket.destroyed) return false
    if (start === end) return this.#early === undefined && this.#socket.writableLength === 0
    if (this.#early !== undefined) {
      this.#early.push(Buffer.from(buffer.subarray(start, end)))
      this.#wantsWritable = true
      return false
    }
    // The buffer is borrowed and the stream may keep it: only a copy is safe to give away.
    this.#socket.write(Buffer.from(buffer.subarray(start, end)), this.#onWritten)
    this.lastActiveMs = this.#clock.nowMs
    if (this.#socket.writableLength === 0) return true
    this.#wantsWritable = true
    return false
  }

  /** As far as Node has read. */
  lookAhead(): Ahead {
    if (this.closed || this.#readEnded || this.#socket.destroyed) return AHEAD_END
    return this.#socket.readableLength > 0 ? AHEAD_BYTES : AHEAD_NOTHING
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
    if (this.#early === undefined) this.#socket.end()
  }

  close(): void {
    if (this.closed) return
    this.#ending = true
    if (this.#early !== undefined) this.#socket.destroy()
    else if (this.#rest === undefined) this.#socket.destroySoon()
    else this.#dropRest()
  }

  abort(): void {
    if (this.closed) return
    this.#aborting = true
    this.#rest = undefined
    // Node would wait for a connection that is under way before it resets it; one whose half-close is under way libuv
    // refuses to reset, and Node would lose the handle: the descriptor stayed open and the thread could never end.
    const shuttingDown = this.#ending && !this.#socket.writableFinished
    // Nor does Node reset a socket that Node itself put into TLS: it throws.
    const resettable = !(this.#carrier instanceof TLSSocket) && !shuttingDown
    const resets = resettable && (this.#opened || this.#shaking?.accepted === true)
    // The socket around it goes down with the carrier; to destroy both is more than Node's TLS survives.
    if (resets) this.#carrier.resetAndDestroy()
    else this.#socket.destroy()
    this.#onClose()
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error != null || !this.#wantsWritable || this.#socket.writableLength > 0 || this.closed || this.#ending) return
    // Of a socket that was destroyed in the middle of a write Node says that all was written.
    if (this.#socket.destroyed) return
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

  #attach(opens: string): void {
    this.#socket.once(opens, this.#onConnect).on('data', this.#onData).on('end', this.#onEnd)
    this.#socket.on('error', this.#onError).on('close', this.#onClose)
    // Of a server's socket Node tells its own server only what broke TLS later, by this event.
    if (this.#shaking?.accepted === true) this.#socket.on('_tlsError', this.#onError)
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#failure = error
    // What arrived before a reset and waits for `resume` would go down with the stream.
    if (this.#paused) this.#rest = this.#socket.read() ?? undefined
    // Once the handshake is done, Node tells of what broke TLS and leaves the socket open.
    if (this.#shaking === undefined && !this.#socket.destroyed) this.#socket.destroy()
  }

  readonly #onConnect = (): void => {
    if (this.closed || this.#refusal !== undefined) return
    this.#clock.refresh()
    if (this.#shaking !== undefined) {
      const refused = this.#shaking.refusal()
      if (refused !== undefined) {
        this.#refusal = refused
        this.#socket.destroy()
        return
      }
      this.tls = this.#shaking.info()
      this.#shaking = undefined
    }
    this.#opened = true
    this.handler.onOpen(this)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.closed) return
    this.#clock.refresh()
    this.lastActiveMs = this.#clock.nowMs
    endSilence(this)
    this.handler.onData(this, chunk, chunk.length)
  }

  readonly #onEnd = (): void => {
    if (this.closed || this.#readEnded) return
    this.#readEnded = true
    if (this.#shaking !== undefined) {
      this.#refusal = this.#shaking.left('')
      this.#socket.destroy()
      return
    }
    if (!this.#socket.writableFinished) this.handler.onEnd(this)
  }

  readonly #onClose = (): void => {
    if (this.closed || this.#rest !== undefined) return
    this.closed = true
    endSilence(this)
    this.#forget(this)
    this.handler.onClose(
      this,
      this.#aborting || (this.#ending && this.#shaking !== undefined) ? undefined : this.#cause(),
    )
  }

  #cause(): CastorError | undefined {
    const failure = this.#failure
    if (this.#refusal !== undefined) return this.#refusal
    // Before the handshake is asked: a dial that found no socket never came to one.
    const isDial = !this.#opened && this.#shaking?.accepted !== true
    if (failure !== undefined && isDial && isShortage(failure)) {
      this.onShortage?.(failure.code!)
      return new CastorError('LOCAL_SHORTAGE', failure.code, { cause: failure })
    }
    if (this.#shaking !== undefined) return this.#shaking.failed(failure)
    if (failure === undefined) return undefined
    const options = { cause: failure }
    if (this.tls !== undefined && isOfTls(failure)) return new CastorError('TLS_FAILED', failure.message, options)
    return new CastorError(this.#opened ? 'PEER_RESET' : 'CONNECT_FAILED', failure.code ?? failure.message, options)
  }
}

/** What Node tells of a dial that failed. Without any address of its own family, a host has no ports to run out of. */
function isShortage({ code, address }: NodeJS.ErrnoException & { readonly address?: string }): boolean {
  if (!isLocalShortage(code)) return false
  return code !== 'EADDRNOTAVAIL' || address?.includes(':') !== true || hasIpv6()
}

const hasIpv6 = (): boolean =>
  Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'))

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
