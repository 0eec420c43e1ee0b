import type { Conn } from '../core/conn.js'
import type { CastorError } from '../core/errors.js'
import { isHttpListener } from '../core/protocols.js'
import { type TlsFault, TlsHandshakeError } from '../core/tls.js'
import { writeReply } from '../http/reply.js'
import { type ClientAddress, SecuredAddress } from './client-address.js'
import { Gate } from './gate.js'
import type { Listener } from './listener.js'
import type { WorkerContext } from './worker-context.js'

/** How long a client that was told to use https may take to read it. */
const LINGER_MS = 1_000
const NO_ID = new Uint8Array(0)
/** What requests begin with; all else is TLS, or the transport says what it is. */
const PLAIN_REQUEST = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) /

/**
 * One client connection of a tls or https listener until its handshake is done: then the listener's protocol takes it
 * over. Nothing is set up for a client before its first byte.
 */
export class TlsHandshake extends Gate {
  readonly #clientAddress: ClientAddress
  readonly #enter: (clientAddress: ClientAddress) => void
  /** Known before the connection closes. */
  #fault: TlsFault | undefined
  /** Whoever only looks whether the port is open says nothing, and nothing is wrong with that. */
  #noFault = false
  #begun = false
  #answered = false

  /** `enter` is called once, when the handshake is done. */
  constructor(
    context: WorkerContext,
    listener: Listener,
    conn: Conn,
    clientAddress: ClientAddress,
    enter: (clientAddress: ClientAddress) => void,
  ) {
    super(context, listener, conn, clientAddress.place)
    this.#clientAddress = clientAddress
    this.#enter = enter
  }

  /** `early` is what came behind a PROXY header in the same read; borrowed. */
  start(early: Uint8Array | undefined): void {
    this.hold(this.listener.route.settings.config.tls!.handshakeTimeoutMs)
    // To be had from the kernel only while the connection is open, and the log asks when it is closed.
    if (this.context.accessLog !== undefined) void this.#clientAddress.vip
    if (early !== undefined && early.length > 0) this.#begin(early)
  }

  override drain(): void {
    this.cut()
  }

  override cut(): void {
    this.#noFault = true
    this.conn.abort()
  }

  override onOpen(conn: Conn): void {
    this.listener.countHandshake(conn.tls!)
    this.leave()
    this.#enter(new SecuredAddress(this.#clientAddress, conn.tls))
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    if (!this.#begun && !this.#answered) this.#begin(buffer.subarray(0, length))
  }

  override onEnd(conn: Conn): void {
    if (!this.#begun && !this.#answered) this.#noFault = true
    conn.close()
  }

  override onClose(conn: Conn, cause?: CastorError): void {
    super.onClose(conn)
    if (this.#noFault) return
    const known = cause instanceof TlsHandshakeError ? cause : undefined
    const fault = this.#fault ?? known?.fault ?? 'CLIENT_CLOSED'
    this.listener.countHandshakeFault(fault)
    const { name } = this.listener
    this.context.tlsLog.clientFailed(name, this.#clientAddress.source.address, fault, known?.message)
  }

  onTimeout(): number {
    this.#fault ??= 'HANDSHAKE_TIMEOUT'
    this.conn.abort()
    return 0
  }

  /** `first` is borrowed. */
  #begin(first: Uint8Array): void {
    const isRequest = PLAIN_REQUEST.test(
      Buffer.from(first.buffer, first.byteOffset, Math.min(first.length, 8)).toString('latin1'),
    )
    if (isRequest && isHttpListener(this.listener.route.settings.config.protocol)) {
      this.#answerPlain()
      return
    }
    const { source, place } = this.#clientAddress
    if (!this.context.sources.mayShakeHands(place, source, this.listener)) {
      this.cut()
      return
    }
    this.#begun = true
    // A hello is nothing that a client has to say yet.
    this.context.silent.add(this.conn, this.listener, false)
    this.context.transport.secure(this.conn, this.listener.tls!, first)
  }

  /** Whoever typed http:// for https:// is told so in their own language. */
  #answerPlain(): void {
    this.#answered = true
    this.#fault = 'PLAIN_HTTP'
    const { scratch } = this.context.transport
    const end = writeReply(scratch, 0, {
      status: 400,
      requestId: NO_ID,
      close: true,
      head: false,
      versionMinor: 1,
      detail: 'this port speaks https',
    })
    this.conn.write(scratch, 0, end)
    this.conn.end()
    this.context.wheel.schedule(this, LINGER_MS)
  }
}
