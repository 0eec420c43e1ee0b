// Hot path: one a request that comes by HTTP/2.
import type { Conn } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import { withoutFields } from '../../http/trailers.js'
import type { BodyPace } from '../../limits/body-pace.js'
import type { ClientAddress } from '../client-address.js'
import { ClientSession } from '../h1/client-session.js'
import type { PinnedConnections } from '../h1/pinned-connections.js'
import type { Listener } from '../listener.js'
import type { Target } from '../target.js'
import { type AheadBudget, SHARE_BYTES, WIDE_BYTES } from './ahead.js'
import type { Http2Context } from './h2-context.js'

/** What the streams of a connection have in common. */
export interface SharedConnection {
  readonly bodyPace: BodyPace
  readonly receivedBytes: number
  readonly pinned: PinnedConnections | undefined
  readonly ahead: AheadBudget
  pin(conn: Conn, target: Target): void
}

/** A stream, and the trailers that came beside a length, once its body is whole. */
export interface TrailedConn extends Conn {
  trailerLines: Uint8Array | undefined
}

/** A client's session whose connection is a stream: what concerns the real connection is not its business. */
export class StreamSession extends ClientSession {
  override readonly protocol = 'HTTP/2.0'

  readonly #shared: SharedConnection
  readonly #thread: Http2Context
  readonly #stream: TrailedConn
  /** More than its share may be on its way. */
  #wide = false

  constructor(
    shared: Http2Context,
    home: SharedConnection & { readonly listener: Listener; readonly clientAddress: ClientAddress },
    stream: TrailedConn,
  ) {
    super(shared.http1, shared.served, home.listener, stream, home.clientAddress)
    this.#shared = home
    this.#thread = shared
    this.#stream = stream
  }

  override get bodyPace(): BodyPace {
    return this.#shared.bodyPace
  }

  override get receivedBytes(): number {
    return this.#shared.receivedBytes
  }

  /** They are the connection's: its streams share them. */
  override get pinned(): PinnedConnections | undefined {
    return this.#shared.pinned
  }

  override pin(conn: Conn, target: Target): void {
    this.#shared.pin(conn, target)
  }

  /** Begins, with a whole head that lies in [start, end), and its lines where `lines` says, if they are known. */
  serve(buffer: Uint8Array, start: number, end: number, lines: Int32Array, from: number, count: number): void {
    this.start(undefined)
    if (count > 0) {
      this.parser = this.context.takeParser(this.addedHeaders)
      this.parser.adopt(buffer, start, end, lines, from, count)
    }
    this.read(buffer, start, end)
  }

  /** What was kept while there was no connection to a target is followed by what came behind it. */
  override feedBody(): void {
    const thread = this.#thread
    this.removeTrailers()
    thread.trailersBeside = this.#stream.trailerLines
    try {
      super.feedBody()
    } finally {
      thread.trailersBeside = undefined
    }
  }

  /** Takes those out of the trailers beside a length that its rule takes out of the head. */
  removeTrailers(): void {
    const lines = this.#stream.trailerLines
    const removed = this.route.edits?.request?.removed
    if (lines !== undefined && removed !== undefined) this.#stream.trailerLines = withoutFields(lines, removed)
  }

  /** Answers what cannot be put into an HTTP/1.1 head. */
  refuseNow(status: number, reason: ReasonCode): void {
    this.refuse(status, reason, undefined)
  }

  override get firstReadBytes(): number {
    return SHARE_BYTES
  }

  override widen(upstream: Conn): void {
    if (!this.#wide) this.#wide = this.#shared.ahead.widen()
    if (this.#wide) upstream.readSize = WIDE_BYTES
  }

  /** Its stream is over, and all that was written to it is out. */
  giveRoomBack(): void {
    if (this.#wide) this.#shared.ahead.giveBack()
    this.#wide = false
  }

  /** Bytes are counted where they come in, frames and all. */
  override countBytes(): void {}

  /** The answer to one stream does not get lost by what the client still sends on it. */
  override linger(): void {
    this.closeAfterAnswer()
  }

  protected override onEnded(): void {}
}
