// Hot path: every DATA frame that is received is counted here.
import type { Http2Connection } from './connection.js'
import type { H2Settings } from './engine.js'
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
  #owed = 0

  constructor(connection: Http2Connection, settings: H2Settings) {
    this.#connection = connection
    this.#settings = settings
    this.stream = Math.max(DEFAULT_WINDOW_BYTES, settings.streamWindowBytes)
  }

  /**
   * A DATA frame of this length, padding included. The connection's window cannot be exceeded: at least half of it, more
   * than a frame, is always left.
   */
  received(length: number): void {
    this.#owed += length
    if (this.#owed * 2 < this.#settings.connectionWindowBytes) return
    this.#connection.output.windowUpdate(0, this.#owed)
    this.#owed = 0
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
