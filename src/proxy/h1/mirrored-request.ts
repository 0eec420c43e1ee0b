// Hot path of rules with a mirror: no closures or promises.
import { targetLossOf } from '../../core/blame.js'
import type { Conn, SocketShare } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import { ChunkedDecoder } from '../../http/chunked-decoder.js'
import type { RequestParser } from '../../http/request-parser.js'
import { FRAMING_UNTIL_CLOSE, ResponseParser } from '../../http/response-parser.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { AnswerSink } from '../answer-sink.js'
import type { ClientAddress } from '../client-address.js'
import type { Drainable } from '../drainables.js'
import type { Listener } from '../listener.js'
import { MIRROR_DROPPED, MIRROR_FAILED, MIRROR_SENT, type MirrorResult, type MirrorRoute } from '../mirror-route.js'
import { RequestInfo } from '../request-info.js'
import { Affinity } from '../stickiness.js'
import { BodyRelay, requestFraming } from './body-relay.js'
import type { Http1Context } from './h1-context.js'
import { Upstream } from './pick-target.js'
import type { Requester } from './requester.js'
import { HEAD_FINAL, HEAD_INCOMPLETE, HEAD_INTERIM, ResponseHead } from './response-head.js'
import {
  UPSTREAM_DIALLING,
  UPSTREAM_NONE,
  UPSTREAM_READY,
  type UpstreamSession,
  type UpstreamState,
  type UpstreamUser,
} from './upstream-state.js'

/** Of an answer so much is read for the sake of the connection; a longer one costs less when it is cut. */
const MOST_ANSWER_BYTES = 1024 * 1024
const READ_BYTES = 16 * 1024
/** Copies that have taken up more are not used again. */
const SMALL_BYTES = 16 * 1024

const OVER = 0
/** The request is still on its way from its client. */
const COPYING = 1
/** It is whole, and goes out when its turn comes. */
const DUE = 2
const CONNECTING = 3
const AWAITING = 4
/** The answer has begun. */
const ANSWERED = 5
type Phase = typeof OVER | typeof COPYING | typeof DUE | typeof CONNECTING | typeof AWAITING | typeof ANSWERED

/** Takes an answer that nobody wants. */
const NOWHERE: AnswerSink = { head: () => 0, data: () => true, trailers: () => {} }

/** Where copies come from and end; see `Mirrors`. */
export interface MirrorHome {
  /** What sockets of copies are counted in. */
  readonly share: SocketShare
  /** The copy is larger by so many bytes. False where there is no room for them. */
  grow(bytes: number): boolean
  /** The copy is whole, and goes out soon. False where there are too many. */
  submit(copy: MirroredRequest): boolean
  /** It is over; `bytes` as it had grown to. */
  forget(copy: MirroredRequest, bytes: number, wasInFlight: boolean): void
}

/**
 * A copy of a request for a mirror: first of its head, as the target of the request itself gets it, then of its body. Once
 * it is whole it has nothing to do with its client any more; it goes to a target of the mirror's group, once, and what is
 * answered is thrown away.
 */
export class MirroredRequest implements UpstreamUser, UpstreamSession, Drainable, Timed {
  listener!: Listener
  clientAddress!: ClientAddress
  route!: MirrorRoute
  readonly pinned = undefined
  readonly firstReadBytes = READ_BYTES
  /** As a request's client, for whom sockets to targets are counted. */
  readonly conn: { readonly share: SocketShare }
  drainablesPlace = -1
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly #context: Http1Context
  readonly #home: MirrorHome
  readonly #info = new RequestInfo()
  readonly #affinity = new Affinity()
  readonly #upstream: Upstream
  readonly #head: ResponseHead
  readonly #requestBody: BodyRelay
  readonly #answer: BodyRelay
  #phase: Phase = OVER
  /** What it is counted with. */
  #bytes = 0
  #full = false
  /** The connection authenticates whoever uses it: nobody else may. */
  #private = false
  #keepUpstream = false
  /** When the target had it. */
  #sentMs = 0

  constructor(context: Http1Context, home: MirrorHome) {
    const { limits, transport } = context
    this.#context = context
    this.#home = home
    this.conn = { share: home.share }
    this.#upstream = new Upstream(context, this.#info, this)
    const maxHeaderBytes = Math.min(limits.maxHeaderBytes, transport.scratch.length / 2)
    this.#head = new ResponseHead(new ResponseParser({ ...limits, maxHeaderBytes }), context.clock)
    this.#requestBody = new BodyRelay(new ChunkedDecoder(limits))
    this.#answer = new BodyRelay(new ChunkedDecoder(limits))
  }

  /** It takes up little memory while it is not used. */
  get isSmall(): boolean {
    return this.#upstream.head.bytes.length <= SMALL_BYTES
  }

  /** As `Mirrors.copy` says. Returns whether there is more to come. */
  begin(session: Requester, route: MirrorRoute, info: RequestInfo, parser: RequestParser, headEnd: number): boolean {
    const { listener, clientAddress } = session
    this.listener = listener
    this.clientAddress = clientAddress
    this.route = route
    this.#phase = COPYING
    this.#bytes = headEnd
    this.#full = false
    this.#private = parser.connectionAuth
    this.#keepUpstream = false
    const { nowMs, wallMs } = this.#context.clock
    this.#info.begin(session, nowMs, nowMs, wallMs)
    this.#info.method = info.method
    this.#upstream.head.keep(headEnd)
    this.#requestBody.begin(requestFraming(parser), parser.contentLength, parser.chunked)
    const removed = session.route.edits?.request?.removed
    if (removed !== undefined) this.#requestBody.removeTrailers(removed)
    return !this.#submitWhole()
  }

  /**
   * More of the request's body came, as its client frames it. `scratch` is overwritten. Returns false when there is no more
   * to come: the copy is on its way, or was dropped.
   */
  follow(scratch: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    this.#requestBody.relay(this, scratch, 0, buffer, start, end)
    if (this.#full || this.#requestBody.malformed || this.#requestBody.bytes > this.route.maxBodyBytes) {
      this.drop()
      return false
    }
    return !this.#submitWhole()
  }

  /** What the body's relay writes: framed as the target of the request itself gets it. */
  write(buffer: Uint8Array, start: number, end: number): boolean {
    const bytes = end - start
    // Chunks may be so small that their framing is most of it.
    if (this.#full || !this.#home.grow(bytes)) this.#full = true
    else {
      this.#bytes += bytes
      this.#upstream.head.append(buffer, start, end)
    }
    return true
  }

  /** The request came to an end before it was whole. */
  drop(): void {
    this.#end(MIRROR_DROPPED)
  }

  #submitWhole(): boolean {
    if (!this.#requestBody.done) return false
    if (this.#home.submit(this)) this.#phase = DUE
    else this.drop()
    return true
  }

  /** Its turn has come. */
  send(): void {
    const { transport, sessions } = this.#context
    if (this.listener.draining || !transport.mayHold(this.conn.share)) {
      this.drop()
      return
    }
    const upstream = this.#upstream
    this.#head.reset()
    this.#head.parser.tolerate(this.route.group.config.tolerate)
    this.#affinity.reset()
    upstream.begin(this, -1, this.#affinity, this.#private, true)
    sessions.add(this)
    this.#phase = CONNECTING
    switch (upstream.pickAndConnect()) {
      case UPSTREAM_NONE:
        this.#end(upstream.refusal === 'QUEUE_FULL' ? MIRROR_DROPPED : MIRROR_FAILED)
        return
      case UPSTREAM_READY:
        upstream.conn!.write(upstream.head.bytes, 0, upstream.head.length)
        this.onUpstreamOpen()
        return
      case UPSTREAM_DIALLING:
        // Whoever waits for a socket takes it from a client.
        if (upstream.target!.streams === undefined && upstream.conn!.dialledMs < 0) this.drop()
        else this.#context.wheel.schedule(this, upstream.timeoutMs)
        return
      default:
        // Places are for requests that somebody waits for.
        this.drop()
    }
  }

  pin(conn: Conn): void {
    conn.abort()
  }

  onUpstreamOpen(): void {
    this.#phase = AWAITING
    this.#sentMs = this.#context.clock.nowMs
    this.#info.requestDoneMs = this.#sentMs
    this.#context.wheel.schedule(this, this.route.group.config.timeouts.responseMs)
  }

  onUpstreamTurn(state: UpstreamState): void {
    if (state === UPSTREAM_READY) this.onUpstreamOpen()
    else this.drop()
  }

  onUpstreamData(buffer: Uint8Array, length: number): void {
    if (this.#phase === ANSWERED) this.#read(buffer, 0, length)
    else this.#receive(this.#head.feed(buffer, length))
  }

  #receive(first: number): void {
    let outcome = first
    while (outcome === HEAD_INTERIM) {
      this.#keepApart()
      outcome = this.#head.next()
    }
    if (outcome === HEAD_INCOMPLETE) return
    if (outcome !== HEAD_FINAL) {
      this.#fail('BAD_RESPONSE')
      return
    }
    const { parser, buffer, bodyStart, end } = this.#head
    const info = this.#info
    info.status = parser.status
    info.targetStatus = parser.status
    info.responseMs = this.#context.clock.nowMs - this.#sentMs
    this.route.group.outcomes.countResponse(info)
    this.#keepApart()
    const framing = parser.framing(info.method)
    const endless = framing === FRAMING_UNTIL_CLOSE && !this.#upstream.isStream
    this.#keepUpstream = parser.keepAlive && !endless && !this.#private
    this.#phase = ANSWERED
    this.#answer.beginInto(NOWHERE, framing, parser.contentLength, 0)
    this.#read(buffer, bodyStart, end)
  }

  /** A connection on which its target wants somebody to log in serves no other copy, nor any request. */
  #keepApart(): void {
    if (!this.#head.parser.connectionAuth) return
    this.#private = true
    this.#upstream.pin()
  }

  #read(buffer: Uint8Array, start: number, end: number): void {
    const { conn } = this.#upstream
    const answer = this.#answer
    if (conn === undefined) return
    const next = answer.relay(conn, this.#context.transport.scratch, 0, buffer, start, end)
    if (!answer.done && !answer.malformed && answer.bytes < MOST_ANSWER_BYTES) return
    if (answer.done && next === end && this.#keepUpstream) {
      this.#upstream.giveBack(this.#head.parser.keepAliveTimeoutSeconds, true)
    }
    this.#end(MIRROR_SENT)
  }

  onUpstreamEnd(): void {
    if (this.#phase !== ANSWERED) {
      this.#fail('TARGET_RESET')
      return
    }
    if (this.#keepUpstream && this.#upstream.isStream) this.#upstream.giveBack(-1, true)
    this.#end(MIRROR_SENT)
  }

  onUpstreamWritable(): void {}

  onConnectFailed(): void {
    this.#end(MIRROR_FAILED)
  }

  onUpstreamLost(cause: CastorError | undefined): void {
    const reason = targetLossOf(cause, this.#phase === ANSWERED)
    if (this.#phase === ANSWERED) this.#upstream.countCut(reason)
    else if (this.#head.begun || !this.#upstream.isStale) this.#upstream.countFailure(reason, cause)
    this.#end(this.#phase === ANSWERED ? MIRROR_SENT : MIRROR_FAILED)
  }

  onTimeout(nowMs: number): number {
    if (this.#phase === CONNECTING) {
      const restMs = this.#upstream.checkTime(nowMs)
      return this.#isOver ? 0 : Math.max(restMs, 1)
    }
    const restMs = this.#sentMs + this.route.group.config.timeouts.responseMs - nowMs
    if (restMs > 0) return restMs
    if (this.#phase === ANSWERED) this.#end(MIRROR_SENT)
    else this.#fail('RESPONSE_TIMEOUT')
    return 0
  }

  /** Nobody waits for a mirror. */
  drain(): void {
    this.drop()
  }

  cut(): void {
    this.drop()
  }

  onTargetRemoved(targetSlot: number): void {
    if (this.#upstream.target?.slot === targetSlot) this.#end(MIRROR_FAILED)
  }

  get #isOver(): boolean {
    return this.#phase === OVER
  }

  #fail(reason: ReasonCode): void {
    this.#upstream.countFailure(reason)
    this.#end(MIRROR_FAILED)
  }

  #end(result: MirrorResult): void {
    const phase = this.#phase
    if (phase === OVER) return
    this.#phase = OVER
    this.route.count(result)
    if (phase > DUE) {
      const { sessions, wheel } = this.#context
      wheel.cancel(this)
      sessions.delete(this)
      this.#upstream.drop()
      this.#upstream.finish()
      this.#head.reset()
    }
    this.#home.forget(this, this.#bytes, phase !== COPYING)
  }
}
