// Hot path: one a request to a target that speaks HTTP/2.
import type { ConnHandler, Endpoint } from '../../core/conn.js'
import { CastorError } from '../../core/errors.js'
import type { H2Stream } from '../../http/h2/engine.js'
import type { FieldList } from '../../http/h2/field-list.js'
import { idOf } from '../../http/h2/field-rules.js'
import { requestFields } from '../../http/h2/fields-from-http1.js'
import { PARSE_COMPLETE, VALUE_END, VALUE_START } from '../../http/head-layout.js'
import { METHOD_HEAD } from '../../http/methods.js'
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE } from '../../http/response-parser.js'
import { DISCARD } from '../discard.js'
import { RefusedRequest } from '../refused-request.js'
import type { Http2Context } from './h2-context.js'
import { OUT_BODY, OUT_DONE, OUT_HEAD, OUT_TUNNEL } from './out-state.js'
import { StreamConn } from './stream-conn.js'
import type { TargetConnection } from './target-connection.js'

const ID_WEBSOCKET_KEY = idOf('sec-websocket-key')
/** So much of a request is kept until it is answered, to be sent again where the target has turned it away unread. */
const REPLAY_BYTES = 16 * 1024
const MAX_REPLAYS = 2
const FIRST_KEPT_BYTES = 2 * 1024
const NOTHING = Buffer.alloc(0)

/** Whoever has streams to give. */
export interface StreamSource {
  readonly scheme: Uint8Array
  /** As of Conn, of the connection that is dialled for those that wait. */
  readonly dialledMs: number
  /** The stream waits for another one: the one it had was turned away before the target acted on it (RFC 9113 8.7). */
  requeue(stream: TargetStream): void
  /** It is over; nothing may be sent on it any more. */
  forget(stream: TargetStream): void
}

/** A request to a target as a connection of its own: dialled, it waits for a stream; then it is one. */
export class TargetStream extends StreamConn {
  protected readonly isServer = false
  /** It has, or has had, a stream. */
  opened = false
  readonly #source: StreamSource
  #connection: TargetConnection | undefined
  /** What was written before there was a stream, and what of it may have to be written again. */
  #kept: Buffer = NOTHING
  #keptLength = 0
  #replayable = true
  #hasBody = false
  #replays = 0
  #answered = false
  #last = false
  #noBody = false
  #webSocketKey = ''

  constructor(shared: Http2Context, source: StreamSource, endpoint: Endpoint) {
    super(shared, DISCARD, endpoint, endpoint)
    this.#source = source
  }

  override get dialledMs(): number {
    return this.opened ? 0 : this.#source.dialledMs
  }

  /** It carried a WebSocket: those who did may still hold on to it. */
  get tunnelled(): boolean {
    return this.#webSocketKey !== ''
  }

  /** To be called before each use. */
  begin(handler: ConnHandler): void {
    this.open()
    this.handler = handler
    this.opened = false
    this.#keptLength = 0
    this.#replayable = true
    this.#hasBody = false
    this.#replays = 0
    this.#answered = false
    this.#last = false
    this.#noBody = false
    this.#webSocketKey = ''
  }

  /** Has a stream from now on; what was written waits no longer. */
  attach(stream: H2Stream, connection: TargetConnection): void {
    this.opened = true
    this.#connection = connection
    this.stream = stream
    this.out = OUT_HEAD
    if (this.#last) stream.connection.drain()
    if (this.#keptLength === 0) return
    super.write(this.#kept, 0, this.#keptLength)
    if (!this.#hasBody || this.#keptLength > REPLAY_BYTES) this.#forgetSent()
  }

  /** Given up, whether by its client or because it took too long. */
  override abort(): void {
    if (!this.closed && this.opened && !this.#answered) this.#connection?.doubt(this.lastActiveMs)
    super.abort()
  }

  /** Its connection takes no other request after this one. */
  retireConnection(): void {
    this.#last = true
    this.stream?.connection.drain()
  }

  override write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.closed) return false
    if (this.stream === undefined) {
      this.#keep(buffer, start, end)
      return true
    }
    const taken = super.write(buffer, start, end)
    // Without a body the exchange itself can send it again, and elsewhere.
    if (!this.#replayable || !this.#hasBody) return taken
    if (this.#keptLength + end - start > REPLAY_BYTES) this.#forgetSent()
    else this.#keep(buffer, start, end)
    return taken
  }

  /** No stream is to be had. */
  fail(cause: CastorError): void {
    if (!this.closed) this.lose(cause)
  }

  protected get awaitsHead(): boolean {
    return !this.#answered
  }

  protected sendHead(stream: H2Stream, buffer: Uint8Array, start: number, end: number): number {
    const { requests, fields } = this.shared
    // Those of a message that has just led to this one are none of its own.
    this.shared.trailersBeside = undefined
    requests.reset()
    if (requests.parse(buffer, start, end) !== PARSE_COMPLETE) return -1
    this.#hasBody = requests.hasBody
    const extended = requests.upgradeWebSocket && stream.connection.peerAllowsConnect
    this.#noBody = requests.method === METHOD_HEAD
    requestFields(fields, requests, buffer, start, this.#source.scheme, extended)
    const next = start + requests.headLength
    if (extended) {
      const entry = requests.find(ID_WEBSOCKET_KEY)
      const { headers } = requests
      this.#webSocketKey =
        entry < 0 ? '' : requests.text(buffer, start, headers[entry + VALUE_START]!, headers[entry + VALUE_END]!)
      this.out = OUT_TUNNEL
      stream.sendFields(fields, false)
      return next
    }
    const framing = requests.chunked ? FRAMING_CHUNKED : requests.contentLength > 0 ? FRAMING_LENGTH : FRAMING_NONE
    this.toData.begin(framing, requests.contentLength)
    this.out = framing === FRAMING_NONE ? OUT_DONE : OUT_BODY
    stream.sendFields(fields, framing === FRAMING_NONE)
    return next
  }

  protected readHead(_stream: H2Stream, fields: FieldList, endStream: boolean): void {
    const head = this.shared.responseHead
    if (!head.write(fields, endStream, this.#noBody, this.#webSocketKey)) {
      this.malformed(head.detail)
      return
    }
    this.#forgetSent()
    if (head.status >= 200) {
      this.#answered = true
      if (this.#webSocketKey !== '') {
        // A handshake that was refused leaves nothing to send.
        this.rawIn = head.status < 300
        if (!this.rawIn) this.end()
      }
      this.toBody.begin(head.bodyLength, false)
      this.untilEnd = head.untilEnd
    }
    const { http1 } = this.shared
    http1.answerLines = head.lines.count === 0 ? undefined : head.lines
    try {
      this.deliver(head.head.bytes, 0, head.head.length)
    } finally {
      http1.answerLines = undefined
    }
  }

  onFieldsTooLarge(): void {
    this.malformed('10.5.1: fields too large')
  }

  override onReset(stream: H2Stream, code: number, retryable: boolean): void {
    if (stream !== this.stream) return
    // The answer is whole: it is delivered, and then the target takes no more of the request.
    if (stream.remoteEnded && !this.tunnelled) {
      this.loseBehind(new CastorError('PEER_RESET', `HTTP/2 error ${code}`))
      return
    }
    if (retryable && this.#replayable && this.#keptLength > 0) {
      this.stream = undefined
      if (this.#replays++ < MAX_REPLAYS) this.#source.requeue(this)
      else this.lose(new RefusedRequest(this.#kept.slice(0, this.#keptLength), `HTTP/2 error ${code}`))
      return
    }
    super.onReset(stream, code, retryable)
  }

  protected onFinished(): void {
    this.#forgetSent()
    this.#source.forget(this)
  }

  #keep(buffer: Uint8Array, start: number, end: number): void {
    const length = this.#keptLength + end - start
    if (length > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_KEPT_BYTES, length + (length >> 2)))
      larger.set(this.#kept.subarray(0, this.#keptLength))
      this.#kept = larger
    }
    this.#kept.set(buffer.subarray(start, end), this.#keptLength)
    this.#keptLength = length
  }

  #forgetSent(): void {
    this.#replayable = false
    this.#keptLength = 0
    if (this.#kept.length > REPLAY_BYTES) this.#kept = NOTHING
  }
}
