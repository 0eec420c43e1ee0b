import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { NameSet } from '../../http/name-set.js'
import type { RequestParser } from '../../http/request-parser.js'
import type { RequestHeadOptions } from '../../http/request-writer.js'
import type { ResponseHeadOptions } from '../../http/response-writer.js'
import { checkAnswer } from '../../plugin/checked-answer.js'
import { FAILED, isPromise, type PluginInstance } from '../../plugin/plugin-instance.js'
import { ResponseView } from '../../plugin/response-view.js'
import { dropFields } from '../../route/header-edits.js'
import { logRequest } from '../log-request.js'
import { Exchange } from './exchange.js'
import { AWAITING, FINISHING, STREAMING } from './exchange-phase.js'
import { writeRespond } from './own-answer.js'
import { ownAnswer, type PluggedRequest } from './plugged-request.js'
import type { Requester } from './requester.js'
import { POLL_MS } from './session-state.js'

const PHASE = 'onResponseHead'

/** A request with plug-ins that a target is asked for: they edit its head, and see the answer's before the client does. */
export class PluggedExchange extends Exchange {
  #run: PluggedRequest | undefined
  #view: ResponseView | undefined
  /** The answer's head is there, and a plug-in is waited for; what comes behind it is kept. */
  #isHeld = false
  #hasUpstreamEnded = false
  #isSwitching = false
  #index = 0

  /** As `begin`, for a request that its plug-ins have let pass. */
  serve(run: PluggedRequest, session: Requester, buffer: Uint8Array, start: number, end: number): number {
    this.#run = run
    this.#view = undefined
    this.#isHeld = false
    this.#hasUpstreamEnded = false
    this.#index = 0
    return this.begin(session, run.parser, buffer, start, end)
  }

  /** Whether it still serves that request. */
  serves(run: PluggedRequest): boolean {
    return this.#run === run
  }

  protected override open(session: Requester, parser: RequestParser): void {
    super.open(session, parser)
    const { startedMs, startedWallMs } = this.#run!.info
    this.info.startedMs = startedMs
    this.info.startedWallMs = startedWallMs
  }

  protected override nextId(): Uint8Array {
    return this.#run!.info.requestIdBytes
  }

  protected override editHead(
    parser: RequestParser,
    buffer: Uint8Array,
    start: number,
    options: RequestHeadOptions,
  ): number {
    const status = super.editHead(parser, buffer, start, options)
    const { changes } = this.#run!.view
    if (status !== 0 || changes.isEmpty) return status
    const lines = changes.linesBehind(options.added, options.addedLength)
    options.added = lines
    options.addedLength = lines.length
    const { removed } = changes
    if (removed === undefined) return 0
    dropFields(removed, parser, buffer, start)
    this.requestBody.removeTrailers(union(removed, this.session.route.edits?.request?.removed))
    return 0
  }

  protected override beginResponse(): void {
    this.#isSwitching = false
    this.#ask()
  }

  protected override upgrade(): void {
    this.#isSwitching = true
    this.#ask()
  }

  protected override headOptions(chunked: boolean, close: boolean): ResponseHeadOptions {
    const options = super.headOptions(chunked, close)
    const changes = this.#view?.changes
    if (this.info.status === 0 || changes === undefined || changes.isEmpty) return options
    const { parser, buffer, start } = this.head
    const lines = changes.linesBehind(options.added, options.addedLength)
    options.added = lines
    options.addedLength = lines.length
    const { removed } = changes
    if (removed !== undefined) dropFields(removed, parser, buffer, start)
    return options
  }

  protected override removedFromAnswer(): NameSet | undefined {
    const own = super.removedFromAnswer()
    const removed = this.#view?.changes.removed
    return removed === undefined ? own : union(removed, own)
  }

  override onUpstreamData(buffer: Uint8Array, length: number): void {
    if (!this.#isHeld) {
      super.onUpstreamData(buffer, length)
      return
    }
    const { head } = this
    head.buffer = Buffer.concat([head.buffer.subarray(head.start, head.end), buffer.subarray(0, length)])
    head.start = 0
    head.end = head.buffer.length
  }

  override onUpstreamEnd(): void {
    if (this.#isHeld) this.#hasUpstreamEnded = true
    else super.onUpstreamEnd()
  }

  /** A connection whose end came while its answer was held carries no other request. */
  protected override conclude(extra: boolean, reason?: ReasonCode): void {
    super.conclude(extra || this.#hasUpstreamEnded, reason)
  }

  override onUpstreamLost(cause: CastorError | undefined): void {
    this.#letGo()
    super.onUpstreamLost(cause)
  }

  override checkTime(nowMs: number): number {
    if (!this.#isHeld) return super.checkTime(nowMs)
    if (!this.session.inputEnded || !this.clientHasLeft(nowMs)) return POLL_MS
    const session = this.session
    this.release('CLIENT_CLOSED')
    session.cutShort(true)
    return 0
  }

  protected override log(reason: ReasonCode): void {
    const run = this.#run!
    this.#letGo()
    this.#view?.seal()
    logRequest(this.context, this.info, reason, run)
    this.#run = undefined
    this.#view = undefined
    run.end()
  }

  #letGo(): void {
    this.#isHeld = false
    this.#run?.waiting.drop()
  }

  /** Asks those plug-ins that have not been asked yet; when all have, the answer goes on. */
  #ask(): void {
    const run = this.#run!
    const list = run.ofRoute!.onResponseHead
    while (this.#index < list.length) {
      const plugin = list[this.#index++]!
      this.#view ??= new ResponseView(this.head, this.upstream.target?.id ?? '')
      const returned = plugin.call(PHASE, this.#view, run.view)
      if (isPromise(returned)) {
        this.#hold()
        run.waiting.begin(plugin, PHASE, returned, (value) => {
          if (this.#take(plugin, value)) this.#ask()
        })
        return
      }
      if (!this.#take(plugin, returned)) return
    }
    this.#goOn(run)
  }

  /** The bytes are the transport's, and only until the call returns. */
  #hold(): void {
    if (this.#isHeld) return
    const { head } = this
    this.#isHeld = true
    this.upstream.conn?.pause()
    head.buffer = Uint8Array.prototype.slice.call(head.buffer, head.start, head.end)
    head.end -= head.start
    head.start = 0
    this.session.checkWithin(POLL_MS)
  }

  /** False where the plug-in has ended the request. */
  #take(plugin: PluginInstance, returned: unknown): boolean {
    const run = this.#run!
    if (returned === undefined || returned === null) return true
    if (returned !== FAILED) {
      const checked = checkAnswer(returned)
      if (typeof checked !== 'string') {
        run.decidedBy = plugin.name
        this.#replace(ownAnswer(checked, this.session.route))
        return false
      }
      plugin.fail(PHASE, 'invalid', new TypeError(checked))
    }
    if (plugin.isOpen) return true
    run.decidedBy = plugin.name
    this.#letGo()
    this.fail(500, 'PLUGIN_FAILED')
    return false
  }

  #goOn(run: PluggedRequest): void {
    const wasHeld = this.#isHeld
    const { conn } = this.upstream
    this.#isHeld = false
    if (this.#isSwitching) {
      super.upgrade()
      if (!wasHeld || !this.serves(run)) return
      // By now the tunnel's, which has not been told.
      if (this.#hasUpstreamEnded) conn?.handler.onEnd(conn)
      else conn?.resume()
      return
    }
    super.beginResponse()
    if (!wasHeld || !this.serves(run)) return
    if (this.#hasUpstreamEnded && (this.phase === STREAMING || this.phase === FINISHING)) super.onUpstreamEnd()
    else if (!this.responseBody.blocked) conn?.resume()
  }

  /** The target has answered, and the client gets another answer. */
  #replace(answer: ReturnType<typeof ownAnswer>): void {
    const run = this.#run!
    this.#letGo()
    this.phase = AWAITING
    this.answered()
    const keep = this.info.keepAlive && this.requestBody.done && !this.session.listener.draining
    const end = writeRespond(this.context, this.session, this.info, run.parser, run.buffer, 0, answer, !keep)
    if (end < 0) {
      this.fail(500, 'PLUGIN_FAILED')
      return
    }
    const isBodiless = this.info.isHead || answer.status === 204 || answer.status === 304
    this.answerInstead(end, isBodiless ? undefined : answer.body, answer.status, 'NONE', keep)
  }
}

function union(one: NameSet, other: NameSet | undefined): NameSet {
  return other === undefined ? one : one.with(other)
}
