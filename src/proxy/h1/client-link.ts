// Hot path: once per request and less. What is known of a client.
import type { Conn } from '../../core/conn.js'
import type { RequestParser } from '../../http/request-parser.js'
import type { RequestHeadOptions } from '../../http/request-writer.js'
import { BodyPace } from '../../limits/body-pace.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { AnswerSink } from '../answer-sink.js'
import { type ClientAddress, type ForwardedLines, formatHost, forwardedLines } from '../client-address.js'
import type { Drainable } from '../drainables.js'
import { ForwardedClients } from '../forwarded-client.js'
import type { Listener } from '../listener.js'
import type { ListenerPlugins } from '../listener-plugins.js'
import type { RequestInfo } from '../request-info.js'
import type { Route } from '../route.js'
import type { RouteTable } from '../route-table.js'
import type { Target } from '../target.js'
import type { Http1Context } from './h1-context.js'
import { KeptBytes } from './kept-bytes.js'
import { PinnedConnections } from './pinned-connections.js'
import type { ServedRequest } from './served-request.js'
import { BODY_READ_BYTES, CONTINUE, POLL_MS, READING } from './session-state.js'

/** A client's connection, whatever is read from it: what its requests go by, and what targets are told of the client. */
export abstract class ClientLink implements Timed, Drainable {
  abstract readonly protocol: string
  grpc = false
  sink: AnswerSink | undefined = undefined
  /** Fields of the next head that its client did not send. */
  addedHeaders = 0
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  drainablesPlace = -1
  readonly context: Http1Context
  readonly listener: Listener
  /**
   * What the request under way goes by, and the connection with it; between requests, what was in force when its timers
   * last looked. The pace of bodies and the limits of heads stay what they were when the connection began.
   */
  route: Route
  /** Where it comes from. */
  #routes: RouteTable
  readonly conn: Conn
  /** Whom the request under way is from: the connection's peer, or whom it names where it is trusted. */
  clientAddress: ClientAddress
  /** Undefined where the peer, or whom its PROXY header names, is none of `trustForwardedFrom`. */
  protected clients: ForwardedClients | undefined
  protected readonly peer: ClientAddress
  inputEnded = false
  protected state: number = READING
  protected exchange: ServedRequest | undefined
  protected parser: RequestParser | undefined
  /** Bytes not dealt with yet: an unfinished head, a pipelined request, a body that its target is not ready for. */
  protected readonly kept = new KeptBytes()
  /** Loop time of the first byte of an unfinished head; −1 between requests. */
  protected headStartedMs = -1
  #forwarded: ForwardedLines | undefined
  #bodyPace: BodyPace | undefined
  #pinned: PinnedConnections | undefined
  #receivedCounted: number
  #sentCounted = 0

  constructor(context: Http1Context, listener: Listener, conn: Conn, clientAddress: ClientAddress) {
    this.context = context
    this.listener = listener
    this.#routes = listener.routes
    this.route = listener.route
    this.conn = conn
    this.clientAddress = clientAddress
    this.peer = clientAddress
    this.clients = this.#namedClients()
    // A handshake's bytes were counted by themselves.
    this.#receivedCounted = clientAddress.tls === undefined ? 0 : conn.bytesRead
  }

  /** A request begins, or none does: it goes by what is in force now; which rule it matches is not known yet. */
  takeRoute(): void {
    const { routes } = this.listener
    const before = this.#routes
    this.#setRoute(routes.fallback)
    if (routes === before) return
    // They would keep targets from leaving that this client is not given to any more.
    this.pinned?.closeOutside(routes)
    this.#routes = routes
    this.clients = this.#namedClients()
    this.clientAddress = this.peer
    this.#forwarded = undefined
  }

  /** The request's head is there, and its client known: from here to its end it goes by the rule that it matches. */
  chooseRoute(parser: RequestParser, buffer: Uint8Array, start: number): void {
    if (!this.#routes.hasRules) return
    const { routed } = this.context
    routed.parser = parser
    routed.buffer = buffer
    routed.start = start
    routed.source = this.clientAddress.source
    this.#setRoute(this.#routes.choose(routed))
  }

  /** Asked about the requests that go by what `takeRoute` has found; undefined without any. */
  get plugins(): ListenerPlugins | undefined {
    return this.#routes.plugins
  }

  /** From here to its end the request goes by that route. */
  goBy(route: Route): void {
    this.#setRoute(route)
  }

  #setRoute(route: Route): void {
    if (route === this.route) return
    if (route.forwarded !== this.route.forwarded) this.#forwarded = undefined
    this.route = route
  }

  nameClient(parser: RequestParser, buffer: Uint8Array, start: number): void {
    if (this.clients !== undefined) this.clientAddress = this.clients.of(parser, buffer, start)
  }

  /** Where the peer is trusted to say whom its requests are from. */
  #namedClients(): ForwardedClients | undefined {
    const { trusted } = this.route.settings
    return trusted.has(this.peer.source) ? new ForwardedClients(this.peer, trusted) : undefined
  }

  get bodyPace(): BodyPace {
    const { bodyMinRateBytesPerSecond } = this.context.protection
    return (this.#bodyPace ??= new BodyPace(bodyMinRateBytesPerSecond, this.route.settings.config.idleTimeoutMs))
  }

  get receivedBytes(): number {
    return this.conn.bytesRead
  }

  get pinned(): PinnedConnections | undefined {
    return this.#pinned
  }

  pin(conn: Conn, target: Target, keepClient: boolean): void {
    this.#pinned ??= new PinnedConnections()
    this.#pinned.put(conn, target)
    if (!keepClient) this.#pinned.closeAll()
  }

  /** Its own, not those that it shares with others. */
  protected closePinned(): void {
    this.#pinned?.closeAll()
  }

  abstract onTimeout(nowMs: number): number

  abstract drain(): void

  abstract onTargetRemoved(targetSlot: number): void

  abstract cut(): void

  get forwarded(): ForwardedLines {
    // Each proxy says whom it was asked by, whoever the client is.
    return (this.#forwarded ??= forwardedLines(
      this.peer,
      this.route.forwarded,
      this.route.settings.asksForCertificates,
    ))
  }

  headOptions(info: RequestInfo): RequestHeadOptions {
    const { forwarded } = this
    const { config } = this.route.group
    const options = this.context.headOptions
    options.clientAddress = forwarded.clientAddress
    options.fixedLines = forwarded.fixedLines
    options.forwardedPrefix = forwarded.forwardedPrefix
    options.appendForwarded = this.clients !== undefined
    options.forwardHost = config.forwarded.host
    options.via = config.forwarded.via
    options.requestId = info.requestIdBytes
    options.upgrade = info.upgrade
    options.addedLength = 0
    options.rewritten = undefined
    // An HTTP/1.0 client may leave Host out; what it dialled is what it must mean.
    if (!info.hasHost) options.defaultHost = Buffer.from(formatHost(this.clientAddress), 'latin1')
    return options
  }

  get firstReadBytes(): number {
    return BODY_READ_BYTES
  }

  widen(upstream: Conn): void {
    upstream.readSize = BODY_READ_BYTES
  }

  checkWithin(delayMs: number): void {
    if (delayMs < POLL_MS && this.context.clock.nowMs + delayMs < this.timerDeadlineMs)
      this.context.wheel.schedule(this, delayMs)
  }

  countBytes(): void {
    this.listener.countBytes(this.conn.bytesRead - this.#receivedCounted, this.conn.bytesWritten - this.#sentCounted)
    this.#receivedCounted = this.conn.bytesRead
    this.#sentCounted = this.conn.bytesWritten
  }

  /**
   * The client has half-closed while its answer is awaited. Nobody can tell one that only stopped sending from one that
   * is gone. An interim response, which every client must be able to skip (RFC 9110 15.2), can: the system of one that
   * is gone answers it with a reset.
   */
  probe(): number {
    this.conn.write(CONTINUE, 0, CONTINUE.length)
    return CONTINUE.length
  }
}
