import type { Conn } from '../core/conn.js'
import type { Entrance } from '../core/messages.js'
import { type ClientOrigin, DirectOrigin } from './client-origin.js'
import { ClientSession } from './http1/client-session.js'
import type { ExchangePool } from './http1/exchange-pool.js'
import type { Http1Plane } from './http1/http1-plane.js'
import type { Listener } from './listener.js'
import type { Plane } from './plane.js'
import { ProxyGate } from './proxy-gate.js'
import { TcpSession } from './tcp/tcp-session.js'

/** What HTTP/1.1 connections of a thread are served with. */
export interface Http1 {
  readonly plane: Http1Plane
  readonly exchanges: ExchangePool
}

/** Begins to serve a connection that was just adopted: who it is from, then its listener's protocol. */
export function serve(plane: Plane, http1: Http1, listener: Listener, entrance: Entrance, conn: Conn): void {
  listener.connectionOpened()
  const direct = new DirectOrigin(conn, entrance.address, entrance.port)
  if (!listener.proxied.has(conn.peer)) {
    enter(plane, http1, listener, conn, direct, undefined)
    return
  }
  const gate = new ProxyGate(plane, listener, conn, direct, (origin, early) =>
    enter(plane, http1, listener, conn, origin, early),
  )
  gate.start()
}

function enter(
  plane: Plane,
  http1: Http1,
  listener: Listener,
  conn: Conn,
  origin: ClientOrigin,
  early: Uint8Array | undefined,
): void {
  switch (listener.config.protocol) {
    case 'http':
      new ClientSession(http1.plane, http1.exchanges, listener, conn, origin).start(early)
      return
    case 'tcp':
      new TcpSession(plane, listener, conn, origin).start(early)
      return
  }
}
