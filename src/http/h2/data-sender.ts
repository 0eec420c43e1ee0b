// Hot path: all DATA that is sent.
import type { Clock } from '../../core/clock.js'
import { copyBytes } from '../bytes.js'
import { FLOOD, type Flood } from './flood.js'
import type { FloodMeter } from './flood-meter.js'
import type { FrameOutput } from './frame-output.js'
import { DEFAULT_MAX_FRAME_BYTES, DEFAULT_WINDOW_BYTES, LARGEST_WINDOW_BYTES } from './frames.js'
import type { Http2Stream } from './stream.js'

/** Less than this in a frame, where there was more to send, makes it tiny. */
const TINY_BYTES = 256

/** What the sender tells the connection. */
export interface SenderOwner {
  /** True when that was one too many and the connection is over. */
  flood(what: Flood): boolean
  /** What was queued has gone out. What comes behind it may, too: trailers, and the end. */
  queueSent(stream: Http2Stream): void
  /** END_STREAM was sent. */
  endSent(stream: Http2Stream): void
}

/**
 * Sends DATA as the peer's windows and the `Conn` let it (RFC 9113, 5.2). Streams that have data waiting and window for
 * it stand in a ring and send a frame each in turn.
 */
export class DataSender {
  /** The connection's window. */
  window = DEFAULT_WINDOW_BYTES
  readonly #output: FrameOutput
  readonly #meter: FloodMeter
  readonly #clock: Clock
  readonly #owner: SenderOwner
  #first: Http2Stream | undefined
  #pumping = false

  constructor(output: FrameOutput, meter: FloodMeter, clock: Clock, owner: SenderOwner) {
    this.#output = output
    this.#meter = meter
    this.#clock = clock
    this.#owner = owner
  }

  /** `H2Stream.sendData`, for a stream that may send; its `localEnded` is set already. */
  send(stream: Http2Stream, buffer: Uint8Array, start: number, end: number): boolean {
    if (start === end) {
      if (stream.queue !== undefined) return false
      if (stream.localEnded) {
        this.#output.data(stream.id, buffer, start, end, true)
        this.#owner.endSent(stream)
      }
      return true
    }
    let at = start
    if (stream.queue === undefined && this.#first === undefined) {
      while (at < end && stream.sendWindow > 0 && this.window > 0 && !this.#output.blocked) {
        at += this.#frame(stream, buffer, at, end)
        if (stream.closed) return false
      }
      if (at === end) {
        if (stream.localEnded) this.#owner.endSent(stream)
        return true
      }
    }
    stream.writerWaits = true
    this.#enqueue(stream, buffer, at, end)
    return false
  }

  /** Adds to a stream's window. False: beyond 2^31 − 1 (RFC 9113, 6.9.1). */
  grant(stream: Http2Stream, bytes: number): boolean {
    stream.sendWindow += bytes
    if (stream.sendWindow > LARGEST_WINDOW_BYTES) return false
    if (stream.sendWindow <= 0) this.forget(stream)
    else if (stream.queue !== undefined) this.#join(stream)
    return true
  }

  /** Sends what can be sent now. */
  pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (this.#first !== undefined && this.window > 0 && !this.#output.blocked) this.#sendFrom(this.#first)
    this.#pumping = false
  }

  /** Out of the ring; what it has queued stays. */
  forget(stream: Http2Stream): void {
    const { next, previous } = stream
    if (next === undefined || previous === undefined) return
    if (next === stream) {
      this.#first = undefined
    } else {
      previous.next = next
      next.previous = previous
      if (this.#first === stream) this.#first = next
    }
    stream.next = undefined
    stream.previous = undefined
  }

  /** One frame of what a stream has queued; the next turn is the next stream's. */
  #sendFrom(stream: Http2Stream): void {
    stream.movedMs = this.#clock.nowMs
    const start = stream.queueStart
    const end = stream.queueEnd
    const sent = this.#frame(stream, stream.queue!, start, end)
    if (stream.closed) return
    stream.queueStart = start + sent
    if (start + sent < end) {
      if (stream.sendWindow <= 0) this.forget(stream)
      else this.#first = stream.next
      return
    }
    this.forget(stream)
    stream.queue = undefined
    this.#owner.queueSent(stream)
  }

  /** One frame out of [from, to), as long as windows let it be; answers its length. */
  #frame(stream: Http2Stream, buffer: Uint8Array, from: number, to: number): number {
    const wanted = Math.min(to - from, DEFAULT_MAX_FRAME_BYTES)
    const length = Math.min(wanted, stream.sendWindow, this.window)
    const last = from + length === to && stream.localEnded && stream.trailers === undefined
    this.#output.data(stream.id, buffer, from, from + length, last)
    stream.sendWindow -= length
    this.window -= length
    stream.dataSent += length
    const tiny = length < wanted && length < TINY_BYTES
    this.#meter.dataSent(tiny)
    if (tiny) this.#owner.flood(FLOOD.TINY)
    return length
  }

  #enqueue(stream: Http2Stream, buffer: Uint8Array, from: number, to: number): void {
    const { queue } = stream
    if (queue === undefined) {
      stream.queue = new Uint8Array(to - from)
      stream.queueStart = 0
      stream.queueEnd = 0
      stream.movedMs = this.#clock.nowMs
    } else if (stream.queueEnd + to - from > queue.length) {
      const waiting = stream.queuedBytes
      const length = waiting + to - from
      const larger = new Uint8Array(length + (length >> 2))
      copyBytes(larger, 0, queue, stream.queueStart, stream.queueEnd)
      stream.queue = larger
      stream.queueStart = 0
      stream.queueEnd = waiting
    }
    stream.queueEnd = copyBytes(stream.queue!, stream.queueEnd, buffer, from, to)
    if (stream.sendWindow > 0) this.#join(stream)
  }

  /** Last in the ring, unless it is in there already. */
  #join(stream: Http2Stream): void {
    if (stream.next !== undefined) return
    const first = this.#first
    if (first === undefined || first.previous === undefined) {
      stream.next = stream
      stream.previous = stream
      this.#first = stream
      return
    }
    const last = first.previous
    last.next = stream
    stream.previous = last
    stream.next = first
    first.previous = stream
  }
}
