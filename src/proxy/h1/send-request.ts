// Hot path: every request passes here. No closures or promises.
import type { RequestParser } from '../../http/request-parser.js'
import { FRAMING_NONE } from '../../http/response-parser.js'
import { RequestEnding } from './end-request.js'
import { CONNECTING, FINISHING } from './exchange-phase.js'
import type { Requester } from './requester.js'

/** Bodies of a known length up to this are kept while they could still be sent again. */
const HELD_BYTES = 8 * 1024

/** Send: the request goes to its target, the head with what there is of the body, and the rest as it comes. */
export abstract class RequestSending extends RequestEnding {
  /** What was sent of the body, if anything, is kept behind the head. */
  protected holds = false

  /** Nothing is left of the request that was served before. */
  protected open(session: Requester, parser: RequestParser): void {
    this.session = session
    this.affinity.reset()
    this.explained = undefined
    this.clientEndedMs = 0
    this.head.reset()
    this.head.parser.tolerate(session.route.group.config.tolerate)
    this.responseBody.begin(FRAMING_NONE, 0, false)
    this.keepClient = false
    this.keepUpstream = false
    this.wide = false
    const { nowMs, wallMs } = this.context.clock
    this.info.begin(session, nowMs, nowMs, wallMs)
    this.ownBytes = 0
    this.writtenBefore = session.conn.bytesWritten
    this.pace.reset(parser.dialogue)
    this.holds = parser.contentLength > 0 && parser.contentLength <= HELD_BYTES
  }

  /** Body bytes from the client. Returns the first one not consumed. */
  onRequestBytes(buffer: Uint8Array, start: number, end: number): number {
    if (this.phase === CONNECTING || this.requestBody.done) return start
    return this.send(this.context.transport.scratch, 0, buffer, start, end)
  }

  onUpstreamWritable(): void {
    this.requestBody.blocked = false
    this.followPace()
    // What may come behind a complete request waits for its answer.
    if (!this.requestBody.done) this.session.conn.resume()
  }

  /** Sends `at` bytes of scratch, and what of [start, end) belongs to the body. */
  protected send(scratch: Uint8Array, at: number, buffer: Uint8Array, start: number, end: number): number {
    const wasDone = this.requestBody.done
    const next = this.requestBody.relay(this.upstream.conn!, scratch, at, buffer, start, end)
    if (this.holds && next > start) this.hold(buffer, start, next)
    if (this.copy !== undefined && !this.copy.follow(scratch, buffer, start, next)) this.copy = undefined
    const { malformed, tooLong } = this.requestBody
    if (malformed || tooLong) {
      const reason = malformed ? 'BAD_BODY' : 'BODY_TOO_LARGE'
      if (this.phase === FINISHING) this.conclude(true, reason)
      else if (this.info.isAnswered) this.cut(reason)
      else this.fail(malformed ? 400 : 413, reason)
      return end
    }
    if (!wasDone) this.followPace()
    if (!this.requestBody.done) {
      if (this.requestBody.blocked) this.session.conn.pause()
    } else if (this.phase === FINISHING) {
      this.conclude(true)
    } else if (!wasDone) {
      this.info.requestDoneMs = this.context.clock.nowMs
      this.session.checkWithin(this.session.route.responseTimeoutMs)
    }
    return next
  }

  /** Only on a connection that may turn out to be closed: on a new one a body is sent once, and a stream holds its own. */
  protected hold(buffer: Uint8Array, start: number, end: number): void {
    this.holds = this.upstream.isStale && this.upstream.target!.streams === undefined
    if (this.holds) this.upstream.head.append(buffer, start, end)
  }

  protected followPace(): void {
    this.pace.follow(this.context.clock.nowMs, this.requestBody, this.info, this.session)
  }
}
