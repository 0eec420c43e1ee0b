// Hot path: every DATA frame that is received is counted here.
import type { Http2Connection } from './connection.js'
import { H2_ERROR, type H2Settings } from './engine.js'
import { DEFAULT_WINDOW_BYTES } from './frames.js'
import type { Http2Stream } from './stream.js'

/**
 * What the peer may send (RFC 9113, 6.9). Its streams' windows are given back as the layer above consumes, the
 * connection's as bytes arrive. Either is told once half a window has come together, so that updates are few.
 */
export class ReceiveWindows {
  /** The window of a new stream. Until the peer has acknowledged our SETTINGS, it may count with the default. */
  stream: number
  readonly #connection: Http2Connection
  readonly #settings: H2Settings
  #left: number
  #owed = 0

  constructor(connection: Http2Connection, settings: H2Settings) {
    this.#connection = connection
    this.#settings = settings
    this.#left = Math.max(DEFAULT_WINDOW_BYTES, settings.connectionWindowBytes)
    this.stream = Math.max(DEFAULT_WINDOW_BYTES, settings.streamWindowBytes)
  }

  /** A DATA frame of this length, padding included. False when it was too long, and the connection is over. */
  received(length: number): boolean {
    this.#left -= length
    if (this.#left < 0) {
      const detail = 'more DATA than the connection window (RFC 9113, 6.9.1)'
      this.#connection.end(H2_ERROR.FLOW_CONTROL_ERROR, 'PROTOCOL', detail)
      return false
    }
    this.#owed += length
    if (this.#owed * 2 >= this.#settings.connectionWindowBytes) {
      this.#left += this.#owed
      this.#connection.output.windowUpdate(0, this.#owed)
      this.#owed = 0
    }
    return true
  }

  /** Bytes of a stream that are done with. */
  giveBack(stream: Http2Stream, bytes: number): void {
    if (stream.closed || stream.remoteEnding) return
    stream.owed += bytes
    if (stream.owed === 0 || stream.owed * 2 < this.#settings.streamWindowBytes) return
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
