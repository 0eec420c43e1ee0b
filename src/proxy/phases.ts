// Hot path: every connection and every request passes here. No closures or promises per request.
import type { Conn } from '../core/conn.js'
import { ChunkedDecoder } from '../http/chunked-decoder.js'
import type { RequestParser } from '../http/request-parser.js'
import { ResponseParser } from '../http/response-parser.js'
import { type ClientAddress, DirectAddress } from './client-address.js'
import { DISCARD } from './discard.js'
import { BodyRelay } from './h1/body-relay.js'
import { ClientSession } from './h1/client-session.js'
import { Exchange } from './h1/exchange.js'
import type { Http1Context } from './h1/h1-context.js'
import { Mirrors } from './h1/mirrors.js'
import { PluggedExchange } from './h1/plugged-exchange.js'
import { PluggedRequest, type PluggedServer } from './h1/plugged-request.js'
import type { RequestServer, RequestSource } from './h1/served-request.js'
import { ClientConnection } from './h2/client-connection.js'
import type { Http2Context } from './h2/h2-context.js'
import { type HttpVersion, VersionGate } from './h2/version-gate.js'
import type { Listener } from './listener.js'
import { ProxyGate } from './proxy-gate.js'
import { TcpSession } from './tcp/tcp-session.js'
import { TlsHandshake } from './tls-handshake.js'
import type { WorkerContext } from './worker-context.js'

/**
 * The way of a request, top to bottom:
 *
 *   accept → client address → TLS → head → route → limits → pick → connect → send → receive → relay → log
 *
 * Plug-ins are asked behind head, route, before send, behind receive and at log: where a listener has any, `PluggedRequest`
 * and `PluggedExchange` go this way with them.
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

/** Serves the requests of a thread, one object for each that is under way: an idle connection holds none. */
export class RequestPhases implements RequestServer, PluggedServer {
  readonly #context: Http1Context
  readonly #free: Exchange[] = []
  readonly #freePlugged: PluggedExchange[] = []
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
    this.#freePlugged.length = 0
  }

  /** Head: all of it is there. What answers itself goes from the route to the log at once. */
  onHead(session: RequestSource, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    session.takeRoute()
    session.nameClient(parser, buffer, start)
    const { requestLimits } = this.#context
    const refusal = requestLimits.isAny ? requestLimits.refusal(session, parser) : undefined
    if (refusal !== undefined) return session.answer(parser, buffer, start, refusal)
    const { plugins } = session
    if (plugins !== undefined)
      return new PluggedRequest(this.#context, this, session, plugins, parser, buffer, start).begin(buffer, start, end)
    session.chooseRoute(parser, buffer, start)
    const { answer } = session.route
    if (answer !== undefined) return session.answer(parser, buffer, start, answer)
    const exchange = this.#take()
    session.onBegun(exchange, parser.hasBody)
    return exchange.begin(session, parser, buffer, start, end)
  }

  servePlugged(run: PluggedRequest, session: RequestSource, buffer: Uint8Array, start: number, end: number) {
    const exchange = this.#freePlugged.pop() ?? this.#make(PluggedExchange, this.#freePlugged)
    session.onBegun(exchange, run.parser.hasBody)
    const next = exchange.serve(run, session, buffer, start, end)
    return { next, isOver: !exchange.serves(run) }
  }

  #take(): Exchange {
    const known = this.#free.pop()
    if (this.#free.length < this.#least) this.#least = this.#free.length
    return known ?? this.#make(Exchange, this.#free)
  }

  #make<T extends Exchange>(kind: new (...parts: ConstructorParameters<typeof Exchange>) => T, home: T[]): T {
    const { limits, transport } = this.#context
    // A response's head is put together in scratch, with hardly anything added.
    const maxHeaderBytes = Math.min(limits.maxHeaderBytes, transport.scratch.length / 2)
    const relay = (): BodyRelay => new BodyRelay(new ChunkedDecoder(limits))
    const parser = new ResponseParser({ ...limits, maxHeaderBytes })
    return new kind(this.#context, parser, relay(), relay(), this.#mirrors, home as Exchange[])
  }
}
