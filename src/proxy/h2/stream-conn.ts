// Hot path: every byte that goes out by HTTP/2 passes here.
import { AHEAD_END, AHEAD_NOTHING, type Ahead, type ConnHandler, type Endpoint } from '../../core/conn.js'
import { CastorError } from '../../core/errors.js'
import { BodyToData } from '../../http/h2/body-to-data.js'
import { H2_ERROR, type H2Stream, type H2StreamHandler } from '../../http/h2/engine.js'
import type { FieldList } from '../../http/h2/field-list.js'
import { DEAF } from './deaf-stream.js'
import type { Http2Context } from './h2-context.js'
import { OUT_BODY, OUT_DONE, OUT_HEAD, OUT_TUNNEL } from './out-state.js'
import { StreamInput } from './stream-input.js'

/**
 * An HTTP/2 stream as a connection that speaks HTTP/1.1: what is written to it is read as one HTTP/1.1 message and sent as
 * fields and DATA; what comes is given on as the HTTP/1.1 message that says the same.
 */
export abstract class StreamConn extends StreamInput implements H2StreamHandler {
  protected out: number = OUT_HEAD
  protected readonly toData: BodyToData
  #written = 0
  /** What was queued when the stream was lost. */
  #unsentBytes = 0
  /** To close once all that was written has gone out. */
  #closing = false

  constructor(shared: Http2Context, handler: ConnHandler, peer: Endpoint, local: Endpoint) {
    super(shared, handler, peer, local)
    this.toData = new BodyToData(shared.limits)
  }

  /** What is queued leaves it frame by frame: each is a sign of life. */
  get lastActiveMs(): number {
    const { stream } = this
    return stream === undefined ? this.activeMs : Math.max(this.activeMs, stream.movedMs)
  }

  /** Without what is still queued. */
  get bytesWritten(): number {
    return this.#written - (this.stream?.queuedBytes ?? this.#unsentBytes)
  }

  /** Reads the head that was written at `start` and sends it. Returns the first byte behind it, −1 when it is none. */
  protected abstract sendHead(stream: H2Stream, buffer: Uint8Array, start: number, end: number): number
  /** The connection is over, for `onClose` was called. */
  protected abstract onFinished(): void

  protected override open(): void {
    super.open()
    this.out = OUT_HEAD
    this.#closing = false
    this.#written = 0
    this.#unsentBytes = 0
  }

  get dialledMs(): number {
    return 0
  }

  write(buffer: Uint8Array, start: number, end: number): boolean {
    let at = start
    const stream = this.toWrite(end - start)
    if (stream === undefined) return false
    while (at < end && this.out === OUT_HEAD) {
      at = this.sendHead(stream, buffer, at, end)
      if (at < 0) {
        this.#breakOff('what was written is no message')
        return false
      }
    }
    if (this.out === OUT_TUNNEL) return at === end || stream.sendData(buffer, at, end, false)
    if (this.out !== OUT_BODY) return stream.queuedBytes === 0
    this.toData.pass(stream, buffer, at, end, this.shared.trailersBeside)
    if (this.toData.malformed) {
      this.#breakOff('the body that was written is malformed')
      return false
    }
    if (this.toData.done) this.out = OUT_DONE
    return !this.toData.blocked
  }

  /** The stream, where something may still be sent on it: so many bytes, which are counted. */
  protected toWrite(bytes: number): H2Stream | undefined {
    const { stream } = this
    if (this.closed || stream === undefined || stream.closed || this.#closing) return undefined
    this.activeMs = this.shared.context.clock.nowMs
    this.#written += bytes
    return stream
  }

  lookAhead(): Ahead {
    return this.closed ? AHEAD_END : AHEAD_NOTHING
  }

  end(): void {
    const { stream } = this
    if (this.out !== OUT_TUNNEL || stream === undefined) return
    this.out = OUT_DONE
    stream.sendData(NOTHING, 0, 0, true)
  }

  close(): void {
    const { stream } = this
    if (this.closed || this.#closing) return
    if (this.out === OUT_TUNNEL) this.end()
    if (stream === undefined || this.out !== OUT_DONE) {
      this.abort()
      return
    }
    if (!stream.remoteEnded && !this.inputWhole) {
      if (!this.isServer) {
        this.abort()
        return
      }
      stream.abandonInput()
    }
    this.#closing = true
    if (stream.closed || stream.queuedBytes === 0) this.finish(undefined)
  }

  abort(): void {
    if (this.closed) return
    // A message that was begun and not ended must look cut (RFC 9113 8.1), one that is whole is of no interest any more.
    const cut = this.out === OUT_BODY || this.out === OUT_HEAD
    this.stream?.reset(cut && this.isServer ? H2_ERROR.INTERNAL_ERROR : H2_ERROR.CANCEL)
    this.finish(undefined)
  }

  abstract onFieldsTooLarge(stream: H2Stream, endStream: boolean, fields: FieldList): void

  onWritable(stream: H2Stream): void {
    if (stream !== this.stream) return
    this.activeMs = this.shared.context.clock.nowMs
    if (this.#closing) this.finish(undefined)
    else this.handler.onWritable(this)
  }

  onReset(stream: H2Stream, code: number, retryable: boolean): void {
    if (stream !== this.stream) return
    this.#unsentBytes = stream.queuedBytes
    this.stream = undefined
    const { connection } = stream
    if (!retryable && (connection.closed || connection.draining)) this.lose(this.shared.lossOf(connection))
    else this.lose(new CastorError(retryable ? 'STREAM_REFUSED' : 'STREAM_RESET', `HTTP/2 error ${code}`))
  }

  /** A fault of Castor's own: nothing that was written so far may look whole. */
  #breakOff(detail: string): void {
    this.shared.log.error({ detail }, 'a fault ended one stream')
    this.stream?.reset(H2_ERROR.INTERNAL_ERROR)
    this.lose(new CastorError('ABORTED', detail))
  }

  protected override finish(cause: CastorError | undefined): void {
    this.closed = true
    if (this.stream !== undefined && !this.stream.closed) this.stream.handler = DEAF
    this.#unsentBytes = this.stream?.queuedBytes ?? this.#unsentBytes
    this.stream = undefined
    this.dropInput()
    this.handler.onClose(this, cause)
    this.onFinished()
  }
}

const NOTHING = new Uint8Array(0)
