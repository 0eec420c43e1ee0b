import type { Conn } from '../core/conn.js'
import type { Entrance } from '../core/messages.js'
import { type ClientOrigin, DirectOrigin } from './client-address.js'
import { ClientSession } from './h1/client-session.js'
import type { ExchangePool } from './h1/exchange-pool.js'
import type { Http1Plane } from './h1/h1-context.js'
import { ClientConnection } from './h2/client-connection.js'
import type { Http2Plane } from './h2/h2-context.js'
import { type HttpVersion, VersionGate } from './h2/version-gate.js'
import type { Listener } from './listener.js'
import { ProxyGate } from './proxy-gate.js'
import { TcpSession } from './tcp/tcp-session.js'
import { TlsHandshake } from './tls-handshake.js'
import type { Plane } from './worker-context.js'

/** What HTTP connections of a thread are served with. */
export interface Http1 {
  readonly plane: Http1Plane
  readonly exchanges: ExchangePool
  readonly http2: Http2Plane
}

/** Begins to serve a connection that was just adopted, and counted: who it is from, then its listener's protocol. */
export function serve(plane: Plane, http1: Http1, listener: Listener, entrance: Entrance, conn: Conn): void {
  const direct = new DirectOrigin(conn, entrance.address, entrance.port)
  if (!listener.proxied.has(conn.peer)) {
    secure(plane, http1, listener, conn, direct, undefined)
    return
  }
  plane.silent.add(conn, listener, false)
  const gate = new ProxyGate(plane, listener, conn, direct, (origin, early) =>
    secure(plane, http1, listener, conn, origin, early),
  )
  gate.start()
}

/** Where the listener speaks TLS, that comes before its protocol. */
function secure(
  plane: Plane,
  http1: Http1,
  listener: Listener,
  conn: Conn,
  origin: ClientOrigin,
  early: Uint8Array | undefined,
): void {
  if (listener.tls === undefined) enter(plane, http1, listener, conn, origin, early)
  else {
    // Its own time-out holds until the handshake is done.
    plane.silent.add(conn, listener, false)
    const done = (known: ClientOrigin): void => enter(plane, http1, listener, conn, known, undefined)
    new TlsHandshake(plane, listener, conn, origin, done).start(early)
  }
}

function enter(
  plane: Plane,
  http1: Http1,
  listener: Listener,
  conn: Conn,
  origin: ClientOrigin,
  early: Uint8Array | undefined,
): void {
  const silent = early === undefined || early.length === 0
  switch (listener.config.protocol) {
    case 'http':
    case 'https':
      if (silent) plane.silent.add(conn, listener, true)
      if (origin.tls?.alpn === 'h2') begin(http1, listener, conn, origin, early, 2)
      else if (origin.tls !== undefined || listener.config.http2 === undefined)
        begin(http1, listener, conn, origin, early)
      else
        new VersionGate(plane, listener, conn, (version, read) =>
          begin(http1, listener, conn, origin, read, version),
        ).start(early)
      return
    case 'tcp':
    case 'tls':
      if (silent) plane.silent.add(conn, listener, false)
      new TcpSession(plane, listener, conn, origin).start(early)
      return
  }
}

/** Serves a connection in the version of HTTP that its client speaks. */
function begin(
  http1: Http1,
  listener: Listener,
  conn: Conn,
  origin: ClientOrigin,
  early: Uint8Array | undefined,
  version: HttpVersion = 1,
): void {
  if (version === 2) new ClientConnection(http1.http2, listener, conn, origin).start(early)
  else new ClientSession(http1.plane, http1.exchanges, listener, conn, origin).start(early)
}
