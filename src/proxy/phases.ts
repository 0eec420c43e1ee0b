// Hot path: every connection and every request passes here. No closures or promises per request.
import type { Conn } from '../core/conn.js'
import type { ReasonCode } from '../core/reasons.js'
import { ChunkedDecoder } from '../http/chunked-decoder.js'
import type { RequestParser } from '../http/request-parser.js'
import { writeRequestHead } from '../http/request-writer.js'
import { ResponseParser } from '../http/response-parser.js'
import { type ClientAddress, DirectAddress } from './client-address.js'
import { DISCARD } from './discard.js'
import { BodyRelay, requestFraming } from './h1/body-relay.js'
import { ClientSession } from './h1/client-session.js'
import { FINISHING, OVER, STREAMING } from './h1/exchange-phase.js'
import type { Http1Context } from './h1/h1-context.js'
import { HeadEdits } from './h1/head-edits.js'
import { Mirrors } from './h1/mirrors.js'
import type { Requester } from './h1/requester.js'
import type { RequestServer, RequestSource } from './h1/served-request.js'
import { RequestTiming } from './h1/time-request.js'
import { UPSTREAM_READY } from './h1/upstream-state.js'
import { ClientConnection } from './h2/client-connection.js'
import type { Http2Context } from './h2/h2-context.js'
import { type HttpVersion, VersionGate } from './h2/version-gate.js'
import type { Listener } from './listener.js'
import { logRequest } from './log-request.js'
import { ProxyGate } from './proxy-gate.js'
import { TcpSession } from './tcp/tcp-session.js'
import { TlsHandshake } from './tls-handshake.js'
import type { WorkerContext } from './worker-context.js'

/**
 * The way of a request, top to bottom:
 *
 *   accept → client address → TLS → head → route → limits → pick → connect → send → receive → relay → log
 *
 * A phase calls the next one, at once or when what it waits for is there. HTTP/2 goes the same way: a stream is a connection
 * that carries one request.
 */

/** What HTTP connections of a thread are served with. */
export interface Http1 {
  readonly context: Http1Context
  readonly requests: RequestServer
  readonly http2: Http2Context
}

/** Accept: a connection was just adopted, and counted; its source too, at `place`, unless that is −1. */
export function accept(
  context: WorkerContext,
  http1: Http1,
  listener: Listener,
  bind: { readonly address: string; readonly port: number },
  conn: Conn,
  place: number,
): void {
  identify(context, http1, listener, new DirectAddress(conn, bind.address, bind.port, place), conn)
}

/** Client address: the peer, or whom a trusted proxy in front names in a PROXY header. */
function identify(context: WorkerContext, http1: Http1, listener: Listener, direct: ClientAddress, conn: Conn): void {
  if (!listener.route.settings.proxied.has(conn.peer)) {
    secure(context, http1, listener, conn, direct, undefined)
    return
  }
  context.silent.add(conn, listener, false)
  const gate = new ProxyGate(context, listener, conn, direct, (named, early) =>
    secure(context, http1, listener, conn, named, early),
  )
  gate.start()
}

/** TLS: where the listener speaks it, the handshake comes before its protocol. */
function secure(
  context: WorkerContext,
  http1: Http1,
  listener: Listener,
  conn: Conn,
  clientAddress: ClientAddress,
  early: Uint8Array | undefined,
): void {
  if (listener.route.settings.config.tls === undefined) speak(context, http1, listener, conn, clientAddress, early)
  else if (listener.tls === undefined) {
    // It is gone, and what it spoke TLS with is, too: nothing of it is ever served in the clear.
    conn.handler = DISCARD
    conn.abort()
    listener.connectionClosed(clientAddress.place)
  } else {
    // Its own time-out holds until the handshake is done.
    context.silent.add(conn, listener, false)
    const done = (known: ClientAddress): void => speak(context, http1, listener, conn, known, undefined)
    new TlsHandshake(context, listener, conn, clientAddress, done).start(early)
  }
}

/** Protocol: TCP goes its own way, from limits to log in its session; HTTP says first which version of it is spoken. */
function speak(
  context: WorkerContext,
  http1: Http1,
  listener: Listener,
  conn: Conn,
  clientAddress: ClientAddress,
  early: Uint8Array | undefined,
): void {
  const silent = early === undefined || early.length === 0
  switch (listener.route.settings.config.protocol) {
    case 'http':
    case 'https':
      if (silent) context.silent.add(conn, listener, true)
      if (clientAddress.tls?.alpn === 'h2') readHeads(http1, listener, conn, clientAddress, early, 2)
      else if (clientAddress.tls !== undefined || listener.route.settings.config.http2 === undefined)
        readHeads(http1, listener, conn, clientAddress, early)
      else
        new VersionGate(context, listener, conn, clientAddress.place, (version, read) =>
          readHeads(http1, listener, conn, clientAddress, read, version),
        ).start(early)
      return
    case 'tcp':
    case 'tls':
      if (silent) context.silent.add(conn, listener, false)
      new TcpSession(context, listener, conn, clientAddress).start(early)
      return
  }
}

/** Head: the client's session reads them, or a session for each stream does, and calls `onHead` with each. */
function readHeads(
  http1: Http1,
  listener: Listener,
  conn: Conn,
  clientAddress: ClientAddress,
  early: Uint8Array | undefined,
  version: HttpVersion = 1,
): void {
  if (version === 2) new ClientConnection(http1.http2, listener, conn, clientAddress).start(early)
  else new ClientSession(http1.context, http1.requests, listener, conn, clientAddress).start(early)
}

/** Objects that nobody has needed for so long are let go of. */
const LOOK_EVERY_MS = 5_000

/** Why a request is refused that a rule would make into none, by status. */
const EDIT_REASONS: Readonly<Record<number, ReasonCode>> = {
  400: 'BAD_REQUEST',
  414: 'TARGET_LINE_TOO_LONG',
  431: 'HEADER_TOO_LARGE',
}

/** Serves the requests of a thread, one object for each that is under way: an idle connection holds none. */
export class RequestPhases implements RequestServer {
  readonly #context: Http1Context
  readonly #free: Exchange[] = []
  /** The fewest that were spare at once since `#lookedMs`: nobody has needed those. */
  #least = 0
  #lookedMs = 0
  readonly #mirrors: Mirrors

  constructor(context: Http1Context) {
    this.#context = context
    this.#mirrors = new Mirrors(context)
  }

  /** Spare objects hold on to the last sessions that they served, and streams with them. */
  forgetSpare(nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_EVERY_MS) return
    this.#lookedMs = nowMs
    const free = this.#free
    free.length = Math.max(0, free.length - this.#least)
    this.#least = free.length
  }

  /** Head: all of it is there. What answers itself goes from the route to the log at once. */
  onHead(session: RequestSource, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    session.takeRoute()
    session.nameClient(parser, buffer, start)
    session.chooseRoute(parser, buffer, start)
    if (session.route.answer !== undefined) return session.answer(parser, buffer, start)
    const exchange = this.#take()
    session.onBegun(exchange, parser.hasBody)
    return exchange.begin(session, parser, buffer, start, end)
  }

  #take(): Exchange {
    const known = this.#free.pop()
    if (this.#free.length < this.#least) this.#least = this.#free.length
    if (known !== undefined) return known
    const { limits, transport } = this.#context
    // A response's head is put together in scratch, with hardly anything added.
    const maxHeaderBytes = Math.min(limits.maxHeaderBytes, transport.scratch.length / 2)
    const relay = (): BodyRelay => new BodyRelay(new ChunkedDecoder(limits))
    const parser = new ResponseParser({ ...limits, maxHeaderBytes })
    return new Exchange(this.#context, parser, relay(), relay(), this.#mirrors, this.#free)
  }
}

/** One request and its response, from the route on. What each phase does is in the file of its name. */
class Exchange extends RequestTiming {
  readonly #mirrors: Mirrors
  readonly #home: Exchange[]

  /** `home` takes it back when it is over. */
  constructor(
    context: Http1Context,
    parser: ResponseParser,
    request: BodyRelay,
    response: BodyRelay,
    mirrors: Mirrors,
    home: Exchange[],
  ) {
    super(context, parser, request, response)
    this.#mirrors = mirrors
    this.#home = home
  }

  /** Takes the request on. Returns the first byte after what it has consumed: the head and, where it could, body. */
  begin(session: Requester, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    const { scratch } = this.context.transport
    const next = start + parser.headLength
    this.open(session, parser)
    this.#route(parser, buffer, start)
    const headEnd = this.#limit(parser, buffer, start)
    if (headEnd < 0) return next
    // Pick, connect: where that takes time, `onUpstreamTurn` and `onUpstreamOpen` go on.
    const state = this.upstream.pickAndConnect()
    this.proceed(state)
    return state === UPSTREAM_READY ? this.send(scratch, headEnd, buffer, next, end) : next
  }

  /** Route: what binds it to a target, and what is known of it from here on. */
  #route(parser: RequestParser, buffer: Uint8Array, start: number): void {
    const { context, info, session } = this
    const { hash, group, settings } = session.route
    group.stickiness?.bindRequest(this.affinity, parser, buffer, start, session.clientAddress)
    info.capture(parser, buffer, start, session.protocol, context.requestIds.next(), context.accessLog !== undefined)
    info.upgrade = settings.upgrades.offered(parser, buffer, start)
    this.requestBody.begin(requestFraming(parser), parser.contentLength, parser.chunked)
    const once = !this.requestBody.none || !info.idempotent
    this.upstream.begin(session, hash.of(parser, buffer, start), this.affinity, parser.connectionAuth, once)
  }

  /** Limits: it counts for the retries that its group may make. Returns the end of its head in scratch, −1 where it has failed. */
  #limit(parser: RequestParser, buffer: Uint8Array, start: number): number {
    const { session } = this
    session.route.group.retryBudget.countRequest()
    const { scratch } = this.context.transport
    const options = session.headOptions(this.info)
    const { edits } = session.route
    if (edits !== undefined) {
      this.edits ??= new HeadEdits()
      const status = this.edits.begin(edits, session, this.info, parser, buffer, start, options)
      if (status !== 0) {
        this.fail(status, EDIT_REASONS[status]!)
        return -1
      }
      if (edits.request !== undefined) this.requestBody.removeTrailers(edits.request.removed)
    }
    const headEnd = writeRequestHead(scratch, 0, parser, buffer, start, options)
    // A huge head with a huge Host, which is written three times, may be more than fits.
    if (headEnd < 0) this.fail(431, 'HEADER_TOO_LARGE')
    else {
      this.upstream.head.keep(headEnd)
      if (session.route.mirror !== undefined) this.copy = this.#mirrors.copy(session, this.info, parser, headEnd)
    }
    return headEnd
  }

  /** Receive, relay. */
  onUpstreamData(buffer: Uint8Array, length: number): void {
    if (this.phase === STREAMING) this.relay(buffer, length)
    else if (this.phase === FINISHING) this.conclude(true)
    else this.receive(buffer, length)
  }

  /** The request ends before it was whole: its copy never will be. */
  #dropCopy(): void {
    this.copy?.drop()
    this.copy = undefined
  }

  /** Log: the last phase, after which it serves another request. */
  protected account(reason: ReasonCode, tunnelReceived: number, tunnelSent: number): void {
    const { info } = this
    this.phase = OVER
    if (this.copy !== undefined) this.#dropCopy()
    this.pace.end(this.context.clock.nowMs, this.session)
    info.receivedBytes = this.requestBody.bytes + tunnelReceived
    info.sentBytes += this.responseBody.bytes + tunnelSent - this.undeliveredBytes
    logRequest(this.context, info, reason)
    this.upstream.finish()
    this.head.reset()
    this.#home.push(this)
  }
}
