// Hot path: every request to a target that speaks HTTP/2 gets its stream here.
import type { TargetHttp2Config } from '../../core/config-tls.js'
import type { Conn, ConnHandler, Endpoint } from '../../core/conn.js'
import { CastorError } from '../../core/errors.js'
import type { ClientTls } from '../../core/tls.js'
import type { H2Failure } from '../../http/h2/engine.js'
import { SCHEME_HTTP, SCHEME_HTTPS } from '../../http/h2/fields-from-http1.js'
import { DISCARD } from '../discard.js'
import type { MultiplexingPool } from '../target-pool.js'
import type { Http2Context } from './h2-context.js'
import { TargetConnection, type TargetConnectionOwner } from './target-connection.js'
import { type StreamSource, TargetStream } from './target-stream.js'

/** A target that has not said how many streams it takes is thought to take so many (RFC 9113 6.5.2 recommends it). */
const ASSUMED_STREAMS = 100
/** Streams that nobody has needed for so long are let go of. */
const LOOK_EVERY_MS = 5_000

/** The target whose streams these are. */
export interface StreamTarget {
  readonly id: string
  readonly address: string
  readonly port: number
  readonly tls: ClientTls | undefined
  /** Connections more, or less. */
  countConnections(change: 1 | -1): void
}

/** How its group's targets are reached. */
export interface StreamDialling {
  readonly scheme: 'http' | 'https'
  readonly connectTimeoutMs: number
  readonly http2: TargetHttp2Config
  dial(target: StreamTarget, handler: ConnHandler): Conn
}

/** One target's connections in one thread, and the streams on them: as few connections as have room for the requests. */
export class TargetStreams implements MultiplexingPool, StreamSource, TargetConnectionOwner {
  readonly scheme: Uint8Array
  readonly #shared: Http2Context
  readonly #target: StreamTarget
  readonly #dialling: StreamDialling
  /** The fullest first, so that the others become idle. */
  readonly #connections: TargetConnection[] = []
  /** Those without a stream yet, in their order. */
  readonly #waiting: TargetStream[] = []
  /** Used again for requests to come: as many as there were at once lately. */
  readonly #free: TargetStream[] = []
  #open = 0
  /** The most that were open at once since `#free` was looked at. */
  #most = 0
  #lookedMs = 0

  constructor(target: StreamTarget, shared: Http2Context, dialling: StreamDialling) {
    this.#target = target
    this.scheme = dialling.scheme === 'https' ? SCHEME_HTTPS : SCHEME_HTTP
    this.#shared = shared
    this.#dialling = dialling
  }

  get size(): number {
    return this.#connections.reduce((sum, connection) => sum + (connection.ready && connection.idle ? 1 : 0), 0)
  }

  /** The latest, since that is what those who wait now wait for; negative only while none has begun. */
  get dialledMs(): number {
    let latestMs = -1
    for (const { conn } of this.#connections) latestMs = Math.max(latestMs, conn.dialledMs)
    return this.#connections.length === 0 ? 0 : latestMs
  }

  take(): Conn | undefined {
    return this.#take(false)
  }

  /** Whoever gets none dials, and waits for a connection that is ready by then. */
  takeQuiet(): Conn | undefined {
    return this.#take(true)
  }

  #take(quiet: boolean): Conn | undefined {
    if (this.#waiting.length > 0) return undefined
    const connections = this.#connections
    for (let i = 0; i < connections.length; i++) {
      const connection = connections[i]!
      if (!(quiet ? connection.freeAndOpen : connection.free)) continue
      const stream = this.#newStream(DISCARD)
      if (this.#attach(stream, connection)) return stream
      stream.abort()
    }
    return undefined
  }

  dial(handler: ConnHandler): Conn {
    const stream = this.#newStream(handler)
    this.#waiting.push(stream)
    // Not now: whoever dials is told of nothing before the call returns.
    this.#shared.steps.add(this)
    return stream
  }

  retire(conn: Conn): void {
    if (conn instanceof TargetStream) conn.retireConnection()
  }

  put(conn: Conn): void {
    conn.handler = this
    conn.close()
  }

  /** Streams wait for a connection by themselves. */
  awaitSpare(): void {}

  closeOldest(count: number): void {
    const idle = this.#connections.filter((connection) => connection.ready && connection.idle)
    for (const connection of idle.slice(-count)) connection.drain()
  }

  closeAll(): void {
    for (const connection of [...this.#connections]) {
      connection.outdated = true
      connection.drain()
    }
  }

  requeue(stream: TargetStream): void {
    this.#waiting.push(stream)
    this.#shared.steps.add(this)
  }

  forget(stream: TargetStream): void {
    const at = this.#waiting.length === 0 ? -1 : this.#waiting.indexOf(stream)
    if (at >= 0) this.#waiting.splice(at, 1)
    this.#open--
    if (!stream.tunnelled) this.#free.push(stream)
  }

  /** Gives streams to those that wait, and dials where there are too few. */
  step(): void {
    const waiting = this.#waiting
    while (waiting.length > 0) {
      const connection = this.#connections.find(({ freeAndOpen }) => freeAndOpen)
      if (connection === undefined) break
      const stream = waiting.shift()!
      const first = !stream.opened
      if (!this.#attach(stream, connection)) waiting.unshift(stream)
      else if (first) stream.handler.onOpen(stream)
    }
    let dialling = this.#connections.reduce((sum, { ready }) => sum + (ready ? 0 : 1), 0)
    for (; waiting.length > dialling * ASSUMED_STREAMS; dialling++) this.#connect()
  }

  abort(): void {}

  onConnectionReady(connection: TargetConnection): void {
    this.#target.countConnections(1)
    // One that takes no requests at all is none, and another would be no better.
    if (!connection.free) this.#failWaiting(new CastorError('CONNECT_FAILED', 'the target takes no streams'))
    this.step()
  }

  onConnectionTick(nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_EVERY_MS) return
    this.#lookedMs = nowMs
    this.#forgetFree()
  }

  #forgetFree(): void {
    const needed = this.#most - this.#open
    if (this.#free.length > needed) this.#free.length = needed
    this.#most = this.#open
  }

  onConnectionFree(): void {
    this.step()
  }

  onConnectionFailure(_connection: TargetConnection, failure: H2Failure): void {
    const { detail, reason } = failure
    const { log, http1 } = this.#shared
    if (!http1.targetLines.take()) return
    const fields = { target: this.#target.id, fault: reason, detail, ...http1.targetLines.omitted() }
    log.warn(fields, 'HTTP/2 connection to a target failed')
  }

  onConnectionClosed(connection: TargetConnection, cause: CastorError | undefined): void {
    this.#connections.splice(this.#connections.indexOf(connection), 1)
    if (this.#connections.length === 0) this.#forgetFree()
    if (connection.ready) {
      this.#target.countConnections(-1)
      if (this.#waiting.length > 0) this.#shared.steps.add(this)
      return
    }
    if (connection.outdated) {
      // The others are to find the target where it is now.
      if (this.#waiting.length > 0) this.#shared.steps.add(this)
      return
    }
    // Whoever waited for it has waited in vain, and may go elsewhere.
    this.#failWaiting(cause ?? new CastorError('CONNECT_FAILED', 'the target does not speak HTTP/2'))
  }

  onOpen(): void {}

  onData(): void {}

  onEnd(): void {}

  onWritable(): void {}

  onClose(): void {}

  #newStream(handler: ConnHandler): TargetStream {
    const stream = this.#free.pop() ?? new TargetStream(this.#shared, this, this.#endpoint())
    stream.begin(handler)
    if (++this.#open > this.#most) this.#most = this.#open
    return stream
  }

  #endpoint(): Endpoint {
    const { address, port } = this.#target
    return { family: address.includes(':') ? 6 : 4, address, port }
  }

  #failWaiting(cause: CastorError): void {
    for (const stream of this.#waiting.splice(0)) stream.fail(cause)
  }

  #attach(stream: TargetStream, connection: TargetConnection): boolean {
    const opened = connection.openStream(stream)
    if (opened === undefined) return false
    stream.attach(opened, connection)
    return true
  }

  #connect(): void {
    const connection = new TargetConnection(this.#shared, this, this.#dialling, (handler) =>
      this.#dialling.dial(this.#target, handler),
    )
    this.#connections.push(connection)
  }
}
