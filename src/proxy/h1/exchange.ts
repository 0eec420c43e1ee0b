// Hot path: every request that a target is asked for passes here. No closures or promises.
import type { ReasonCode } from '../../core/reasons.js'
import type { RequestParser } from '../../http/request-parser.js'
import { type RequestHeadOptions, writeRequestHead } from '../../http/request-writer.js'
import type { ResponseParser } from '../../http/response-parser.js'
import { explainAnswer } from '../explain/explain-answer.js'
import { logRequest } from '../log-request.js'
import { type BodyRelay, requestFraming } from './body-relay.js'
import { FINISHING, OVER, STREAMING } from './exchange-phase.js'
import type { Http1Context } from './h1-context.js'
import { HeadEdits } from './head-edits.js'
import type { Mirrors } from './mirrors.js'
import type { Requester } from './requester.js'
import { RequestTiming } from './time-request.js'
import { UPSTREAM_READY } from './upstream-state.js'

/** Why a request is refused that a rule would make into none, by status. */
const EDIT_REASONS: Readonly<Record<number, ReasonCode>> = {
  400: 'BAD_REQUEST',
  414: 'TARGET_LINE_TOO_LONG',
  431: 'HEADER_TOO_LARGE',
}

/** One request and its response, from the route on. What each phase does is in the file of its name. */
export class Exchange extends RequestTiming {
  readonly #mirrors: Mirrors
  readonly #home: Exchange[]

  /** `home` takes it back when it is over. */
  constructor(
    context: Http1Context,
    parser: ResponseParser,
    request: BodyRelay,
    response: BodyRelay,
    mirrors: Mirrors,
    home: Exchange[],
  ) {
    super(context, parser, request, response)
    this.#mirrors = mirrors
    this.#home = home
  }

  /** Takes the request on. Returns the first byte after what it has consumed: the head and, where it could, body. */
  begin(session: Requester, parser: RequestParser, buffer: Uint8Array, start: number, end: number): number {
    const { scratch } = this.context.transport
    const next = start + parser.headLength
    this.open(session, parser)
    this.#route(parser, buffer, start)
    const headEnd = this.#limit(parser, buffer, start)
    if (headEnd < 0) return next
    // Pick, connect: where that takes time, `onUpstreamTurn` and `onUpstreamOpen` go on.
    const state = this.upstream.pickAndConnect()
    this.proceed(state)
    return state === UPSTREAM_READY ? this.send(scratch, headEnd, buffer, next, end) : next
  }

  /** Route: what binds it to a target, and what is known of it from here on. */
  #route(parser: RequestParser, buffer: Uint8Array, start: number): void {
    const { context, info, session } = this
    const { hash, group, settings } = session.route
    group.stickiness?.bindRequest(this.affinity, parser, buffer, start, session.clientAddress)
    info.capture(parser, buffer, start, session.protocol, this.nextId(), context.accessLog !== undefined)
    if (parser.explain) this.explained = explainAnswer(context, session, info, parser, buffer, start)
    info.upgrade = settings.upgrades.offered(parser, buffer, start)
    this.requestBody.begin(requestFraming(parser), parser.contentLength, parser.chunked)
    this.requestBody.most = settings.config.limits.bodyBytes
    const once = !this.requestBody.none || !info.idempotent
    this.upstream.begin(session, hash.of(parser, buffer, start), this.affinity, parser.connectionAuth, once)
  }

  /** Limits: it counts for the retries that its group may make. Returns the end of its head in scratch, −1 where it has failed. */
  #limit(parser: RequestParser, buffer: Uint8Array, start: number): number {
    const { session } = this
    session.route.group.retryBudget.countRequest()
    const { scratch } = this.context.transport
    const options = session.headOptions(this.info)
    const status = this.editHead(parser, buffer, start, options)
    if (status !== 0) {
      this.fail(status, EDIT_REASONS[status]!)
      return -1
    }
    const headEnd = writeRequestHead(scratch, 0, parser, buffer, start, options)
    // A huge head with a huge Host, which is written three times, may be more than fits.
    if (headEnd < 0) this.fail(431, 'HEADER_TOO_LARGE')
    else {
      this.upstream.head.keep(headEnd)
      if (session.route.mirror !== undefined) this.copy = this.#mirrors.copy(session, this.info, parser, headEnd)
    }
    return headEnd
  }

  /** For a request that came with no id worth keeping. */
  protected nextId(): Uint8Array {
    return this.context.requestIds.next()
  }

  /** What its rule changes goes into `options`. Returns 0, or with what status the request is to be refused. */
  protected editHead(parser: RequestParser, buffer: Uint8Array, start: number, options: RequestHeadOptions): number {
    const { edits } = this.session.route
    if (edits === undefined) return 0
    this.edits ??= new HeadEdits()
    const status = this.edits.begin(edits, this.session, this.info, parser, buffer, start, options)
    if (status === 0 && edits.request !== undefined) this.requestBody.removeTrailers(edits.request.removed)
    return status
  }

  /** Receive, relay. */
  onUpstreamData(buffer: Uint8Array, length: number): void {
    if (this.phase === STREAMING) this.relay(buffer, length)
    else if (this.phase === FINISHING) this.conclude(true)
    else this.receive(buffer, length)
  }

  /** The request ends before it was whole: its copy never will be. */
  #dropCopy(): void {
    this.copy?.drop()
    this.copy = undefined
  }

  /** Log: the last phase, after which it serves another request. */
  protected account(reason: ReasonCode, tunnelReceived: number, tunnelSent: number): void {
    const { info } = this
    this.phase = OVER
    if (this.copy !== undefined) this.#dropCopy()
    this.pace.end(this.context.clock.nowMs, this.session)
    info.receivedBytes = this.requestBody.bytes + tunnelReceived
    info.sentBytes += this.responseBody.bytes + tunnelSent - this.undeliveredBytes
    this.log(reason)
    this.upstream.finish()
    this.head.reset()
    this.#home.push(this)
  }

  protected log(reason: ReasonCode): void {
    logRequest(this.context, this.info, reason)
  }
}
