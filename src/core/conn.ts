import type { Clock } from './clock.js'
import type { CastorError } from './errors.js'
import type { ClientTls, ClientTlsConfig, ServerTls, ServerTlsConfig, TlsInfo } from './tls.js'

/**
 * What a connection tells whoever owns it. One object handles many connections, so nothing is bound per event:
 * each call names the connection it is about.
 */
export interface ConnHandler {
  /**
   * A connection that was dialled is there, or the handshake of one that speaks TLS is finished. Never called for a plain
   * one that was accepted.
   */
  onOpen(conn: Conn): void
  /** Bytes [0, length) of a borrowed buffer, valid until the call returns: parse, copy or write them now. */
  onData(conn: Conn, buffer: Uint8Array, length: number): void
  /** The peer will send no more (half-close). Writing is still possible. */
  onEnd(conn: Conn): void
  /** After `write()` returned false: the queue is empty again. */
  onWritable(conn: Conn): void
  /**
   * Exactly once, last of all; never from within `write`, `pause`, `resume` or `end`. `cause` is missing after an orderly
   * close by both sides, `close()` or `abort()`. A dial that failed ends here too, with CONNECT_FAILED, and a handshake
   * that failed, with a TlsHandshakeError. Over TLS, a stream that ends without the peer having said so is a cut one:
   * TLS_TRUNCATED, where the implementation can tell.
   */
  onClose(conn: Conn, cause?: CastorError): void
}

/** One byte stream, however it is carried. Nothing above this contract knows about streams, sockets or descriptors. */
export interface Conn {
  handler: ConnHandler
  /** Free for the handler: its state for this connection. */
  context: unknown
  readonly peer: Endpoint
  /** The address the peer dialled; looked up when first asked for. */
  readonly local: Endpoint
  /** What the handshake agreed on, from `onOpen` on; undefined before, and for a plain connection. */
  readonly tls: TlsInfo | undefined
  /** Bytes read and written so far, without what TLS puts around them. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Loop time (`Clock.nowMs`) of the last byte in either direction. */
  readonly lastActiveMs: number
  /** The most bytes one `onData` brings, where the implementation can choose; small while heads are read, large for bodies. */
  readSize: number
  /** True once `onClose` was or is about to be called. */
  readonly closed: boolean
  /** The peer has reset it, and what it had sent before that is still to be read: nobody is left to write to. */
  readonly peerReset: boolean
  /**
   * What had been written and was not acknowledged by the peer's system when the peer's end of the stream was read, in
   * bytes: nobody there can have read it. 0 before that, and where it cannot be told, as over TLS.
   */
  readonly unacknowledgedBytes: number
  /** Loop time at which a dial began, negative while this host has no socket for it; 0 of an accepted connection. */
  readonly dialledMs: number
  /**
   * The client whose share of the sockets to targets it counts in: of a connection to a target, the one that it serves; of
   * a client's stream, its own. Undefined where nobody's is counted.
   */
  share: SocketShare | undefined
  /** Set while nothing has come from the client of an accepted connection; told of its end once, and then let go of. */
  silence: Silence | undefined
  /** True when the kernel took it all. False: the rest was kept (copied if the buffer is borrowed), `onWritable` follows. */
  write(buffer: Uint8Array, start: number, end: number): boolean
  /**
   * What has come that was not read yet. For a connection that lay idle, before it is used again; costs a system call. An
   * implementation that cannot look ahead of the loop knows only what the loop has brought.
   */
  lookAhead(): Ahead
  pause(): void
  resume(): void
  /** Half-close after what is queued. When the peer has ended too, the connection closes. Idempotent. */
  end(): void
  /** Closes both ways after what is queued, for when all that the peer sent has been read. Idempotent. */
  close(): void
  /** Reset now; `onClose` follows before the call returns. Idempotent. */
  abort(): void
}

/** Nothing has come that was not read. */
export const AHEAD_NOTHING = 0
export const AHEAD_BYTES = 1
/** The end of the stream or a reset, perhaps behind bytes. */
export const AHEAD_END = 2
export type Ahead = typeof AHEAD_NOTHING | typeof AHEAD_BYTES | typeof AHEAD_END

/** Somebody waits for a client to say something. */
export interface Silence {
  /** Something has come, or the connection is closed. */
  over(): void
}

/** Sockets to targets that are open on behalf of one client's connection, where that may have many at once. */
export interface SocketShare {
  held: number
}

/** What makes connections in a thread: adopts accepted ones, dials new ones. */
export interface Transport {
  readonly clock: Clock
  /**
   * A buffer to put bytes together in before one `write`. Its content is gone after the call that wrote it: it is shared
   * by all connections of the thread.
   */
  readonly scratch: Uint8Array
  /** Takes over the connection at word `at` of `records` (or `socket`, where the acceptor hands sockets over). */
  adopt(records: Int32Array, at: number, socket: unknown, handler: ConnHandler): Conn
  /**
   * `address` is an IP address in text; with `tls`, spoken to over TLS by it, after `inClear`, a few hundred bytes at most,
   * which are the transport's from here on. Writes before `onOpen` are kept. Where this host has no socket for it, or
   * `share` holds too many, it waits for one for a moment, and ends with LOCAL_SHORTAGE where none comes.
   * After `keepAliveSeconds` of silence the system asks whether the target is still there; 0 or nothing = never.
   */
  dial(
    address: string,
    port: number,
    handler: ConnHandler,
    tls?: ClientTls,
    inClear?: Uint8Array,
    share?: SocketShare,
    keepAliveSeconds?: number,
  ): Conn
  /** Whether a client with this share may hold one more socket to a target, were there one. */
  mayHold(share: SocketShare | undefined): boolean
  /** Throws CastorError TLS_CONFIG that says what is wrong with the certificates or rules. */
  serverTls(config: ServerTlsConfig): ServerTls
  /** Throws CastorError TLS_CONFIG likewise. */
  clientTls(config: ClientTlsConfig): ClientTls
  /**
   * From here on an accepted plain connection speaks TLS, as the server; nothing may have been written to it yet. `early`
   * are bytes already read from it that belong to the handshake, copied if they must be kept. Nothing is called before
   * this returns; `pause` holds up data, not the handshake. How long that may take is the caller's to watch.
   */
  secure(conn: Conn, context: ServerTls, early: Uint8Array | undefined): void
  /** Connections open now, accepted and dialled. */
  readonly size: number
  /** Resets what is open and gives back what the thread held. Idempotent. */
  dispose(): void
}

/** One side of a TCP connection. `family` 4 or 6; `address` in text, IPv4-mapped IPv6 addresses written as IPv4. */
export interface Endpoint {
  readonly family: 4 | 6
  readonly address: string
  readonly port: number
}
