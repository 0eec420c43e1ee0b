import type { Conn } from '../core/conn.js'
import { type ClientAddress, DirectAddress } from './client-address.js'
import { DISCARD } from './discard.js'
import { ClientSession } from './h1/client-session.js'
import type { ExchangePool } from './h1/exchange-pool.js'
import type { Http1Context } from './h1/h1-context.js'
import { ClientConnection } from './h2/client-connection.js'
import type { Http2Context } from './h2/h2-context.js'
import { type HttpVersion, VersionGate } from './h2/version-gate.js'
import type { Listener } from './listener.js'
import { ProxyGate } from './proxy-gate.js'
import { TcpSession } from './tcp/tcp-session.js'
import { TlsHandshake } from './tls-handshake.js'
import type { WorkerContext } from './worker-context.js'

/** What HTTP connections of a thread are served with. */
export interface Http1 {
  readonly context: Http1Context
  readonly exchanges: ExchangePool
  readonly http2: Http2Context
}

/** Begins to serve a connection that was just adopted, and counted: who it is from, then its listener's protocol. */
export function serve(
  context: WorkerContext,
  http1: Http1,
  listener: Listener,
  bind: { readonly address: string; readonly port: number },
  conn: Conn,
): void {
  const direct = new DirectAddress(conn, bind.address, bind.port)
  if (!listener.route.settings.proxied.has(conn.peer)) {
    secure(context, http1, listener, conn, direct, undefined)
    return
  }
  context.silent.add(conn, listener, false)
  const gate = new ProxyGate(context, listener, conn, direct, (clientAddress, early) =>
    secure(context, http1, listener, conn, clientAddress, early),
  )
  gate.start()
}

/** Where the listener speaks TLS, that comes before its protocol. */
function secure(
  context: WorkerContext,
  http1: Http1,
  listener: Listener,
  conn: Conn,
  clientAddress: ClientAddress,
  early: Uint8Array | undefined,
): void {
  if (listener.route.settings.config.tls === undefined) enter(context, http1, listener, conn, clientAddress, early)
  else if (listener.tls === undefined) {
    // It is gone, and what it spoke TLS with is, too: nothing of it is ever served in the clear.
    conn.handler = DISCARD
    conn.abort()
    listener.connectionClosed()
  } else {
    // Its own time-out holds until the handshake is done.
    context.silent.add(conn, listener, false)
    const done = (known: ClientAddress): void => enter(context, http1, listener, conn, known, undefined)
    new TlsHandshake(context, listener, conn, clientAddress, done).start(early)
  }
}

function enter(
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
      if (clientAddress.tls?.alpn === 'h2') begin(http1, listener, conn, clientAddress, early, 2)
      else if (clientAddress.tls !== undefined || listener.route.settings.config.http2 === undefined)
        begin(http1, listener, conn, clientAddress, early)
      else
        new VersionGate(context, listener, conn, (version, read) =>
          begin(http1, listener, conn, clientAddress, read, version),
        ).start(early)
      return
    case 'tcp':
    case 'tls':
      if (silent) context.silent.add(conn, listener, false)
      new TcpSession(context, listener, conn, clientAddress).start(early)
      return
  }
}

/** Serves a connection in the version of HTTP that its client speaks. */
function begin(
  http1: Http1,
  listener: Listener,
  conn: Conn,
  clientAddress: ClientAddress,
  early: Uint8Array | undefined,
  version: HttpVersion = 1,
): void {
  if (version === 2) new ClientConnection(http1.http2, listener, conn, clientAddress).start(early)
  else new ClientSession(http1.context, http1.exchanges, listener, conn, clientAddress).start(early)
}
