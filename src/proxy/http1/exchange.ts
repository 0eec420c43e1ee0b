// Hot path: every request and response passes here. No closures or promises; exchanges are used again.
import type { Conn, ConnHandler } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { ChunkedDecoder } from '../../http/chunked-decoder.js'
import { writeReply } from '../../http/reply.js'
import { PARSE_COMPLETE, PARSE_INCOMPLETE, type RequestParser } from '../../http/request-parser.js'
import { writeRequestHead } from '../../http/request-writer.js'
import {
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_UNTIL_CLOSE,
  type ResponseParser,
} from '../../http/response-parser.js'
import { writeResponseHead } from '../../http/response-writer.js'
import { ABANDONED } from '../abandoned.js'
import type { Target } from '../target-group.js'
import { Tunnel, type TunnelEnd, type TunnelOwner } from '../tunnel.js'
import { BodyRelay } from './body-relay.js'
import type { ClientSession } from './client-session.js'
import type { Http1Plane } from './http1-plane.js'
import { recordExchange } from './record.js'
import { RequestFacts } from './request-facts.js'

/** Where the exchange stands. */
const CONNECTING = 0
/** The request is on its way, or there; the response has not begun. */
const AWAITING = 1
const STREAMING = 2
const OVER = 3

const FIRST_HEAD_BYTES = 1024
/** Interim responses before the final one; more is a target that has lost its way. */
const MAX_INTERIM = 16
const RETRY_AFTER_SECONDS = 1
const CLIENT_CLOSED_STATUS = 499
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n', 'latin1')

const TUNNEL_REASONS: Record<TunnelEnd, ReasonCode> = {
  closed: 'NONE',
  idle: 'IDLE_TIMEOUT',
  'client-failed': 'CLIENT_RESET',
  'target-failed': 'TARGET_CUT',
  cut: 'SHUTTING_DOWN',
}

/**
 * One request and its response: pick a target, connect or take a connection that is open, send, await, relay, release,
 * log. It is the handler of the target's connection; the client's belongs to the session, which calls in here.
 */
export class Exchange implements ConnHandler, TunnelOwner {
  readonly #plane: Http1Plane
  readonly #parser: ResponseParser
  readonly #request: BodyRelay
  readonly #response: BodyRelay
  readonly #facts = new RequestFacts()
  #session!: ClientSession
  #phase = OVER
  /** The head as it goes to the target, kept until the response begins: it may have to go to another. */
  #head: Buffer = Buffer.allocUnsafeSlow(FIRST_HEAD_BYTES)
  #headLength = 0
  #target: Target | undefined
  #upstream: Conn | undefined
  readonly #tried: number[] = []
  #attemptsLeft = 0
  /** The connection served another request before, and may have been closed by the target in the meantime. */
  #reused = false
  #responseStarted = false
  #interims = 0
  /** An unfinished response head. */
  #kept: Buffer | undefined
  #keptLength = 0
  #keepClient = false
  #keepUpstream = false
  #status = 0
  #headSent = false
  #probed = false
  #startedMs = 0
  #startedWallMs = 0
  #attemptMs = 0
  #requestDoneMs = 0
  #connectMs = -1
  #responseMs = -1
  #sentHeadBytes = 0
  #tunnelledIn = 0
  #tunnelledOut = 0

  constructor(
    plane: Http1Plane,
    parser: ResponseParser,
    requestDecoder: ChunkedDecoder,
    responseDecoder: ChunkedDecoder,
  ) {
    this.#plane = plane
    this.#parser = parser
    this.#request = new BodyRelay(requestDecoder)
    this.#response = new BodyRelay(responseDecoder)
  }

  /** Takes the request on. Returns the first byte after what it has consumed: the head and, where it could, body. */
  begin(session: ClientSession, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    const plane = this.#plane
    this.#session = session
    this.#startedMs = plane.clock.nowMs
    this.#startedWallMs = plane.clock.wallMs
    this.#requestDoneMs = this.#startedMs
    this.#facts.capture(parser, buffer, start, plane.requestIds.next(), plane.accessLog !== undefined)
    const { group } = session.listener
    this.#attemptsLeft = group.config.retries.attempts
    group.retryBudget.countRequest()
    this.#request.begin(
      parser.chunked ? FRAMING_CHUNKED : parser.contentLength >= 0 ? FRAMING_LENGTH : FRAMING_NONE,
      parser.contentLength,
      parser.chunked,
    )
    const { scratch } = plane.transport
    const headEnd = writeRequestHead(scratch, 0, parser, buffer, start, session.headOptions(this.#facts))
    this.#rememberHead(scratch, headEnd)
    const next = start + parser.headLength
    this.#phase = AWAITING
    this.#connect()
    // `#connect` may have ended it, or begun a connection that the head and the body wait for.
    if ((this.#phase as number) !== AWAITING) return next
    return this.#send(scratch, headEnd, buffer, next, end)
  }

  /** Body bytes from the client. Returns the first one not consumed. */
  onRequestBytes(buffer: Uint8Array, start: number, end: number): number {
    if (this.#phase === CONNECTING || this.#request.done) return start
    return this.#send(this.#plane.transport.scratch, 0, buffer, start, end)
  }

  onClientWritable(): void {
    this.#upstream?.resume()
  }

  /** The client half-closed. */
  onClientEnd(): void {
    if (!this.#request.done) {
      this.#end('CLIENT_CLOSED')
      this.#session.cutShort(true)
      return
    }
    // Nobody can tell a client that only stopped sending from one that is gone. An interim response, which every client
    // must be able to skip (RFC 9110 15.2), can: the system of one that is gone answers it with a reset.
    if (this.#phase <= AWAITING && this.#facts.versionMinor === 1 && !this.#probed) {
      this.#probed = true
      this.#session.conn.write(CONTINUE, 0, CONTINUE.length)
    }
  }

  onClientGone(reason: ReasonCode): void {
    if (this.#phase !== OVER) this.#end(reason)
  }

  /** Milliseconds until it wants to be asked again. Ends what has taken too long. */
  checkTime(nowMs: number): number {
    const session = this.#session
    const { timeouts } = session.listener.group.config
    if (this.#phase === CONNECTING) {
      const restMs = this.#attemptMs + timeouts.connectMs - nowMs
      if (restMs <= 0) this.#abandon('CONNECT_TIMEOUT')
      return restMs
    }
    if (this.#phase === AWAITING && this.#request.done) {
      const restMs = this.#requestDoneMs + timeouts.responseMs - nowMs
      if (restMs <= 0) this.#fail(504, 'RESPONSE_TIMEOUT')
      return restMs
    }
    const activeMs = Math.max(session.conn.lastActiveMs, this.#upstream?.lastActiveMs ?? 0)
    const restMs = activeMs + session.listener.config.idleTimeoutMs - nowMs
    if (restMs > 0) return restMs
    if (this.#headSent) this.#cut('IDLE_TIMEOUT')
    else this.#fail(408, 'BODY_TOO_SLOW')
    return restMs
  }

  onOpen(): void {
    this.#target!.connectionOpened()
    this.#connectMs = this.#plane.clock.nowMs - this.#attemptMs
    this.#session.listener.countConnect(this.#connectMs)
    this.#phase = AWAITING
    this.#requestDoneMs = this.#plane.clock.nowMs
    this.#awaitResponse()
    if (!this.#request.done) this.#session.feedBody()
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    if (this.#phase === STREAMING) {
      const { scratch } = this.#plane.transport
      const next = this.#response.relay(this.#session.conn, scratch, 0, buffer, 0, length)
      this.#afterRelay(next < length)
    } else if (this.#kept === undefined) {
      this.#readResponse(buffer, 0, length)
    } else {
      this.#keep(buffer, 0, length)
      this.#readResponse(this.#kept, 0, this.#keptLength)
    }
  }

  onEnd(conn: Conn): void {
    if (this.#phase === STREAMING) {
      this.#keepUpstream = false
      this.#response.endOfStream(this.#session.conn, this.#plane.transport.scratch)
      if (this.#response.done) this.#complete(false)
      else this.#cut('TARGET_CUT')
      return
    }
    // `abort` ends in `onClose`, which decides what becomes of the request.
    conn.abort()
  }

  onWritable(): void {
    this.#session.conn.resume()
  }

  onClose(_conn: Conn, cause?: CastorError): void {
    this.#upstream = undefined
    if (this.#phase === CONNECTING) {
      this.#attemptFailed('CONNECT_FAILED')
      return
    }
    this.#target!.connectionClosed()
    if (this.#phase === STREAMING) this.#cut('TARGET_CUT')
    else if (this.#phase === AWAITING) this.#lost(cause)
  }

  onTunnelAlive(): void {
    this.#session.countBytes()
  }

  onTunnelClosed(end: TunnelEnd): void {
    const session = this.#session
    this.#target?.connectionClosed()
    this.#upstream = undefined
    this.#tunnelledIn += session.conn.bytesRead
    this.#tunnelledOut += session.conn.bytesWritten
    this.#account(TUNNEL_REASONS[end])
    session.onTunnelClosed()
  }

  #connect(): void {
    const { group } = this.#session.listener
    const target = group.pick(this.#session.origin.client, this.#tried)
    if (target === undefined) {
      this.#fail(this.#tried.length === 0 ? 503 : 502, this.#tried.length === 0 ? 'NO_TARGET' : 'CONNECT_FAILED')
      return
    }
    target.begin()
    this.#target = target
    this.#attemptMs = this.#plane.clock.nowMs
    const idle = target.pool.take()
    if (idle === undefined) {
      this.#dial(target)
      return
    }
    this.#reused = true
    this.#phase = AWAITING
    idle.handler = this
    this.#upstream = idle
    this.#awaitResponse()
  }

  /** Opens a connection; the head waits in it. */
  #dial(target: Target): void {
    this.#reused = false
    this.#phase = CONNECTING
    this.#session.lookWithin(this.#session.listener.group.config.timeouts.connectMs)
    const upstream = this.#plane.transport.dial(target.address, target.port, this)
    this.#upstream = upstream
    upstream.write(this.#head, 0, this.#headLength)
  }

  #awaitResponse(): void {
    this.#session.lookWithin(this.#session.listener.group.config.timeouts.responseMs)
  }

  /** Sends `at` bytes of scratch, and what of [start, end) belongs to the body. */
  #send(scratch: Uint8Array, at: number, buffer: Uint8Array, start: number, end: number): number {
    const upstream = this.#upstream!
    const wasDone = this.#request.done
    const next = this.#request.relay(upstream, scratch, at, buffer, start, end)
    if (this.#request.malformed) {
      if (this.#headSent) this.#cut('BAD_BODY')
      else this.#fail(400, 'BAD_BODY')
      return end
    }
    if (this.#request.blocked && !this.#request.done) this.#session.conn.pause()
    if (this.#request.done && !wasDone) {
      this.#requestDoneMs = this.#plane.clock.nowMs
      this.#awaitResponse()
    }
    return next
  }

  #readResponse(buffer: Uint8Array, start: number, end: number): void {
    this.#responseStarted = true
    const parser = this.#parser
    let at = start
    while (at < end && this.#phase === AWAITING) {
      const outcome = parser.parse(buffer, at, end)
      if (outcome === PARSE_INCOMPLETE) {
        if (buffer !== this.#kept || at !== 0) this.#keepOnly(buffer, at, end)
        return
      }
      if (outcome !== PARSE_COMPLETE) {
        this.#plane.log.warn({ target: this.#target?.id, detail: parser.errorDetail }, 'target answered nonsense')
        this.#fail(502, 'BAD_RESPONSE')
        return
      }
      if (parser.status >= 200) {
        this.#beginResponse(buffer, at, end)
        return
      }
      if (parser.status === 101) {
        this.#upgrade(buffer, at, end)
        return
      }
      at = this.#interim(buffer, at)
    }
    this.#kept = undefined
    this.#keptLength = 0
  }

  /** A 1xx response is passed on to whoever can understand it; the final one is still to come. */
  #interim(buffer: Uint8Array, start: number): number {
    const next = start + this.#parser.headLength
    if (++this.#interims > MAX_INTERIM) {
      this.#fail(502, 'BAD_RESPONSE')
      return next
    }
    if (this.#facts.versionMinor === 1) {
      const { scratch } = this.#plane.transport
      const end = writeResponseHead(scratch, 0, this.#parser, buffer, start, this.#responseOptions(false, false))
      this.#session.conn.write(scratch, 0, end)
      this.#sentHeadBytes += end
    }
    this.#parser.reset()
    return next
  }

  #beginResponse(buffer: Uint8Array, start: number, end: number): void {
    const parser = this.#parser
    const facts = this.#facts
    const request = this.#request
    const framing = parser.framing(facts.method)
    const endless = framing === FRAMING_CHUNKED || framing === FRAMING_UNTIL_CLOSE
    const chunked = endless && facts.versionMinor === 1
    this.#status = parser.status
    this.#responseMs = this.#plane.clock.nowMs - this.#requestDoneMs
    this.#session.listener.countResponse(this.#responseMs)
    this.#target!.responded(this.#responseMs)
    this.#keepUpstream = parser.keepAlive && framing !== FRAMING_UNTIL_CLOSE
    // An answer to a request that is still being sent ends the connection: what follows could not be told apart.
    this.#keepClient = facts.keepAlive && request.done && !this.#plane.draining && (!endless || chunked)
    this.#phase = STREAMING
    this.#headSent = true
    const { scratch } = this.#plane.transport
    const headEnd = writeResponseHead(
      scratch,
      0,
      parser,
      buffer,
      start,
      this.#responseOptions(chunked, !this.#keepClient),
    )
    this.#sentHeadBytes += headEnd
    this.#response.begin(framing, parser.contentLength, chunked)
    const next = this.#response.relay(this.#session.conn, scratch, headEnd, buffer, start + parser.headLength, end)
    this.#kept = undefined
    this.#keptLength = 0
    this.#afterRelay(next < end)
  }

  /** `extra`: the target sent more than its response. */
  #afterRelay(extra: boolean): void {
    // Whoever wrote it may have found the client gone.
    if (this.#phase !== STREAMING) return
    if (this.#response.malformed) this.#cut('BAD_RESPONSE')
    else if (this.#response.done) this.#complete(extra)
    else if (this.#response.blocked) this.#upstream?.pause()
  }

  #upgrade(buffer: Uint8Array, start: number, end: number): void {
    const parser = this.#parser
    const session = this.#session
    if (!this.#facts.upgrade || !parser.upgrade) {
      this.#plane.log.warn({ target: this.#target?.id }, 'target switched protocols unasked')
      this.#fail(502, 'BAD_RESPONSE')
      return
    }
    const upstream = this.#upstream!
    this.#status = 101
    this.#headSent = true
    this.#responseMs = this.#plane.clock.nowMs - this.#requestDoneMs
    const { scratch } = this.#plane.transport
    const headEnd = writeResponseHead(scratch, 0, parser, buffer, start, this.#responseOptions(false, false))
    this.#sentHeadBytes += headEnd
    this.#tunnelledIn = -session.conn.bytesRead
    this.#tunnelledOut = -session.conn.bytesWritten - headEnd
    let clientReady = session.conn.write(scratch, 0, headEnd)
    const early = start + parser.headLength
    if (early < end) clientReady = session.conn.write(buffer, early, end)
    this.#phase = OVER
    const ahead = session.becomeTunnel()
    new Tunnel(session.conn, upstream, session.listener.config.websocketIdleTimeoutMs, this.#plane.wheel, this)
    if (!clientReady) upstream.pause()
    if (ahead === undefined || upstream.write(ahead, 0, ahead.length)) session.conn.resume()
  }

  /** The connection was lost before the response began. */
  #lost(cause: CastorError | undefined): void {
    const resendable =
      !this.#responseStarted && this.#request.done && this.#request.bytes === 0 && this.#facts.idempotent
    if (resendable && this.#reused) {
      // Most likely the target had closed it while it was idle: once more on a new one.
      this.#plane.countRetry()
      this.#attemptMs = this.#plane.clock.nowMs
      this.#dial(this.#target!)
      return
    }
    this.#plane.log.debug({ target: this.#target?.id, cause: cause?.message }, 'target closed before it answered')
    if (resendable && this.#mayRetry('reset-before-response')) this.#connectElsewhere()
    else {
      this.#target!.failed()
      this.#fail(502, 'TARGET_RESET')
    }
  }

  #abandon(reason: ReasonCode): void {
    const late = this.#upstream
    this.#upstream = undefined
    if (late !== undefined) {
      late.handler = ABANDONED
      late.abort()
    }
    this.#attemptFailed(reason)
  }

  #attemptFailed(reason: ReasonCode): void {
    if (this.#mayRetry('connect-failure')) this.#connectElsewhere()
    else {
      this.#target!.failed()
      this.#fail(reason === 'CONNECT_TIMEOUT' ? 504 : 502, reason)
    }
  }

  #mayRetry(condition: 'connect-failure' | 'reset-before-response'): boolean {
    const { group } = this.#session.listener
    if (this.#attemptsLeft === 0 || !group.config.retries.on.includes(condition)) return false
    return group.hasOther(this.#target!, this.#tried) && group.retryBudget.tryRetry()
  }

  #connectElsewhere(): void {
    const failed = this.#target!
    failed.failed()
    failed.finish()
    this.#tried.push(failed.slot)
    this.#target = undefined
    this.#attemptsLeft--
    this.#plane.countRetry()
    this.#connect()
    // Only a connection that was open already can take the head now.
    if (this.#phase !== AWAITING || this.#upstream === undefined) return
    this.#upstream.write(this.#head, 0, this.#headLength)
    if (!this.#request.done) this.#session.feedBody()
  }

  /** All of the response is out. `extra`: the target's connection cannot be trusted with another request. */
  #complete(extra: boolean): void {
    const session = this.#session
    const target = this.#target!
    const upstream = this.#upstream
    this.#upstream = undefined
    if (upstream !== undefined) {
      if (extra || !this.#keepUpstream || !this.#request.done) {
        upstream.handler = target.pool
        upstream.abort()
      } else {
        upstream.resume()
        target.pool.put(upstream, this.#parser.keepAliveTimeoutSeconds)
      }
    }
    const keep = this.#keepClient
    const requestDone = this.#request.done
    const blocked = this.#response.blocked
    this.#account('NONE')
    session.onExchangeDone(keep, requestDone, blocked)
  }

  /** Castor answers in the target's stead. */
  #fail(status: number, reason: ReasonCode): void {
    const session = this.#session
    const facts = this.#facts
    const requestDone = this.#request.done
    const keep = facts.keepAlive && requestDone && !this.#plane.draining
    const { scratch } = this.#plane.transport
    const end = writeReply(scratch, 0, {
      status,
      requestId: facts.requestIdBytes,
      close: !keep,
      head: facts.isHead,
      versionMinor: facts.versionMinor,
      ...(status === 503 ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {}),
    })
    const blocked = !session.conn.write(scratch, 0, end)
    this.#sentHeadBytes += end
    this.#status = status
    this.#end(reason)
    session.onExchangeDone(keep, requestDone, blocked)
  }

  /** The response cannot be finished: the client must see that it was cut. */
  #cut(reason: ReasonCode): void {
    const session = this.#session
    // Without framing of its own a body's end looks like its whole: only a reset tells.
    const framed = this.#facts.versionMinor === 1 || this.#parser.contentLength >= 0
    this.#end(reason)
    session.cutShort(!framed)
  }

  /** Lets go of the target and accounts for what was; the client's connection is the caller's to deal with. */
  #end(reason: ReasonCode): void {
    const upstream = this.#upstream
    this.#upstream = undefined
    if (upstream !== undefined) {
      upstream.handler = this.#phase === CONNECTING ? ABANDONED : this.#target!.pool
      upstream.abort()
    }
    this.#account(reason)
  }

  #account(reason: ReasonCode): void {
    const session = this.#session
    this.#phase = OVER
    this.#target?.finish()
    recordExchange(session, {
      facts: this.#facts,
      target: this.#target?.id ?? '',
      status: this.#status === 0 ? CLIENT_CLOSED_STATUS : this.#status,
      targetStatus: this.#headSent ? this.#parser.status : 0,
      requestBytes: this.#facts.headBytes + this.#request.bytes + this.#tunnelledIn,
      sentBytes: this.#sentHeadBytes + this.#response.bytes + this.#tunnelledOut,
      startedWallMs: this.#startedWallMs,
      requestMs: this.#plane.clock.nowMs - this.#startedMs,
      connectMs: this.#connectMs,
      responseMs: this.#responseMs,
      reason,
    })
    this.#reset()
    this.#plane.giveExchange(this)
  }

  #reset(): void {
    this.#target = undefined
    this.#upstream = undefined
    this.#kept = undefined
    this.#keptLength = 0
    if (this.#tried.length > 0) this.#tried.length = 0
    this.#parser.reset()
    this.#responseStarted = false
    this.#interims = 0
    this.#sentHeadBytes = 0
    this.#tunnelledIn = 0
    this.#tunnelledOut = 0
    this.#status = 0
    this.#headSent = false
    this.#probed = false
    this.#connectMs = -1
    this.#responseMs = -1
    this.#keepClient = false
    this.#keepUpstream = false
    this.#reused = false
  }

  #responseOptions(chunked: boolean, close: boolean) {
    return this.#plane.responseOptions(
      this.#facts.versionMinor,
      chunked,
      close,
      this.#session.listener.group.config.forwarded.via,
    )
  }

  #rememberHead(scratch: Uint8Array, end: number): void {
    if (end > this.#head.length) this.#head = Buffer.allocUnsafeSlow(end * 2)
    this.#head.set(scratch.subarray(0, end))
    this.#headLength = end
  }

  #keepOnly(buffer: Uint8Array, start: number, end: number): void {
    const rest = Buffer.from(buffer.subarray(start, end))
    this.#kept = rest
    this.#keptLength = rest.length
  }

  #keep(buffer: Uint8Array, start: number, end: number): void {
    const length = this.#keptLength + end - start
    if (length > this.#kept!.length) {
      const grown = Buffer.allocUnsafeSlow(length * 2)
      grown.set(this.#kept!.subarray(0, this.#keptLength))
      this.#kept = grown
    }
    this.#kept!.set(buffer.subarray(start, end), this.#keptLength)
    this.#keptLength = length
  }
}
