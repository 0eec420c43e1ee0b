import type { TargetHttp2Config } from '../../core/config-tls.js'
import type { Conn } from '../../core/conn.js'
import { Http2Connection } from '../../http/h2/connection.js'
import {
  DEFAULT_H2_LIMITS,
  DEFAULT_H2_SETTINGS,
  type H2Connection,
  type H2Handler,
  type H2Limits,
  type H2Settings,
} from '../../http/h2/engine.js'
import type { ClientAddress } from '../client-address.js'
import type { Listener } from '../listener.js'
import { SHARE_BYTES } from './ahead.js'
import type { Http2Context } from './h2-context.js'

/** What a field costs in a header list beside its bytes (RFC 9113 6.5.2). */
const FIELD_OVERHEAD = 32
const TARGET_CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024

/** An engine for a client's connection, held to what its listener allows. */
export function serverConnection(
  shared: Http2Context,
  listener: Listener,
  conn: Conn,
  clientAddress: ClientAddress,
  handler: H2Handler,
): H2Connection {
  const { protection, clock } = shared.context
  const { settings: served } = listener.route
  const config = served.config.http2!
  const fields = protection.maxHeaderBytes + protection.maxHeaders * FIELD_OVERHEAD
  const settings: H2Settings = {
    ...config,
    maxUnconsumedBytes: config.maxStreams * SHARE_BYTES,
    maxHeaderListBytes: fields,
    allowsConnect: served.upgrades.webSocket,
  }
  const limits: H2Limits = {
    ...config,
    maxBlockBytes: fields * 2,
    maxDecodedBytes: fields * 4,
    blockTimeoutMs: protection.headerTimeoutMs,
    pingTimeoutMs: config.settingsTimeoutMs,
    lingerMs: DEFAULT_H2_LIMITS.lingerMs,
  }
  // A proxy that is trusted brings the requests of many clients: its connections answer for themselves alone.
  const history = served.trusted.has(clientAddress.source) ? undefined : shared.sources.open(clientAddress.source)
  return new Http2Connection(conn, { role: 'server', settings, limits, handler, clock, turn: shared.flushes, history })
}

/** An engine for a connection to a target, held to what its group allows. */
export function clientConnection(
  shared: Http2Context,
  config: TargetHttp2Config,
  conn: Conn,
  handler: H2Handler,
): H2Connection {
  const settings: H2Settings = {
    ...DEFAULT_H2_SETTINGS,
    // What a stream may have at first; more where the client takes it.
    streamWindowBytes: SHARE_BYTES,
    connectionWindowBytes: TARGET_CONNECTION_WINDOW_BYTES,
    maxUnconsumedBytes: Number.POSITIVE_INFINITY,
    maxHeaderListBytes: shared.limits.maxHeaderBytes,
  }
  const limits: H2Limits = {
    ...DEFAULT_H2_LIMITS,
    ...config,
    maxBlockBytes: shared.limits.maxHeaderBytes,
    maxDecodedBytes: shared.limits.maxHeaderBytes * 2,
  }
  return new Http2Connection(conn, {
    role: 'client',
    settings,
    limits,
    handler,
    clock: shared.context.clock,
    turn: shared.flushes,
  })
}

/** A connection's time limits are looked after so often, however long they are; byte counters are brought up to date too. */
const MOST_POLL_MS = 1_000
const LEAST_POLL_MS = 100

/** Milliseconds from one look at a connection's time limits to the next: none is exceeded by more than itself. */
export function pollMsFor(...timeoutsMs: readonly number[]): number {
  return Math.max(LEAST_POLL_MS, Math.min(MOST_POLL_MS, ...timeoutsMs))
}
