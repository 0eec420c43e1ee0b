// Hot path: one object a stream; what happens to it is done by the connection and the sender.
import type { H2Connection, H2Settings, H2Stream, H2StreamHandler } from './engine.js'
import type { FieldList } from './field-list.js'

/** A server's stream until `onStream` has given it its own; says so to whoever forgot. */
export const NO_HANDLER: H2StreamHandler = {
  onFields: missing,
  onFieldsTooLarge: missing,
  onData: missing,
  onEnd: missing,
  onWritable: missing,
  onReset() {},
}

function missing(): never {
  throw new Error('onStream has not set stream.handler')
}

/** The connection, as its streams ask things of it. */
export interface StreamOwner extends H2Connection {
  readonly settings: H2Settings
  sendFields(stream: Http2Stream, fields: FieldList, endStream: boolean): void
  sendData(stream: Http2Stream, buffer: Uint8Array, start: number, end: number, endStream: boolean): boolean
  consume(stream: Http2Stream, bytes: number): void
  resetStream(stream: Http2Stream, code: number): void
  abandonInput(stream: Http2Stream): void
}

export class Http2Stream implements H2Stream {
  handler: H2StreamHandler
  context: unknown = undefined
  id: number
  readonly connection: StreamOwner
  remoteEnded = false
  localEnded = false
  closed = false
  stalled = false
  dataReceived = 0
  dataSent = 0

  /** The frame that ends the peer's side is here, but its callbacks have not all been made. */
  remoteEnding = false
  /** The request, or the final response, was received: the next header block is trailers. */
  headReceived = false
  inputAbandoned = false
  /** END_STREAM was sent. */
  endSent = false
  /** Bytes the peer lets us send; below 0 after it made its windows smaller (RFC 9113, 6.9.2). */
  sendWindow: number
  /** Bytes we let the peer send. */
  receiveWindow: number
  /** Bytes received that were not given back yet, by the layer above or by us. */
  unconsumed = 0
  /** Bytes that the peer may have under way or unconsumed, once it knows of it. */
  windowBytes: number
  /** Bytes consumed that no WINDOW_UPDATE told the peer of yet. */
  owed = 0

  /** Data that waits is [queueStart, queueEnd) of `queue`. */
  queue: Uint8Array | undefined
  queueStart = 0
  queueEnd = 0
  /** What follows the queue: trailers, and the end of the stream. */
  trailers: FieldList | undefined
  /** `onWritable` is due when the queue is empty. */
  writerWaits = false
  /** When the peer opened it. */
  openedMs = 0
  /** When the queue last became shorter, or began. */
  movedMs = 0
  /** In the ring of those that may send. */
  next: Http2Stream | undefined
  previous: Http2Stream | undefined

  constructor(
    connection: StreamOwner,
    id: number,
    handler: H2StreamHandler,
    sendWindow: number,
    receiveWindow: number,
  ) {
    this.connection = connection
    this.id = id
    this.handler = handler
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
    this.windowBytes = connection.settings.streamWindowBytes
  }

  get queuedBytes(): number {
    return this.queueEnd - this.queueStart
  }

  sendFields(fields: FieldList, endStream: boolean): void {
    this.connection.sendFields(this, fields, endStream)
  }

  sendData(buffer: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    return this.connection.sendData(this, buffer, start, end, endStream)
  }

  consume(bytes: number): void {
    this.connection.consume(this, bytes)
  }

  widenWindow(bytes: number): void {
    if (bytes <= this.windowBytes) return
    this.owed += bytes - this.windowBytes
    this.windowBytes = bytes
  }

  reset(code: number): void {
    this.connection.resetStream(this, code)
  }

  abandonInput(): void {
    this.connection.abandonInput(this)
  }
}
