// Hot path: one a request that comes by HTTP/2.
import type { Conn, SocketShare } from '../../core/conn.js'
import { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { H2Stream } from '../../http/h2/engine.js'
import { H2_ERROR } from '../../http/h2/engine.js'
import type { FieldList } from '../../http/h2/field-list.js'
import { idOf } from '../../http/h2/field-rules.js'
import { answerFields, putStatus, responseFields } from '../../http/h2/fields-from-http1.js'
import { isGrpcCall, REQUEST_MALFORMED, REQUEST_READY } from '../../http/h2/request-to-http1.js'
import { linesToTrailers } from '../../http/h2/trailer-lines.js'
import { webSocketAccept } from '../../http/h2/websocket-key.js'
import { PARSE_COMPLETE, VALUE_END, VALUE_START } from '../../http/head-layout.js'
import { HEADER_CONTENT_LENGTH } from '../../http/header-names.js'
import { FRAMING_NONE, type ResponseParser } from '../../http/response-parser.js'
import type { ResponseHeadOptions } from '../../http/response-writer.js'
import { withoutFields } from '../../http/trailers.js'
import type { AnswerSink } from '../answer-sink.js'
import type { ClientAddress } from '../client-address.js'
import { DISCARD } from '../discard.js'
import { logRefusal } from '../h1/refusal.js'
import type { Listener } from '../listener.js'
import type { Http2Context } from './h2-context.js'
import { OUT_BODY, OUT_DONE, OUT_TUNNEL } from './out-state.js'
import { StreamConn } from './stream-conn.js'
import { type SharedConnection, StreamSession } from './stream-session.js'

const ID_WEBSOCKET_ACCEPT = idOf('sec-websocket-accept')

/** What a field would take beside its name and value as a line of HTTP/1.1, as which heads are counted. */
const LINE_BYTES = 4

/** What a client's streams share: their connection. */
export interface StreamHome extends SharedConnection {
  readonly listener: Listener
  readonly clientAddress: ClientAddress
  readonly conn: Conn
  /** One for all streams: they are one client's. */
  readonly share: SocketShare
  /** The stream is done with, and may carry another request. */
  takeBack(stream: ClientStream): void
}

/**
 * A client's stream, and the session that serves it as if it were a connection with one HTTP/1.1 request. Used again for
 * other streams of the same connection.
 */
export class ClientStream extends StreamConn implements AnswerSink {
  protected readonly isServer = true
  readonly session: StreamSession
  /** In the list of its home. */
  place = -1
  readonly #home: StreamHome
  #fresh = true
  #method = 0
  /** Where the head lies in the arena while the request waits for the end of the turn. */
  #headAt = 0
  #headLength = 0
  #linesAt = 0
  /** None are known of a WebSocket handshake. */
  #lineCount = 0
  /** The head of a request of no content whose stream has not ended yet, and since when. */
  #awaited: Uint8Array | undefined
  #awaitedMs = 0
  #webSocketKey = ''

  constructor(shared: Http2Context, home: StreamHome) {
    super(shared, DISCARD, home.conn.peer, home.conn.local)
    this.#home = home
    this.share = home.share
    this.session = new StreamSession(shared, home, this)
  }

  /** It carried a WebSocket, whose tunnel may outlive it: for that it stays what it was. */
  get tunnelled(): boolean {
    return this.#webSocketKey !== ''
  }

  /** The client has opened a stream: its fields follow. */
  attach(stream: H2Stream): void {
    this.open()
    this.handler = DISCARD
    this.#fresh = true
    this.#webSocketKey = ''
    this.session.grpc = false
    this.session.sink = undefined
    this.stream = stream
    stream.handler = this
  }

  protected get awaitsHead(): boolean {
    return this.#fresh
  }

  protected readHead(stream: H2Stream, fields: FieldList, endStream: boolean): void {
    this.#fresh = false
    const head = this.shared.requestHead
    const outcome = head.write(fields, endStream)
    if (outcome === REQUEST_MALFORMED) {
      this.#refuseMalformed(stream, head.detail)
      return
    }
    this.#method = head.method
    const { session } = this
    session.addedHeaders = head.addedHeaders
    session.grpc = head.grpc && head.webSocketKey === ''
    const { upgrades } = this.#home.listener.route.settings
    if (outcome !== REQUEST_READY || (head.webSocketKey !== '' && !upgrades.webSocket)) {
      session.start(undefined)
      session.refuseNow(501, 'METHOD_NOT_ALLOWED')
      return
    }
    this.#webSocketKey = head.webSocketKey
    // A handshake's answer is another one by HTTP/2.
    session.sink = head.webSocketKey === '' ? this : undefined
    this.rawIn = head.webSocketKey !== ''
    this.toBody.begin(endStream ? 0 : head.contentLength, head.chunked)
    if (!endStream && head.contentLength === 0) {
      // Content may still follow that may not be there (RFC 9113 8.1.1): the stream's end tells.
      this.#awaited = head.head.bytes.slice(0, head.head.length)
      this.#awaitedMs = this.shared.context.clock.nowMs
      this.waits = true
      return
    }
    // Not now: what else came with it may take it back, or spoil it, and then no target is to hear of it.
    this.#headAt = this.shared.heads.keep(head.head.bytes, head.head.length)
    this.#headLength = head.head.length
    this.#linesAt = this.shared.heads.keepLines(head.lines)
    this.#lineCount = head.lines.count
    this.waits = true
    this.stepLater()
  }

  override step(): void {
    if (this.#awaited === undefined) {
      if (this.waits) this.#begin()
      if (this.trailerLines !== undefined) this.session.removeTrailers()
      super.step()
      return
    }
    if (this.stream !== undefined && !this.stream.remoteEnded) {
      super.step()
      return
    }
    const head = this.#awaited
    if (this.stream === undefined) this.#record(499, 'CLIENT_RESET')
    this.#awaited = undefined
    this.waits = false
    if (this.stream !== undefined) {
      this.session.start(undefined)
      this.handler.onData(this, head, head.length)
    }
    super.step()
  }

  override onEnd(stream: H2Stream): void {
    super.onEnd(stream)
    if (this.#awaited !== undefined && stream === this.stream) this.stepLater()
  }

  /** A head whose stream does not end in time is none. */
  checkAwaited(nowMs: number): void {
    if (this.#awaited === undefined || this.stream === undefined) return
    if (nowMs - this.#awaitedMs < this.shared.context.protection.headerTimeoutMs) return
    this.stream.reset(H2_ERROR.CANCEL)
    this.#record(408, 'HEADER_TIMEOUT')
    this.finish(undefined)
  }

  /** The turn is over: unless the client has taken the request back by now, it is served. */
  #begin(): void {
    const { heads } = this.shared
    this.waits = false
    if (this.stream === undefined) {
      heads.giveBack()
      this.#record(499, 'CLIENT_RESET')
    } else {
      const { bytes, lines } = heads
      heads.giveBack()
      const end = this.#headAt + this.#headLength
      this.session.serve(bytes, this.#headAt, end, lines, this.#linesAt, this.#lineCount)
    }
  }

  /** A request that is spoilt before it was served never was one. */
  protected override malformed(detail: string): void {
    if (!this.waits || this.stream === undefined) {
      super.malformed(detail)
      return
    }
    this.#refuseMalformed(this.stream, detail, 'BAD_BODY')
  }

  onFieldsTooLarge(_stream: H2Stream, _endStream: boolean, fields: FieldList): void {
    // Trailers that are too large leave their request without an end.
    if (!this.#fresh) {
      this.malformed('10.5.1: trailers too large')
      return
    }
    this.#fresh = false
    this.session.grpc = isGrpcCall(fields)
    this.session.start(undefined)
    this.session.refuseNow(431, 'HEADER_TOO_LARGE')
  }

  protected sendHead(stream: H2Stream, buffer: Uint8Array, start: number, end: number): number {
    const { responses, fields } = this.shared
    responses.reset()
    if (responses.parse(buffer, start, end) !== PARSE_COMPLETE) return -1
    const next = start + responses.headLength
    const { status } = responses
    if (this.#webSocketKey !== '' && (status === 101 || (status >= 200 && status < 300))) {
      this.#answerHandshake(stream, status, buffer, start)
      return next
    }
    const framing = responses.framing(this.#method)
    // Trailers-Only has nothing that speaks of a body.
    const bare = framing === FRAMING_NONE && this.session.grpc
    responseFields(fields, responses, buffer, start, bare ? HEADER_CONTENT_LENGTH : -1)
    if (status < 200) {
      stream.sendFields(fields, false)
      return next
    }
    // Castor's own answer to a request that had trailers does not have them.
    this.shared.trailersBeside = undefined
    this.toData.begin(framing, responses.contentLength)
    this.out = framing === FRAMING_NONE ? OUT_DONE : OUT_BODY
    stream.sendFields(fields, framing === FRAMING_NONE)
    return next
  }

  head(parser: ResponseParser, buffer: Uint8Array, start: number, options: ResponseHeadOptions): number {
    const { fields } = this.shared
    const bodiless = parser.framing(this.#method) === FRAMING_NONE
    answerFields(fields, parser, buffer, start, options, bodiless && this.session.grpc)
    const bytes = fields.end + fields.count * LINE_BYTES
    const stream = this.toWrite(bytes)
    if (stream === undefined) return bytes
    this.out = bodiless ? OUT_DONE : OUT_BODY
    stream.sendFields(fields, bodiless)
    return bytes
  }

  data(buffer: Uint8Array, start: number, end: number, last: boolean): boolean {
    const stream = this.toWrite(end - start)
    if (stream === undefined) return false
    const beside = last ? this.#trailersBeside() : undefined
    const ends = last && beside === undefined
    const taken = start === end && !ends ? stream.queuedBytes === 0 : stream.sendData(buffer, start, end, ends)
    if (beside !== undefined) this.trailers(beside, beside.length)
    else if (last) this.out = OUT_DONE
    return taken
  }

  /** What the target sent behind a length, without what the rule takes out of its answers. */
  #trailersBeside(): Uint8Array | undefined {
    const { trailersBeside } = this.shared
    const removed = this.session.route.edits?.response?.removed
    if (trailersBeside === undefined || removed === undefined) return trailersBeside
    return withoutFields(trailersBeside, removed)
  }

  trailers(lines: Uint8Array, length: number): void {
    const stream = this.toWrite(0)
    if (stream === undefined) return
    const { fields } = this.shared
    fields.clear()
    linesToTrailers(lines, length, fields)
    this.out = OUT_DONE
    stream.sendFields(fields, true)
  }

  /** 101 becomes 200 (RFC 8441 5); a target that answers 200 without switching has not taken the handshake for one. */
  #answerHandshake(stream: H2Stream, status: number, buffer: Uint8Array, start: number): void {
    const { responses, fields } = this.shared
    const entry = responses.find(ID_WEBSOCKET_ACCEPT)
    const from = entry < 0 ? 0 : responses.headers[entry + VALUE_START]!
    const to = entry < 0 ? 0 : responses.headers[entry + VALUE_END]!
    if (status === 101 && responses.text(buffer, start, from, to) === webSocketAccept(this.#webSocketKey)) {
      responseFields(fields, responses, buffer, start)
      this.out = OUT_TUNNEL
      stream.sendFields(fields, false)
      return
    }
    putStatus(fields, 502)
    this.out = OUT_DONE
    stream.sendFields(fields, true)
    stream.abandonInput()
    // What the target thinks is a WebSocket by now has no other end.
    if (status === 101) this.lose(new CastorError('RESPONSE_MALFORMED', 'the target answered another handshake'))
  }

  /** RFC 9113 8.1.1: a stream error, which costs the other streams nothing. */
  #refuseMalformed(stream: H2Stream, detail: string, reason: ReasonCode = 'BAD_REQUEST'): void {
    stream.reset(H2_ERROR.PROTOCOL_ERROR)
    this.#record(400, reason)
    this.shared.log.debug({ client: this.#home.clientAddress.source.address, reason, detail }, 'request refused')
    this.finish(undefined)
  }

  /** Accounts for a request that never became an exchange. */
  #record(status: number, reason: ReasonCode): void {
    const { listener, clientAddress } = this.#home
    logRefusal(this.shared.http1, { listener, route: listener.route, clientAddress }, status, reason)
  }

  protected override finish(cause: CastorError | undefined): void {
    if (this.waits && this.#awaited === undefined) this.shared.heads.giveBack()
    this.waits = false
    this.#awaited = undefined
    super.finish(cause)
  }

  protected onFinished(): void {
    this.session.giveRoomBack()
    this.#home.takeBack(this)
  }
}
