// Hot path: one a request that comes by HTTP/2.
import type { Conn } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { ClientOrigin } from '../client-origin.js'
import { ClientSession } from '../http1/client-session.js'
import type { Listener } from '../listener.js'
import type { Http2Plane } from './http2-plane.js'

/** A client's session whose connection is a stream: what concerns the real connection is not its business. */
export class StreamSession extends ClientSession {
  override readonly protocol = 'HTTP/2.0'

  constructor(shared: Http2Plane, listener: Listener, origin: ClientOrigin, stream: Conn) {
    super(shared.http1, shared.exchanges, listener, stream, origin)
  }

  /** Answers what cannot be put into an HTTP/1.1 head. */
  refuseNow(status: number, reason: ReasonCode): void {
    this.refuse(status, reason, undefined)
  }

  /** Bytes are counted where they come in, frames and all. */
  override countBytes(): void {}

  /** The answer to one stream does not get lost by what the client still sends on it. */
  override linger(): void {
    this.closeAfterAnswer()
  }

  protected override onEnded(): void {}
}
