// Hot path: every response passes here. No closures except where a tunnel begins.
import type { NameSet } from '../../http/name-set.js'
import { FRAMING_CHUNKED, FRAMING_UNTIL_CLOSE } from '../../http/response-parser.js'
import { type ResponseHeadOptions, writeResponseHead } from '../../http/response-writer.js'
import { switchesTo } from '../../http/upgrade.js'
import { explanationLine } from '../explain/explain-answer.js'
import { FINISHING, OVER, STREAMING } from './exchange-phase.js'
import { HEAD_FINAL, HEAD_INTERIM, HEAD_REFUSED, HEAD_SWITCHING } from './response-head.js'
import { RequestRetries } from './retry-request.js'
import { UpgradedTunnel } from './upgraded.js'

/** Shorter responses have no use for more than the first read or window. */
const WIDEN_FROM_BYTES = 8 * 1024

/** What a rule adds is in memory that is used again, and full perhaps. */
function addLine(options: ResponseHeadOptions, line: Uint8Array): void {
  options.added = Buffer.concat([options.added.subarray(0, options.addedLength), line])
  options.addedLength = options.added.length
}

/** Receive and relay: the answer goes from the target to the client. */
export abstract class ResponseReceiving extends RequestRetries {
  /** Bytes of the head are there. */
  protected receive(buffer: Uint8Array, length: number): void {
    this.readHead(this.head.feed(buffer, length, this.context.answerLines))
  }

  /** Bytes of the body are there, and perhaps of more than that. */
  protected relay(buffer: Uint8Array, length: number): void {
    const next = this.responseBody.relay(this.session.conn, this.context.transport.scratch, 0, buffer, 0, length)
    this.afterRelay(next < length)
  }

  onUpstreamEnd(): void {
    if (this.phase === FINISHING) {
      this.conclude(true)
      return
    }
    if (this.phase !== STREAMING) {
      this.upstream.drop()
      this.onUpstreamLost(undefined)
      return
    }
    // A stream has ended, not its connection.
    this.keepUpstream = this.upstream.isStream
    const { transport, trailers, trailersLength } = this.context
    this.responseBody.endOfStream(this.session.conn, transport.scratch, trailers, trailersLength)
    if (this.responseBody.done) this.complete(false)
    else this.cut('TARGET_CUT')
  }

  protected readHead(first: number): void {
    let outcome = first
    // A 1xx response is passed on to whoever can understand it; the final one is still to come.
    while (outcome === HEAD_INTERIM) {
      if (this.head.parser.connectionAuth) this.upstream.pin()
      if (this.info.versionMinor === 1) this.writeHead()
      if (this.head.parser.status === 100) this.askedForBody()
      outcome = this.head.next()
    }
    if (outcome === HEAD_FINAL) this.beginResponse()
    else if (outcome === HEAD_SWITCHING) this.upgrade()
    else if (outcome === HEAD_REFUSED) this.nonsense(this.head.fault)
  }

  /** The client has been told to go on: from here on its body is awaited. */
  protected askedForBody(): void {
    if (!this.info.expectContinue) return
    this.info.expectContinue = false
    this.followPace()
  }

  /** The final head is there: what it says of the target, and who is bound to it from now on. */
  protected answered(): void {
    const { parser, buffer, start } = this.head
    const { info } = this
    info.status = parser.status
    info.targetStatus = parser.status
    if (parser.connectionAuth) this.upstream.pin()
    info.responseMs = this.context.clock.nowMs - info.requestDoneMs
    const { group } = this.session.route
    group.outcomes.countResponse(info)
    group.stickiness?.onResponse(this.affinity, parser, buffer, start, this.upstream.target!.slot)
  }

  protected beginResponse(): void {
    const { parser, buffer, start, end, bodyStart } = this.head
    const { conn, listener, route, sink } = this.session
    const framing = parser.framing(this.info.method)
    const endless = framing === FRAMING_CHUNKED || framing === FRAMING_UNTIL_CLOSE
    const chunked = endless && this.info.versionMinor === 1
    this.answered()
    route.countResponse(this.info.responseMs)
    this.keepUpstream = parser.keepAlive && (framing !== FRAMING_UNTIL_CLOSE || this.upstream.isStream)
    // An answer to a request that is still being sent ends the connection: what follows could not be told apart.
    this.keepClient = this.info.keepAlive && this.requestBody.done && !listener.draining && (!endless || chunked)
    this.phase = STREAMING
    this.pace.end(this.context.clock.nowMs, this.session)
    const { scratch } = this.context.transport
    const options = this.headOptions(chunked, !this.keepClient)
    let headEnd = 0
    if (sink !== undefined) {
      const headBytes = sink.head(parser, buffer, start, options)
      this.info.sentBytes += headBytes
      this.responseBody.beginInto(sink, framing, parser.contentLength, headBytes)
    } else {
      headEnd = writeResponseHead(scratch, 0, parser, buffer, start, options)
      this.info.sentBytes += headEnd
      this.responseBody.begin(framing, parser.contentLength, chunked)
    }
    const removed = this.removedFromAnswer()
    if (removed !== undefined) this.responseBody.removeTrailers(removed)
    const next = this.responseBody.relay(conn, scratch, headEnd, buffer, bodyStart, end)
    this.afterRelay(next < end)
  }

  /** Fields that the client does not get, also not as trailers. */
  protected removedFromAnswer(): NameSet | undefined {
    return this.session.route.edits?.response?.removed
  }

  /** `extra`: the target sent more than its response. */
  protected afterRelay(extra: boolean): void {
    if (this.responseBody.malformed) this.cut('BAD_RESPONSE')
    else if (this.responseBody.done) this.complete(extra)
    else if (this.responseBody.blocked) this.upstream.conn?.pause()
    else if (this.responseBody.bytes >= WIDEN_FROM_BYTES && !this.wide) this.#widen()
  }

  #widen(): void {
    const { conn } = this.upstream
    this.wide = true
    if (conn !== undefined) this.session.widen(conn)
  }

  protected upgrade(): void {
    const { parser, buffer, start, bodyStart, end } = this.head
    if (!switchesTo(this.info.upgrade, parser, buffer, start)) {
      this.nonsense('protocol switched unasked')
      return
    }
    // A client speaks the other protocol once its request is out (RFC 9110 7.8): what comes now is none of it.
    if (!this.requestBody.done) {
      this.nonsense('protocol switched before the request was whole')
      return
    }
    const session = this.session
    const { conn, target } = this.upstream
    this.answered()
    const clientReady = this.writeHead()
    const early = Buffer.from(buffer.subarray(bodyStart, end))
    this.phase = OVER
    this.upstream.conn = undefined
    const tunnel = new UpgradedTunnel(session, this.context, target!, this.affinity, (reason, received, sent) =>
      this.account(reason, received, sent),
    )
    tunnel.begin(conn!, early, clientReady)
  }

  protected headOptions(chunked: boolean, close: boolean): ResponseHeadOptions {
    const { route, clientAddress } = this.session
    const { config, stickiness } = route.group
    // Interim responses are none to set cookies in.
    const final = this.info.status !== 0
    const secure = !!clientAddress.tls
    let line = final ? stickiness?.responseLine(this.affinity, this.upstream.target!.slot, secure) : undefined
    if (final && route.side !== undefined) line = route.side.lineBehind(line, secure)
    const hsts = final ? route.settings.hstsLine : undefined
    const { via } = config.forwarded
    const options = this.context.responseOptions(this.info.versionMinor, chunked, close, via, line, hsts)
    if (final && route.edits !== undefined) {
      const { parser, buffer, start } = this.head
      this.edits!.answer(route.edits, this.upstream.target!.id, parser, buffer, start, options)
    }
    if (final && this.explained !== undefined) addLine(options, explanationLine(this.explained, this.info.target?.id))
    return options
  }

  /** Writes the head that was read, an interim one, by itself. */
  protected writeHead(): boolean {
    const { scratch } = this.context.transport
    const { parser, buffer, start } = this.head
    const end = writeResponseHead(scratch, 0, parser, buffer, start, this.headOptions(false, false))
    this.info.sentBytes += end
    this.ownBytes += end
    return this.session.conn.write(scratch, 0, end)
  }
}
