// Hot path: every stream ends here.
import type { SessionOps } from './session-ops.js'
import type { Http2Stream } from './stream.js'

/** A request that waited so long before it was taken back is none of a rapid reset: its target was slow. Milliseconds. */
const SHORT_LIFE_MS = 1_000

/** How a connection's streams end, and what follows from it for the connection. */
export class StreamEnds {
  /** `openStream` found all streams taken. */
  streamsWanted = false
  readonly #connection: SessionOps

  constructor(connection: SessionOps) {
    this.#connection = connection
  }

  isShortLived(stream: Http2Stream): boolean {
    return this.#connection.clock.nowMs - stream.openedMs < SHORT_LIFE_MS
  }

  /** Streams that the peer has only just opened, and leaves. */
  countShortLived(): number {
    let count = 0
    for (const stream of this.#connection.table.open.values()) if (this.isShortLived(stream)) count++
    return count
  }

  sendReset(id: number, code: number): void {
    this.#connection.output.resetStream(id, code)
    this.#connection.table.rememberReset(id)
  }

  dropAll(code: number, retryable = false): void {
    for (const stream of this.#connection.table.all()) this.drop(stream, code, retryable || stream.id === 0)
  }

  /** Closes a stream that the layer above has not closed itself. */
  drop(stream: Http2Stream, code: number, retryable: boolean): void {
    if (stream.closed) return
    this.#detach(stream)
    stream.handler.onReset(stream, code, retryable)
    this.#afterStream()
  }

  remove(stream: Http2Stream): void {
    this.#detach(stream)
    this.#afterStream()
  }

  offerStreams(): void {
    const connection = this.#connection
    if (!this.streamsWanted || !connection.canOpen) return
    this.streamsWanted = false
    connection.handler.onStreamsFree(connection)
  }

  #detach(stream: Http2Stream): void {
    const connection = this.#connection
    stream.closed = true
    connection.sender.forget(stream)
    const { unconsumed } = stream
    stream.unconsumed = 0
    if (unconsumed > 0) connection.windows.consumed(unconsumed)
    // How much it was is still asked for.
    stream.queue = undefined
    stream.trailers = undefined
    connection.table.remove(stream)
  }

  #afterStream(): void {
    const connection = this.#connection
    if (connection.closed) return
    this.offerStreams()
    if (connection.streams > 0) return
    connection.handler.onIdle(connection)
    connection.finishIfDrained()
  }
}
