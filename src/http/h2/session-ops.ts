import type { Clock } from '../../core/clock.js'
import type { DataSender } from './data-sender.js'
import type { H2Connection, H2FailureReason, H2Handler, H2Role, H2Settings } from './engine.js'
import type { Flood } from './flood.js'
import type { FloodMeter } from './flood-meter.js'
import type { FrameOutput } from './frame-output.js'
import type { HpackDecoder } from './hpack-decoder.js'
import type { HpackEncoder } from './hpack-encoder.js'
import type { PeerSettings } from './settings.js'
import type { Http2Stream } from './stream.js'
import type { StreamTable } from './stream-table.js'

/**
 * What the parts of one connection ask of it and, through it, of each other. The connection implements it; the parts know
 * nothing else of the connection, and nothing of each other's making.
 */
export interface SessionOps extends H2Connection {
  ready: boolean
  draining: boolean
  readonly role: H2Role
  readonly settings: H2Settings
  readonly clock: Clock
  readonly handler: H2Handler
  readonly table: StreamTable
  readonly output: FrameOutput
  readonly encoder: HpackEncoder
  readonly meter: FloodMeter
  readonly sender: DataSender
  readonly peer: PeerSettings
  readonly windows: WindowOps
  readonly liveness: LivenessOps
  readonly shutdown: ShutdownOps
  readonly ends: EndOps
  readonly control: ControlOps
  readonly incoming: { readonly partialSinceMs: number; readonly decoder: HpackDecoder }
  /** Ends the connection: `code` goes to the peer, `reason` to the layer above. */
  end(code: number, reason: H2FailureReason, detail: string): void
  streamError(id: number, code: number): void
  /** True when that was one too many and the connection is over. */
  flood(what: Flood): boolean
  refuse(id: number, code: number, what: Flood): void
  accept(id: number): Http2Stream | undefined
  peerReset(id: number, code: number): void
  remoteEnd(stream: Http2Stream): void
  consume(stream: Http2Stream, bytes: number): void
  /** Its reader has stood still for too long. */
  stall(stream: Http2Stream): void
  finishIfDrained(): void
}

/** Of the windows that the peer's data counts against. */
export interface WindowOps {
  unconsumed: number
  /** False when that was more than the peer might send. */
  received(length: number): boolean
  consumed(bytes: number): void
  giveBack(stream: Http2Stream, bytes: number): void
  /** The peer has our SETTINGS. */
  acknowledged(): void
}

/** Of the pings. */
export interface LivenessOps {
  drainPing(): void
  settingsAcknowledged(): boolean
  /** Whether the PING was ours. */
  ponged(payload: Uint8Array, at: number): boolean
}

/** Of the orderly end. */
export interface ShutdownOps {
  readonly refusesNew: boolean
  complete(): void
}

/** Of the frames that concern the connection as a whole; their lengths have been checked. */
export interface ControlOps {
  settings(payload: Uint8Array, start: number, end: number): void
  settingsAcknowledged(): void
  ping(payload: Uint8Array, at: number, ack: boolean): void
  goAway(lastId: number, code: number): void
  windowUpdate(id: number, bytes: number): void
}

/** Of how streams end. */
export interface EndOps {
  drop(stream: Http2Stream, code: number, retryable: boolean): void
  offerStreams(): void
}
