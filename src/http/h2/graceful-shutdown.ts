import { latin1 } from '../bytes.js'
import { H2_ERROR } from './engine.js'
import { LARGEST_STREAM_ID } from './frames.js'
import type { SessionOps } from './session-ops.js'

const NO_BYTES = new Uint8Array(0)

/**
 * How a connection says that it takes no more streams (RFC 9113, 6.8). A server's drain has two steps: a GOAWAY that
 * excludes nothing, and a round trip later, when whatever the client opened in ignorance of it has arrived, the real one.
 */
export class GracefulShutdown {
  /** The peer's last stream that our GOAWAY named; −1 before one that excludes any. */
  lastPromised = -1
  readonly #connection: SessionOps
  #askedFirst = false

  constructor(connection: SessionOps) {
    this.#connection = connection
  }

  /** The first GOAWAY is out, the second is not: the peer may still open streams in good faith. */
  get waits(): boolean {
    return this.#askedFirst && this.lastPromised < 0
  }

  /** Streams the peer opens now are not in the GOAWAY that it will see. */
  get refusesNew(): boolean {
    return this.lastPromised >= 0
  }

  begin(): void {
    if (this.#askedFirst || this.lastPromised >= 0) return
    const connection = this.#connection
    connection.draining = true
    if (connection.role === 'client') {
      // Said when the last stream is done: some servers take no more of a request whose client has said it already.
      connection.finishIfDrained()
      return
    }
    this.#askedFirst = true
    connection.output.goAway(LARGEST_STREAM_ID, H2_ERROR.NO_ERROR, NO_BYTES)
    connection.liveness.drainPing()
  }

  /** What the peer opened before it knew is here, or it has had time enough. */
  complete(): void {
    this.sendGoAway(H2_ERROR.NO_ERROR, '')
    this.#connection.finishIfDrained()
  }

  /** GOAWAY with the last stream that was taken; a later one never names more. */
  sendGoAway(code: number, debug: string): void {
    if (this.lastPromised < 0) this.lastPromised = this.#connection.table.lastRemoteId
    const bytes = debug === '' ? NO_BYTES : latin1(debug.replace(/[^ -~]/g, '?'))
    this.#connection.output.goAway(this.lastPromised, code, bytes)
  }
}
