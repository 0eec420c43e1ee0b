// Hot path: every DATA frame that is received is counted here.

import type { H2Settings } from './engine.js'
import { DEFAULT_WINDOW_BYTES } from './frames.js'
import type { SessionOps } from './session-ops.js'
import type { Http2Stream } from './stream.js'

/**
 * What the peer may send (RFC 9113, 6.9). Its streams' windows are given back as the layer above consumes; the
 * connection's as bytes arrive, as long as not too many of them wait to be consumed. Either is told once half a window has
 * come together, so that updates are few.
 */
export class ReceiveWindows {
  /** The window of a new stream. Until the peer has acknowledged our SETTINGS, it may count with the default. */
  stream: number
  /** Bytes of all streams that the layer above has not consumed. */
  unconsumed = 0
  readonly #connection: SessionOps
  readonly #settings: H2Settings
  /** What is left of the connection's window. */
  #left: number
  #owed = 0

  constructor(connection: SessionOps, settings: H2Settings) {
    this.#connection = connection
    this.#settings = settings
    this.#left = Math.max(DEFAULT_WINDOW_BYTES, settings.connectionWindowBytes)
    this.stream = Math.max(DEFAULT_WINDOW_BYTES, settings.streamWindowBytes)
  }

  /** A DATA frame of this length, padding included. False: beyond the connection's window. */
  received(length: number): boolean {
    this.#left -= length
    this.#owed += length
    this.#tell()
    return this.#left >= 0
  }

  /** Bytes of any stream that wait no more. */
  consumed(bytes: number): void {
    this.unconsumed -= bytes
    this.#tell()
  }

  #tell(): void {
    if (this.#connection.closed) return
    const { connectionWindowBytes, maxUnconsumedBytes } = this.#settings
    if (this.#owed * 2 < connectionWindowBytes || this.unconsumed > maxUnconsumedBytes) return
    this.#left += this.#owed
    this.#connection.output.windowUpdate(0, this.#owed)
    this.#owed = 0
  }

  /** Bytes of a stream that are done with. */
  giveBack(stream: Http2Stream, bytes: number): void {
    if (stream.closed || stream.remoteEnding) return
    stream.owed += bytes
    if (stream.owed === 0 || stream.owed * 2 < stream.windowBytes) return
    stream.receiveWindow += stream.owed
    this.#connection.output.windowUpdate(stream.id, stream.owed)
    stream.owed = 0
  }

  /** From now on the peer counts with what we announced (RFC 9113, 6.9.2). */
  acknowledged(): void {
    const change = this.#settings.streamWindowBytes - this.stream
    this.stream += change
    for (const stream of this.#connection.table.all()) stream.receiveWindow += change
  }
}
