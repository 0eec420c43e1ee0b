import type { Conn } from '../../core/conn.js'
import type { RequestHeadOptions } from '../../http/request-writer.js'
import type { BodyPace } from '../../limits/body-pace.js'
import type { AnswerSink } from '../answer-sink.js'
import type { ClientAddress } from '../client-address.js'
import type { Listener } from '../listener.js'
import type { RequestInfo } from '../request-info.js'
import type { Route } from '../route.js'
import type { Target } from '../target.js'
import type { PinnedConnections } from './pinned-connections.js'

/** Whoever a request came from, as the exchange that serves it sees them. */
export interface Requester {
  readonly listener: Listener
  /** What the request under way goes by. */
  readonly route: Route
  readonly clientAddress: ClientAddress
  /** How the request came, for the log; empty = by HTTP/1, whose minor version the request says. */
  readonly protocol: string
  /** It is a gRPC call, whose client reads no text. */
  readonly grpc: boolean
  /** How fast bodies come on the client's connection; its streams share it. */
  readonly bodyPace: BodyPace
  /** Bytes that came on the client's connection, whatever they were for. */
  readonly receivedBytes: number
  /** Where the response goes. */
  readonly conn: Conn
  /** Where the final response goes by its parts; undefined where it is written as HTTP/1.1. */
  readonly sink: AnswerSink | undefined
  /** The client has half-closed. */
  readonly inputEnded: boolean
  /** Target connections that only this client may use; undefined without any. */
  readonly pinned: PinnedConnections | undefined
  /**
   * Keeps the connection for this client's requests alone, for as long as the client stays (RFC 9110 3.3), which it does
   * not without `keepClient`.
   */
  pin(conn: Conn, target: Target, keepClient: boolean): void
  /** What is to be added to the request's head; read before the next call. */
  headOptions(info: RequestInfo): RequestHeadOptions
  /** Looks at the timers again within `delayMs`, sooner than they would by themselves. */
  checkWithin(delayMs: number): void
  countBytes(): void
  /** Bytes to read from a target at once, until `widen`. */
  readonly firstReadBytes: number
  /** The client takes the response as it comes: more of it may be fetched ahead. */
  widen(upstream: Conn): void
  /** The exchange needs body bytes that were kept while it had nowhere to send them. */
  feedBody(): void
  /** Sends what tells a client that only half-closed from one that is gone. Returns its bytes. */
  probe(): number
  /**
   * The exchange is over. `keep`: the connection may carry another request. `blocked`: the answer is not all with the
   * kernel yet, and a client that reads nothing must not have more fetched for it. `waits`: the exchange is to be told what
   * became of that, by `settle` or `onClientGone`.
   */
  onExchangeDone(keep: boolean, requestComplete: boolean, blocked: boolean, waits: boolean): void
  /** The response was cut off; `reset` where nothing in its framing would tell. */
  cutShort(reset: boolean): void
  /**
   * The response was cut off, and nothing in its framing tells: what came of it is delivered, and then a reset.
   * `blocked`: not all of it is with the kernel yet.
   */
  cutUnframed(blocked: boolean): void
  /** From here on a tunnel owns the connection, and is drained or cut instead. Returns what the client sent ahead, if anything. */
  becomeTunnel(): Uint8Array | undefined
  onTunnelClosed(): void
}
