// Hot path: every request and response passes here. No closures or promises but where a WebSocket begins.
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { RequestParser } from '../../http/request-parser.js'
import { writeRequestHead } from '../../http/request-writer.js'
import { FRAMING_CHUNKED, FRAMING_NONE, FRAMING_UNTIL_CLOSE, type ResponseParser } from '../../http/response-parser.js'
import { type ResponseHeadOptions, writeResponseHead } from '../../http/response-writer.js'
import { Binding } from '../stickiness.js'
import { type BodyRelay, requestFraming } from './body-relay.js'
import { AWAITING, CONNECTING, OVER, type Phase, STREAMING } from './exchange-phase.js'
import { writeFailure } from './failure-reply.js'
import type { Http1Plane } from './http1-plane.js'
import { Tally } from './record.js'
import { RequestPace } from './request-pace.js'
import type { Requester } from './requester.js'
import { HEAD_FINAL, HEAD_INTERIM, HEAD_REFUSED, HEAD_SWITCHING, ResponseHead } from './response-head.js'
import { UpgradedTunnel } from './upgraded.js'
import {
  UPSTREAM_DIALLING,
  UPSTREAM_NONE,
  UPSTREAM_READY,
  UPSTREAM_WAITING,
  Upstream,
  type UpstreamState,
  type UpstreamUser,
} from './upstream.js'

/** One request and its response: reach a target, send, await, relay, release, log. Its client belongs to the session. */
export class Exchange implements UpstreamUser {
  readonly #plane: Http1Plane
  readonly #home: Exchange[]
  readonly #head: ResponseHead
  readonly #upstream: Upstream
  readonly #request: BodyRelay
  readonly #response: BodyRelay
  readonly #tally = new Tally()
  readonly #facts = this.#tally.facts
  readonly #pace: RequestPace
  readonly #binding = new Binding()
  #session!: Requester
  #phase: Phase = OVER
  #keepClient = false
  #keepUpstream = false

  /** `home` takes it back when it is over. */
  constructor(plane: Http1Plane, parser: ResponseParser, request: BodyRelay, response: BodyRelay, home: Exchange[]) {
    this.#home = home
    this.#plane = plane
    this.#head = new ResponseHead(parser)
    this.#upstream = new Upstream(plane, this)
    this.#pace = new RequestPace(plane.protection.bodyMinRateBytesPerSecond)
    this.#request = request
    this.#response = response
  }

  /** Takes the request on. Returns the first byte after what it has consumed: the head and, where it could, body. */
  begin(session: Requester, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    const plane = this.#plane
    this.#reset(session)
    const { hash, group } = session.listener
    group.stickiness?.bindRequest(this.#binding, parser, buffer, start, session.origin)
    this.#upstream.begin(session, hash.of(parser, buffer, start), this.#binding)
    this.#facts.capture(parser, buffer, start, plane.requestIds.next(), plane.accessLog !== undefined)
    group.retryBudget.countRequest()
    this.#request.begin(requestFraming(parser), parser.contentLength, parser.chunked)
    const { scratch } = plane.transport
    const headEnd = writeRequestHead(scratch, 0, parser, buffer, start, session.headOptions(this.#facts))
    const next = start + parser.headLength
    // A huge head with a huge Host, which is written three times, may be more than fits.
    if (headEnd < 0) {
      this.#fail(431, 'HEADER_TOO_LARGE')
      return next
    }
    this.#upstream.rememberHead(scratch, headEnd)
    const state = this.#upstream.connect()
    this.#proceed(state)
    return state === UPSTREAM_READY ? this.#send(scratch, headEnd, buffer, next, end) : next
  }

  /** Body bytes from the client. Returns the first one not consumed. */
  onRequestBytes(buffer: Uint8Array, start: number, end: number): number {
    if (this.#phase === CONNECTING || this.#request.done) return start
    return this.#send(this.#plane.transport.scratch, 0, buffer, start, end)
  }

  onClientWritable(): void {
    this.#upstream.conn?.resume()
  }

  /** The client half-closed. */
  onClientEnd(): void {
    if (!this.#request.done) {
      const session = this.#session
      this.#end('CLIENT_CLOSED')
      session.cutShort(true)
      return
    }
    if (this.#phase <= AWAITING && this.#facts.versionMinor === 1) this.#session.probe()
  }

  /** The target's time is over while it serves this request. */
  leave(targetSlot: number): void {
    if (this.#upstream.target?.slot !== targetSlot) return
    if (this.#tally.headSent) this.#cut('TARGET_CUT')
    else this.#fail(503, 'NO_TARGET')
  }

  onClientGone(reason: ReasonCode): void {
    if (this.#phase !== OVER) this.#end(reason)
  }

  /** The thread ends: whoever still waits for an answer is told so. */
  shutDown(): void {
    if (this.#tally.headSent) this.#cut('SHUTTING_DOWN')
    else this.#fail(503, 'SHUTTING_DOWN')
  }

  /** Milliseconds until it wants to be asked again. Ends what has taken too long. */
  checkTime(nowMs: number): number {
    const { listener, conn } = this.#session
    if (this.#phase === CONNECTING) return this.#upstream.checkTime(nowMs)
    if (this.#phase === AWAITING && this.#request.done) {
      const restMs = this.#tally.requestDoneMs + listener.group.config.timeouts.responseMs - nowMs
      if (restMs <= 0) this.#blameAndFail(504, 'RESPONSE_TIMEOUT')
      return restMs
    }
    const activeMs = Math.max(conn.lastActiveMs, this.#upstream.conn?.lastActiveMs ?? 0)
    const restMs = activeMs + listener.config.idleTimeoutMs - nowMs
    if (restMs > 0 && (this.#request.done || this.#pace.isFastEnough(nowMs, this.#request, this.#facts))) return restMs
    if (this.#tally.headSent) this.#cut(this.#request.done ? 'IDLE_TIMEOUT' : 'BODY_TOO_SLOW')
    else if (this.#request.blocked) this.#fail(504, 'RESPONSE_TIMEOUT')
    else this.#fail(408, 'BODY_TOO_SLOW')
    return restMs
  }

  onUpstreamOpen(): void {
    this.onUpstreamTurn(UPSTREAM_READY)
  }

  onUpstreamTurn(state: UpstreamState): void {
    this.#pace.begin(this.#plane.clock.nowMs)
    this.#tally.requestDoneMs = this.#plane.clock.nowMs
    this.#retried(state)
  }

  onUpstreamData(buffer: Uint8Array, length: number): void {
    if (this.#phase === STREAMING) {
      const next = this.#response.relay(this.#session.conn, this.#plane.transport.scratch, 0, buffer, 0, length)
      this.#afterRelay(next < length)
    } else {
      this.#readHead(this.#head.feed(buffer, length))
    }
  }

  onUpstreamEnd(): void {
    if (this.#phase !== STREAMING) {
      this.#upstream.drop()
      this.onUpstreamLost(undefined)
      return
    }
    this.#keepUpstream = false
    this.#response.endOfStream(this.#session.conn, this.#plane.transport.scratch)
    if (this.#response.done) this.#complete(false)
    else this.#cut('TARGET_CUT')
  }

  onUpstreamWritable(): void {
    this.#request.blocked = false
    // What may come behind a complete request waits for its answer.
    if (!this.#request.done) this.#session.conn.resume()
  }

  onConnectFailed(reason: ReasonCode): void {
    this.#upstream.blame()
    const state = this.#upstream.connectElsewhere('connect-failure')
    if (state === UPSTREAM_NONE) this.#fail(reason === 'CONNECT_TIMEOUT' ? 504 : 502, reason)
    else this.#retried(state)
  }

  onUpstreamLost(cause: CastorError | undefined): void {
    if (this.#phase === STREAMING) {
      this.#cut('TARGET_CUT')
      return
    }
    this.#plane.log.debug(
      { target: this.#upstream.target?.id, cause: cause?.message },
      'target closed before it answered',
    )
    if (this.#head.begun || !this.#upstream.isStale) this.#upstream.blame()
    // Only the head is kept to be sent again: a body, be it one empty chunk, would be missing from the second try.
    const again = !this.#head.begun && this.#request.none && (this.#facts.idempotent || cause?.retryable === true)
    const state = again ? this.#upstream.resend() : UPSTREAM_NONE
    if (state === UPSTREAM_NONE) this.#fail(502, 'TARGET_RESET')
    else this.#retried(state)
  }

  /** Goes on after an attempt to reach a target. */
  #proceed(state: UpstreamState): void {
    switch (state) {
      case UPSTREAM_NONE:
        this.#fail(503, this.#upstream.refusal)
        return
      case UPSTREAM_WAITING:
      case UPSTREAM_DIALLING:
        this.#phase = CONNECTING
        this.#session.lookWithin(this.#upstream.patienceMs)
        return
      case UPSTREAM_READY:
        this.#phase = AWAITING
        this.#session.lookWithin(this.#session.listener.group.config.timeouts.responseMs)
    }
  }

  /** The head went out again; a body that was held back so far can follow it where the connection is open. */
  #retried(state: UpstreamState): void {
    this.#proceed(state)
    if (state === UPSTREAM_READY && !this.#request.done) this.#session.feedBody()
  }

  /** Sends `at` bytes of scratch, and what of [start, end) belongs to the body. */
  #send(scratch: Uint8Array, at: number, buffer: Uint8Array, start: number, end: number): number {
    const wasDone = this.#request.done
    const next = this.#request.relay(this.#upstream.conn!, scratch, at, buffer, start, end)
    if (this.#request.malformed) {
      if (this.#tally.headSent) this.#cut('BAD_BODY')
      else this.#fail(400, 'BAD_BODY')
      return end
    }
    if (!this.#request.done) {
      if (this.#request.blocked) this.#session.conn.pause()
    } else if (!wasDone) {
      this.#tally.requestDoneMs = this.#plane.clock.nowMs
      this.#session.lookWithin(this.#session.listener.group.config.timeouts.responseMs)
    }
    return next
  }

  #readHead(first: number): void {
    let outcome = first
    // A 1xx response is passed on to whoever can understand it; the final one is still to come.
    while (outcome === HEAD_INTERIM) {
      if (this.#facts.versionMinor === 1) this.#writeHead()
      outcome = this.#head.next()
    }
    if (outcome === HEAD_FINAL) this.#beginResponse()
    else if (outcome === HEAD_SWITCHING) this.#upgrade()
    else if (outcome === HEAD_REFUSED) this.#nonsense(this.#head.fault)
  }

  /** The final head is there: what it says of the target, and who is bound to it from now on. */
  #answered(): void {
    const { parser, buffer, start } = this.#head
    const tally = this.#tally
    tally.status = parser.status
    tally.headSent = true
    tally.responseMs = this.#plane.clock.nowMs - tally.requestDoneMs
    const { group } = this.#session.listener
    if (parser.status >= 500) this.#upstream.blame(tally.responseMs)
    else group.countSuccess(this.#upstream.target!, tally.responseMs)
    group.stickiness?.onResponse(this.#binding, parser, buffer, start, this.#upstream.target!.slot)
  }

  #beginResponse(): void {
    const { parser, buffer, start, end, bodyStart } = this.#head
    const { conn, listener } = this.#session
    const framing = parser.framing(this.#facts.method)
    const endless = framing === FRAMING_CHUNKED || framing === FRAMING_UNTIL_CLOSE
    const chunked = endless && this.#facts.versionMinor === 1
    this.#answered()
    listener.countResponse(this.#tally.responseMs)
    this.#keepUpstream = parser.keepAlive && framing !== FRAMING_UNTIL_CLOSE
    // An answer to a request that is still being sent ends the connection: what follows could not be told apart.
    this.#keepClient = this.#facts.keepAlive && this.#request.done && !this.#plane.draining && (!endless || chunked)
    this.#phase = STREAMING
    const { scratch } = this.#plane.transport
    const headEnd = writeResponseHead(scratch, 0, parser, buffer, start, this.#headOptions(chunked, !this.#keepClient))
    this.#tally.sentHeadBytes += headEnd
    this.#response.begin(framing, parser.contentLength, chunked)
    const next = this.#response.relay(conn, scratch, headEnd, buffer, bodyStart, end)
    this.#afterRelay(next < end)
  }

  /** `extra`: the target sent more than its response. */
  #afterRelay(extra: boolean): void {
    if (this.#response.malformed) this.#cut('BAD_RESPONSE')
    else if (this.#response.done) this.#complete(extra)
    else if (this.#response.blocked) this.#upstream.conn?.pause()
  }

  #upgrade(): void {
    const { parser, buffer, bodyStart, end } = this.#head
    if (!this.#facts.upgrade || !parser.upgrade) {
      this.#nonsense('protocol switched unasked')
      return
    }
    const session = this.#session
    const { conn, target } = this.#upstream
    this.#answered()
    const clientReady = this.#writeHead()
    const early = Buffer.from(buffer.subarray(bodyStart, end))
    this.#phase = OVER
    this.#upstream.conn = undefined
    const tunnel = new UpgradedTunnel(session, this.#plane, target!, this.#binding, (reason, received, sent) =>
      this.#account(reason, received, sent),
    )
    tunnel.begin(conn!, early, clientReady)
  }

  /** All of the response is out. `extra`: the target's connection cannot be trusted with another request. */
  #complete(extra: boolean): void {
    const session = this.#session
    const requestDone = this.#request.done
    if (extra || !this.#keepUpstream || !requestDone) this.#upstream.drop()
    else this.#upstream.giveBack(this.#head.parser.keepAliveTimeoutSeconds)
    const keep = this.#keepClient
    const blocked = this.#response.blocked
    this.#account('NONE', 0, 0)
    session.onExchangeDone(keep, requestDone, blocked)
  }

  #nonsense(detail: string): void {
    this.#plane.log.warn({ target: this.#upstream.target?.id, detail }, 'target answered nonsense')
    this.#blameAndFail(502, 'BAD_RESPONSE')
  }

  #blameAndFail(status: number, reason: ReasonCode): void {
    this.#upstream.blame()
    this.#fail(status, reason)
  }

  /** Castor answers in the target's stead. */
  #fail(status: number, reason: ReasonCode): void {
    const session = this.#session
    const requestDone = this.#request.done
    const keep = this.#facts.keepAlive && requestDone && !this.#plane.draining
    const { scratch } = this.#plane.transport
    const end = writeFailure(scratch, status, this.#facts, !keep, session.listener)
    const blocked = !session.conn.write(scratch, 0, end)
    this.#tally.sentHeadBytes += end
    this.#tally.status = status
    this.#end(reason)
    session.onExchangeDone(keep, requestDone, blocked)
  }

  /** The response cannot be finished: the client must see that it was cut. */
  #cut(reason: ReasonCode): void {
    const session = this.#session
    // Without framing of its own a body's end looks like its whole: only a reset tells.
    const framed = this.#facts.versionMinor === 1 || this.#head.parser.contentLength >= 0
    this.#end(reason)
    session.cutShort(!framed)
  }

  /** Lets go of the target and accounts for what was; the client's connection is the caller's to deal with. */
  #end(reason: ReasonCode): void {
    this.#upstream.drop()
    this.#account(reason, 0, 0)
  }

  /** The last act: after it the exchange serves another request. Bytes are what a tunnel carried. */
  #account(reason: ReasonCode, tunnelReceived: number, tunnelSent: number): void {
    this.#phase = OVER
    const received = this.#request.bytes + tunnelReceived
    const sent = this.#response.bytes + tunnelSent
    this.#tally.record(this.#plane, this.#session, this.#upstream, this.#head.parser.status, received, sent, reason)
    this.#upstream.finish()
    this.#head.reset()
    this.#home.push(this)
  }

  #reset(session: Requester): void {
    this.#session = session
    this.#binding.reset()
    this.#head.reset()
    this.#response.begin(FRAMING_NONE, 0, false)
    this.#keepClient = false
    this.#keepUpstream = false
    this.#tally.begin(this.#plane.clock)
    this.#pace.reset(this.#plane.clock.nowMs, session.unhurried)
  }

  #headOptions(chunked: boolean, close: boolean): ResponseHeadOptions {
    const { listener, origin } = this.#session
    const { config, stickiness } = listener.group
    // Interim responses are none to set cookies in.
    const final = this.#tally.status !== 0
    const line = final ? stickiness?.responseLine(this.#binding, this.#upstream.target!.slot, !!origin.tls) : undefined
    const hsts = final ? listener.hstsLine : undefined
    return this.#plane.responseOptions(this.#facts.versionMinor, chunked, close, config.forwarded.via, line, hsts)
  }

  /** Writes the head that was read, an interim one, by itself. */
  #writeHead(): boolean {
    const { scratch } = this.#plane.transport
    const { parser, buffer, start } = this.#head
    const end = writeResponseHead(scratch, 0, parser, buffer, start, this.#headOptions(false, false))
    this.#tally.sentHeadBytes += end
    return this.#session.conn.write(scratch, 0, end)
  }
}
