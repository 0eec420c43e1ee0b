// Hot path: one a request that comes by HTTP/2.
import type { Conn } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { ClientOrigin } from '../client-origin.js'
import { ClientSession } from '../http1/client-session.js'
import type { PinnedConnections } from '../http1/pinned-connections.js'
import type { Listener } from '../listener.js'
import type { Target } from '../target.js'
import type { Http2Plane } from './http2-plane.js'

/** Where the target connections are that only this client may use. */
export interface SharedPins {
  readonly pinned: PinnedConnections | undefined
  pin(conn: Conn, target: Target): void
}

/** A client's session whose connection is a stream: what concerns the real connection is not its business. */
export class StreamSession extends ClientSession {
  override readonly protocol = 'HTTP/2.0'

  readonly #pins: SharedPins

  constructor(
    shared: Http2Plane,
    home: SharedPins & { readonly listener: Listener; readonly origin: ClientOrigin },
    stream: Conn,
  ) {
    super(shared.http1, shared.exchanges, home.listener, stream, home.origin)
    this.#pins = home
  }

  /** They are the connection's: its streams share them. */
  override get pinned(): PinnedConnections | undefined {
    return this.#pins.pinned
  }

  override pin(conn: Conn, target: Target): void {
    this.#pins.pin(conn, target)
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
