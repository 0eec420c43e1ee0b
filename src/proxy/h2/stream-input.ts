// Hot path: every byte that comes by HTTP/2 passes here.
import type { Ahead, Conn, ConnHandler, Endpoint, Silence, SocketShare } from '../../core/conn.js'
import { CastorError } from '../../core/errors.js'
import { LAST_CHUNK, LAST_CHUNK_BEFORE_TRAILERS } from '../../http/chunked-writer.js'
import { DataToBody, MOST_FRAMED_BYTES } from '../../http/h2/data-to-body.js'
import { H2_ERROR, type H2Stream } from '../../http/h2/engine.js'
import type { FieldList } from '../../http/h2/field-list.js'
import type { HeadBuffer } from '../../http/h2/head-buffer.js'
import { trailersToLines } from '../../http/h2/trailer-lines.js'
import { giveBackReleased, KeptBytes } from '../h1/kept-bytes.js'
import { SHARE_BYTES } from './ahead.js'
import type { Http2Context } from './h2-context.js'
import type { Stepping } from './step-queue.js'

const NOTHING = new Uint8Array(0)
const BLANK_LINE_BYTES = 2

/**
 * What comes on an HTTP/2 stream, given on as the HTTP/1.1 message that says the same. Bytes that a paused handler does not
 * take stay here, and the peer gets no window for them.
 */
export abstract class StreamInput implements Conn, Stepping {
  handler: ConnHandler
  context: unknown = undefined
  readonly peer: Endpoint
  readonly local: Endpoint
  /** That is its connection's. */
  readonly tls = undefined
  /** Of a stream to a target: how far that may be ahead, once half a share has come. Reads are as large as frames are. */
  readSize = 0
  bytesRead = 0
  closed = true
  share: SocketShare | undefined = undefined
  readonly peerReset = false
  /** A stream that was turned away unread is given another one by itself. */
  readonly unacknowledgedBytes = 0
  silence: Silence | undefined = undefined
  /** Trailers beside a length, as lines. */
  trailerLines: Uint8Array | undefined = undefined
  protected readonly shared: Http2Context
  protected stream: H2Stream | undefined
  /** DATA is to be passed on as it comes. */
  protected rawIn = false
  /** The same for a body whose end is that of the stream, and is still to come. */
  protected untilEnd = false
  protected readonly toBody = new DataToBody()
  /** What comes is kept until `step`: the handler does not have yet what came before it. */
  protected waits = false
  protected activeMs = 0
  #paused = false
  readonly #inbox = new KeptBytes()
  /** Bytes of DATA that were received and that the peer has no window for yet. */
  #unconsumed = 0
  /** The body is here as far as it was promised, and the end of the stream is not. */
  #held = false
  #endReceived = false
  #endDelivered = false
  #listed = false
  /** To tell the handler of, once no call of its own is under way. */
  #lost: CastorError | undefined
  /** To tell it of once all that came before has been delivered. */
  #lostBehind: CastorError | undefined

  constructor(shared: Http2Context, handler: ConnHandler, peer: Endpoint, local: Endpoint) {
    this.shared = shared
    this.handler = handler
    this.peer = peer
    this.local = local
  }

  abstract readonly bytesWritten: number
  abstract readonly lastActiveMs: number
  abstract readonly dialledMs: number
  abstract write(buffer: Uint8Array, start: number, end: number): boolean
  abstract lookAhead(): Ahead
  abstract end(): void
  abstract close(): void
  abstract abort(): void

  /** Towards a client. */
  protected abstract readonly isServer: boolean
  /** A head, or trailers: what `onFields` brought, before what is behind it is passed on. */
  protected abstract readHead(stream: H2Stream, fields: FieldList, endStream: boolean): void
  /** A head is what is expected next, not trailers. */
  protected abstract get awaitsHead(): boolean
  /** The stream is of no more use, and the handler is told so. */
  protected abstract finish(cause: CastorError | undefined): void

  /** To be called before each use. */
  protected open(): void {
    this.closed = false
    this.rawIn = false
    this.untilEnd = false
    this.waits = false
    this.#paused = false
    this.#inbox.clear()
    this.#unconsumed = 0
    this.#held = false
    this.trailerLines = undefined
    this.#endReceived = false
    this.#endDelivered = false
    this.#lost = undefined
    this.#lostBehind = undefined
    this.bytesRead = 0
    this.activeMs = this.shared.context.clock.nowMs
    this.toBody.begin(-1, false)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#inbox.empty || (this.#endReceived && !this.#endDelivered) || this.#lostBehind) this.stepLater()
    else this.#consume()
  }

  onFields(stream: H2Stream, fields: FieldList, endStream: boolean): void {
    if (stream !== this.stream) return
    this.activeMs = this.shared.context.clock.nowMs
    if (this.awaitsHead) this.readHead(stream, fields, endStream)
    else this.#readTrailers(fields)
  }

  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    if (stream !== this.stream) return
    this.activeMs = this.shared.context.clock.nowMs
    const length = end - start
    this.bytesRead += length
    this.#unconsumed += length
    if (!this.rawIn && !this.toBody.count(length)) {
      this.malformed('8.1.1: more DATA than Content-Length')
      return
    }
    if (this.rawIn || !this.toBody.chunked) {
      // Trailers may follow, or more than was promised: the body's end is passed on when the stream's end has come.
      if (!this.rawIn && !this.untilEnd && this.toBody.whole && !stream.remoteEnding) this.#held = true
      this.deliver(buffer, start, end)
    } else {
      for (let at = start; at < end && !this.closed; at += MOST_FRAMED_BYTES) {
        this.toBody.frame(buffer, at, Math.min(end, at + MOST_FRAMED_BYTES))
        this.deliver(this.toBody.bytes, this.toBody.start, this.toBody.end)
      }
    }
    if (!this.isServer && this.bytesRead >= SHARE_BYTES / 2) stream.widenWindow(this.readSize)
    if (!this.#paused && !this.#held && !this.waits && this.#inbox.empty && !this.closed && this.stream === stream)
      this.#consume()
  }

  onEnd(stream: H2Stream): void {
    if (stream !== this.stream) return
    if (this.rawIn) {
      this.#passEnd(NOTHING, 0)
      return
    }
    if (!this.toBody.whole) {
      this.malformed('8.1.1: less DATA than Content-Length')
      return
    }
    if (this.untilEnd) {
      this.#passEnd(NOTHING, 0)
      return
    }
    if (this.#held) {
      this.#held = false
      this.stepLater()
    }
    if (!this.toBody.chunked) return
    this.toBody.chunked = false
    this.deliver(LAST_CHUNK, 0, LAST_CHUNK.length)
  }

  step(): void {
    this.#listed = false
    if (this.closed) return
    if (this.#lost !== undefined) {
      this.finish(this.#lost)
      return
    }
    if (this.#paused || this.#held) return
    if (!this.#inbox.empty) {
      const { buffer, length } = this.#inbox
      this.#inbox.clear()
      const { shared } = this
      shared.trailersBeside = this.trailerLines
      try {
        this.handler.onData(this, buffer, length)
      } finally {
        shared.trailersBeside = undefined
      }
      giveBackReleased(buffer)
      if (this.closed || this.#paused) return
      if (!this.#inbox.empty) {
        this.stepLater()
        return
      }
    }
    this.#consume()
    if (this.#endReceived && !this.#endDelivered) {
      const lines = this.trailerLines ?? NOTHING
      this.#tellEnd(lines, lines.length)
    }
    if (this.#lostBehind !== undefined && !this.closed) this.finish(this.#lostBehind)
  }

  /** All that the peer has to say is here, with trailers in [0, length) of `lines`, which are borrowed. */
  #passEnd(lines: Uint8Array, length: number): void {
    this.untilEnd = false
    this.#endReceived = true
    if (!this.#paused && !this.waits && this.#inbox.empty) this.#tellEnd(lines, length)
    else if (length > 0) this.trailerLines = lines.slice(0, length)
  }

  #tellEnd(lines: Uint8Array, length: number): void {
    const { http1 } = this.shared
    this.#endDelivered = true
    http1.trailers = lines
    http1.trailersLength = length
    try {
      this.handler.onEnd(this)
    } finally {
      http1.trailersLength = 0
    }
  }

  /** All that the peer has to say was received, be it that the frame that ends its side is still to come. */
  protected get inputWhole(): boolean {
    return !this.rawIn && !this.untilEnd && !this.awaitsHead && !this.toBody.chunked && this.toBody.whole
  }

  /** Gives HTTP/1.1 bytes to the handler, or keeps them for it. */
  protected deliver(bytes: Uint8Array, from: number, to: number): void {
    if (this.#paused || this.#held || this.waits || !this.#inbox.empty) {
      this.#inbox.append(bytes, from, to)
      return
    }
    const view = from === 0 ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from)
    this.handler.onData(this, view, to - from)
  }

  /** What the peer sent is no message (RFC 9113 8.1.1). */
  protected malformed(detail: string): void {
    this.shared.log.debug({ peer: this.peer.address, detail }, 'malformed HTTP/2 message')
    this.stream?.reset(H2_ERROR.PROTOCOL_ERROR)
    this.finish(new CastorError(this.isServer ? 'REQUEST_MALFORMED' : 'RESPONSE_MALFORMED', detail))
  }

  /** Ends it with a cause, once the calls under way have returned. */
  protected lose(cause: CastorError): void {
    this.#lost = cause
    this.stepLater()
  }

  /** The same, once all that came before has been delivered. */
  protected loseBehind(cause: CastorError): void {
    this.#lostBehind = cause
    this.stepLater()
  }

  #readTrailers(fields: FieldList): void {
    const { trailerLines } = this.shared
    trailerLines.clear()
    if (!this.untilEnd) trailerLines.put(LAST_CHUNK_BEFORE_TRAILERS)
    if (this.rawIn || !this.toBody.whole || !trailersToLines(fields, trailerLines)) {
      this.malformed('8.1: malformed trailers')
      return
    }
    if (this.untilEnd) {
      this.#passTrailers(trailerLines, fields.count)
      return
    }
    if (!this.toBody.chunked) {
      // Behind a length HTTP/1.1 has no place for them; whoever speaks HTTP/2 on the other side takes them from here.
      if (this.#held)
        this.trailerLines = trailerLines.bytes.slice(LAST_CHUNK_BEFORE_TRAILERS.length, trailerLines.length)
      return
    }
    this.toBody.chunked = false
    trailerLines.endLine()
    this.deliver(trailerLines.bytes, 0, trailerLines.length)
  }

  /** They are bounded as those of a chunked body are. */
  #passTrailers({ bytes, length }: HeadBuffer, count: number): void {
    const { maxHeaderBytes, maxHeaders } = this.shared.http1.limits
    if (length + BLANK_LINE_BYTES > maxHeaderBytes || count > maxHeaders) this.malformed('10.5.1: trailers too large')
    else this.#passEnd(bytes, length)
  }

  #consume(): void {
    const bytes = this.#unconsumed
    if (bytes === 0) return
    this.#unconsumed = 0
    this.stream?.consume(bytes)
  }

  protected stepLater(): void {
    if (this.#listed) return
    this.#listed = true
    this.shared.steps.add(this)
  }

  /** What has not been taken by now never will be. */
  protected dropInput(): void {
    this.#inbox.clear()
  }
}
