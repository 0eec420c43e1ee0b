// Hot path: what streams ask for and what frames bring about passes here.
import type { Clock } from '../../core/clock.js'
import type { Conn } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import { ControlFrames } from './control-frames.js'
import { DataSender, type SenderOwner } from './data-sender.js'
import {
  H2_ERROR,
  type H2FailureReason,
  type H2Handler,
  type H2Limits,
  type H2Role,
  type H2Settings,
  type H2StreamHandler,
  type H2Turn,
} from './engine.js'
import type { FieldList } from './field-list.js'
import { FLOOD, type Flood } from './flood.js'
import type { FloodHistory } from './flood-history.js'
import { FloodMeter } from './flood-meter.js'
import { FrameOutput, type OutputOwner } from './frame-output.js'
import { CLIENT_PREFACE } from './frame-reader.js'
import { DEFAULT_WINDOW_BYTES, LARGEST_STREAM_ID } from './frames.js'
import { GracefulShutdown } from './graceful-shutdown.js'
import { HpackEncoder } from './hpack-encoder.js'
import { Incoming } from './incoming.js'
import { Liveness } from './liveness.js'
import { ReceiveWindows } from './receive-windows.js'
import type { SessionOps } from './session-ops.js'
import { announcedSettings, PeerSettings } from './settings.js'
import { Http2Stream, NO_HANDLER, type StreamOwner } from './stream.js'
import { StreamEnds } from './stream-ends.js'
import { StreamTable } from './stream-table.js'

const { NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM } = H2_ERROR

/** The parts one connection is made of. */
export interface H2ConnectionInit {
  readonly role: H2Role
  readonly settings: H2Settings
  readonly limits: H2Limits
  readonly handler: H2Handler
  readonly clock: Clock
  readonly turn: H2Turn
  /** Of a client's source, where its connections share one. */
  readonly history?: FloodHistory | undefined
}

/** HTTP/2 over one `Conn`, in either role; the contract is in `engine.ts`. */
export class Http2Connection implements SessionOps, StreamOwner, OutputOwner, SenderOwner {
  context: unknown = undefined
  readonly role: H2Role
  closed = false
  ready = false
  draining = false
  streamsOpened = 0
  bytesReceived = 0
  // Shared with the files that make up the engine, and with nobody else.
  readonly settings: H2Settings
  readonly clock: Clock
  readonly table: StreamTable
  readonly output: FrameOutput
  readonly limits: H2Limits
  readonly incoming: Incoming
  readonly control: ControlFrames
  readonly windows: ReceiveWindows
  readonly sender: DataSender
  readonly encoder: HpackEncoder
  readonly peer: PeerSettings
  readonly liveness: Liveness
  readonly shutdown: GracefulShutdown
  readonly ends: StreamEnds
  readonly handler: H2Handler
  readonly #conn: Conn
  readonly #turn: H2Turn
  readonly meter: FloodMeter
  /** Frames made now are flushed by who is on the stack, or by the turn. */
  #flushing = false

  constructor(conn: Conn, init: H2ConnectionInit) {
    const { role, settings, limits, handler, clock, turn, history } = init
    this.#conn = conn
    this.role = role
    this.settings = settings
    this.limits = limits
    this.clock = clock
    this.handler = handler
    this.#turn = turn
    this.table = new StreamTable(role)
    this.meter = new FloodMeter(limits, history)
    this.output = new FrameOutput(conn, this)
    this.encoder = new HpackEncoder(settings.headerTableBytes)
    this.sender = new DataSender(this.output, this.meter, clock, this)
    this.peer = new PeerSettings(role)
    this.liveness = new Liveness(this, conn, limits)
    this.shutdown = new GracefulShutdown(this)
    this.ends = new StreamEnds(this)
    this.windows = new ReceiveWindows(this, settings)
    this.control = new ControlFrames(this)
    this.incoming = new Incoming(this, role, settings, limits)
  }

  get streams(): number {
    return this.table.size
  }

  get canOpen(): boolean {
    return this.role === 'client' && !this.draining && this.streams < this.peer.maxStreams
  }

  get peerMaxStreams(): number {
    return this.peer.maxStreams
  }

  get peerAllowsConnect(): boolean {
    return this.peer.allowsConnect
  }

  get bytesSent(): number {
    return this.output.bytesMade
  }

  start(): void {
    const { connectionWindowBytes } = this.settings
    if (this.role === 'client') this.output.raw(CLIENT_PREFACE)
    this.output.settings(announcedSettings(this.role, this.settings))
    const more = connectionWindowBytes - DEFAULT_WINDOW_BYTES
    if (more > 0) this.output.windowUpdate(0, more)
    this.liveness.start()
    if (this.meter.isSpent(this.clock.nowMs)) {
      this.end(ENHANCE_YOUR_CALM, 'RAPID_RESET', `its source has used up its resets of ${this.limits.rateWindowMs} ms`)
    }
  }

  receive(buffer: Uint8Array, start: number, end: number): void {
    if (this.closed) return
    this.bytesReceived += end - start
    this.#flushing = true
    this.incoming.receive(buffer, start, end)
    this.sender.pump()
    this.#flushing = false
    this.flush()
  }

  receiveEnd(unread = false): void {
    if (this.closed) return
    this.draining = true
    for (const stream of this.table.all()) {
      if (stream.remoteEnded) continue
      const counts = this.role === 'server' && this.ends.isShortLived(stream)
      this.ends.drop(stream, CANCEL, unread || stream.id === 0)
      if (counts && this.flood(FLOOD.RESETS)) return
    }
    if (this.closed) return
    if (this.shutdown.waits) this.shutdown.complete()
    else this.finishIfDrained()
    if (!this.closed) this.liveness.peerEnded()
    this.flush()
  }

  onWritable(): void {
    if (this.closed) return
    this.output.unblock(this.clock.nowMs)
    this.#flushing = true
    this.sender.pump()
    this.#flushing = false
    this.flush()
  }

  connClosed(_cause?: CastorError, unread = false): void {
    if (this.closed) return
    this.meter.leave(this.clock.nowMs, this.ends.countShortLived())
    this.closed = true
    this.draining = true
    this.output.drop()
    this.ends.dropAll(CANCEL, unread)
  }

  openStream(handler: H2StreamHandler): Http2Stream | undefined {
    if (!this.canOpen) {
      this.ends.streamsWanted = true
      return undefined
    }
    const stream = new Http2Stream(this, 0, handler, this.peer.initialWindow, this.windows.stream)
    this.table.unsent.push(stream)
    this.streamsOpened++
    return stream
  }

  ping(): void {
    if (!this.closed) this.liveness.ping()
  }

  drain(): void {
    if (!this.closed) this.shutdown.begin()
  }

  close(): void {
    if (this.closed) return
    this.meter.leave(this.clock.nowMs, 0)
    this.#leave(NO_ERROR, CANCEL, '')
  }

  fail(code: number, detail: string): void {
    this.end(code, 'LAYER_ABOVE', detail)
  }

  flush(): void {
    this.output.flush()
    if (this.closed) return
    if (this.output.queuedBytes > this.limits.maxQueuedBytes) {
      this.end(ENHANCE_YOUR_CALM, 'OUTPUT_FLOOD', 'the peer does not read what it makes us send')
    }
  }

  tick(nowMs: number): void {
    this.liveness.tick(nowMs)
    this.flush()
  }

  outputBegun(): void {
    if (!this.#flushing) this.#turn.flushLater(this)
  }

  // What streams ask for.

  sendFields(stream: Http2Stream, fields: FieldList, endStream: boolean): void {
    if (stream.closed || stream.localEnded) return
    if (stream.queue !== undefined) {
      stream.trailers = fields.copy()
      stream.localEnded = endStream
      return
    }
    if (stream.id === 0 && this.table.giveId(stream) + 2 > LARGEST_STREAM_ID) this.draining = true
    stream.localEnded = endStream
    this.output.headers(stream.id, fields, endStream, this.encoder)
    if (endStream) this.endSent(stream)
  }

  sendData(stream: Http2Stream, buffer: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    if (stream.closed || stream.localEnded || stream.id === 0) return false
    stream.localEnded = endStream
    return this.sender.send(stream, buffer, start, end)
  }

  consume(stream: Http2Stream, bytes: number): void {
    const taken = Math.min(bytes, stream.unconsumed)
    stream.unconsumed -= taken
    this.windows.giveBack(stream, taken)
    this.windows.consumed(taken)
  }

  resetStream(stream: Http2Stream, code: number): void {
    if (stream.closed) return
    if (stream.id !== 0) this.ends.sendReset(stream.id, code)
    this.ends.remove(stream)
    if (code === PROTOCOL_ERROR) this.flood(FLOOD.RESETS)
  }

  abandonInput(stream: Http2Stream): void {
    if (stream.closed || stream.inputAbandoned) return
    stream.inputAbandoned = true
    this.consume(stream, stream.unconsumed)
    if (stream.endSent) this.endSent(stream)
  }

  // What the sender tells.

  flood(what: Flood): boolean {
    const reason = this.meter.count(what, this.clock.nowMs)
    if (reason === undefined) return this.closed
    this.end(ENHANCE_YOUR_CALM, reason, `more than the limit in ${this.limits.rateWindowMs} ms`)
    return true
  }

  queueSent(stream: Http2Stream): void {
    const { trailers } = stream
    if (trailers !== undefined) {
      stream.trailers = undefined
      this.output.headers(stream.id, trailers, stream.localEnded, this.encoder)
    }
    if (stream.writerWaits) {
      stream.writerWaits = false
      stream.handler.onWritable(stream)
    }
    if (stream.localEnded && stream.queue === undefined && !stream.endSent) this.endSent(stream)
  }

  endSent(stream: Http2Stream): void {
    if (stream.closed) return
    stream.endSent = true
    if (stream.remoteEnded) {
      this.#served(stream)
    } else if (stream.inputAbandoned && !stream.remoteEnding) {
      this.ends.sendReset(stream.id, NO_ERROR)
      this.ends.remove(stream)
    }
  }

  // What frames bring about.

  accept(id: number): Http2Stream {
    const stream = new Http2Stream(this, id, NO_HANDLER, this.peer.initialWindow, this.windows.stream)
    stream.openedMs = this.clock.nowMs
    this.table.open.add(stream)
    this.streamsOpened++
    this.handler.onStream(stream)
    return stream
  }

  refuse(id: number, code: number, flood: Flood): void {
    this.ends.sendReset(id, code)
    this.flood(flood)
  }

  /** A fault of the peer that concerns one stream (RFC 9113, 5.4.2); nothing where that is gone. */
  streamError(id: number, code: number): void {
    const stream = this.table.open.get(id)
    if (stream === undefined) return
    this.ends.sendReset(id, code)
    this.ends.drop(stream, code, false)
    this.flood(FLOOD.RESETS)
  }

  /** Nothing of it went out for `stallTimeoutMs`. */
  stall(stream: Http2Stream): void {
    stream.stalled = true
    this.streamError(stream.id, ENHANCE_YOUR_CALM)
  }

  remoteEnd(stream: Http2Stream): void {
    if (stream.closed) return
    stream.remoteEnded = true
    if (!stream.inputAbandoned) stream.handler.onEnd(stream)
    if (stream.endSent && !stream.closed) this.#served(stream)
  }

  peerReset(id: number, code: number): void {
    const stream = this.table.open.get(id)
    if (stream === undefined) {
      this.flood(FLOOD.USELESS)
      return
    }
    const counts = this.ends.isShortLived(stream)
    this.ends.drop(stream, code, code === REFUSED_STREAM)
    // A server that turns requests away hurts nobody; a client that takes them back makes work for nothing.
    if (this.role === 'server' ? counts : code !== REFUSED_STREAM) this.flood(FLOOD.RESETS)
  }

  /** Both sides have ended it in good order. */
  #served(stream: Http2Stream): void {
    this.meter.streamServed(this.clock.nowMs)
    this.ends.remove(stream)
  }

  /** Ends the connection for what the peer did (RFC 9113, 5.4.1). */
  end(code: number, reason: H2FailureReason, detail: string): void {
    if (this.closed) return
    this.meter.leave(this.clock.nowMs, this.ends.countShortLived())
    this.#leave(code, code, reason === 'PROTOCOL' || reason === 'LAYER_ABOVE' ? detail : reason)
    // Whoever does not read will not read a GOAWAY either.
    if (reason === 'OUTPUT_FLOOD' || reason === 'STALLED_CONNECTION') this.#conn.abort()
    this.handler.onFailure(this, { code, reason, detail })
  }

  #leave(code: number, streamCode: number, debug: string): void {
    this.closed = true
    this.draining = true
    this.ends.dropAll(streamCode)
    this.shutdown.sendGoAway(code, debug)
    this.output.flush()
    this.#conn.end()
    this.liveness.leave()
  }

  /** Half-closes once there is nothing left to do. */
  finishIfDrained(): void {
    if (this.closed || this.streams > 0 || !this.draining) return
    if (this.shutdown.waits) return
    this.meter.leave(this.clock.nowMs, 0)
    this.#leave(NO_ERROR, NO_ERROR, '')
  }
}
