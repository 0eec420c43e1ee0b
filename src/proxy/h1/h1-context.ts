import type { Logger } from 'pino'
import type { Endpoint } from '../../core/conn.js'
import type { HeadLines } from '../../http/h2/head-lines.js'
import type { HeadLimits } from '../../http/head-layout.js'
import { RequestParser } from '../../http/request-parser.js'
import type { RequestHeadOptions } from '../../http/request-writer.js'
import type { ResponseHeadOptions } from '../../http/response-writer.js'
import type { RoutedRequest } from '../../route/conditions.js'
import { WORKER_RETRIES_TOTAL } from '../../shm/layout.js'
import { LineBudget } from '../line-budget.js'
import { RequestInfo } from '../request-info.js'
import type { WorkerContext } from '../worker-context.js'
import { AnswerDelivery } from './answer-delivery.js'

/** The request target may not be longer than this; an URL that no browser would send. */
const MAX_TARGET_BYTES = 8 * 1024
const NOTHING = new Uint8Array(0)
const NOBODY: Endpoint = { family: 4, address: '', port: 0 }

/**
 * What the HTTP/1.1 connections of a thread share: beside the context, parsers that are used again and again, so
 * that an idle connection holds none.
 */
export class Http1Context {
  readonly transport: WorkerContext['transport']
  readonly clock: WorkerContext['clock']
  readonly wheel: WorkerContext['wheel']
  readonly protection: WorkerContext['protection']
  readonly accessLog: WorkerContext['accessLog']
  readonly entry: WorkerContext['entry']
  readonly requestIds: WorkerContext['requestIds']
  readonly requestLimits: WorkerContext['requestLimits']
  readonly sessions: WorkerContext['drainables']
  readonly tlsLog: WorkerContext['tlsLog']
  readonly log: Logger
  /** For lines that targets can cause at will. */
  readonly targetLines: LineBudget
  readonly limits: HeadLimits
  /** For what is recorded without an answer. */
  readonly info = new RequestInfo()
  /** Set for each request that rules are asked about. */
  readonly routed: RoutedRequest
  /** Set for each request and read before the next. */
  readonly headOptions: RequestHeadOptions = {
    clientAddress: new Uint8Array(0),
    appendForwarded: false,
    fixedLines: new Uint8Array(0),
    forwardHost: true,
    forwardedPrefix: undefined,
    requestId: new Uint8Array(0),
    via: false,
    upgrade: '',
    rewritten: undefined,
    added: NOTHING,
    addedLength: 0,
  }
  /** Where the lines of an answer's head lie, while one that came by HTTP/2 is handed on in one call. */
  answerLines: HeadLines | undefined = undefined
  /** Trailers that came by HTTP/2, as lines in [0, trailersLength), while the end of their body is told of. */
  trailers: Uint8Array = NOTHING
  trailersLength = 0
  readonly #responseOptions: ResponseHeadOptions = {
    clientMinor: 1,
    chunked: false,
    close: false,
    keepAliveHeader: false,
    via: false,
    added: NOTHING,
    addedLength: 0,
  }
  readonly #workerAt: number
  readonly #context: WorkerContext
  readonly #parsers: RequestParser[] = []
  #kept: RequestParser | undefined
  readonly #deliveries: AnswerDelivery[] = []

  constructor(context: WorkerContext, log: Logger) {
    this.#context = context
    this.#workerAt = context.columns.workerAt(context.column)
    this.log = log
    this.targetLines = new LineBudget(context.clock)
    this.transport = context.transport
    this.clock = context.clock
    this.wheel = context.wheel
    this.protection = context.protection
    this.accessLog = context.accessLog
    this.entry = context.entry
    this.requestIds = context.requestIds
    this.requestLimits = context.requestLimits
    this.sessions = context.drainables
    this.tlsLog = context.tlsLog
    this.limits = {
      maxHeaderBytes: context.protection.maxHeaderBytes,
      maxHeaders: context.protection.maxHeaders,
      maxTargetBytes: MAX_TARGET_BYTES,
    }
    this.routed = { parser: new RequestParser(this.limits), buffer: NOTHING, start: 0, source: NOBODY }
  }

  countRetry(): void {
    this.#context.columns.workerWords[this.#workerAt + WORKER_RETRIES_TOTAL]!++
  }

  /** One object for the whole thread: read before the next call. */
  responseOptions(
    clientMinor: 0 | 1,
    chunked: boolean,
    close: boolean,
    via: boolean,
    extraLines: Uint8Array | undefined,
    hstsLine: Uint8Array | undefined,
  ): ResponseHeadOptions {
    const options = this.#responseOptions
    options.clientMinor = clientMinor
    options.chunked = chunked
    options.close = close
    options.keepAliveHeader = clientMinor === 0 && !close
    options.via = via
    options.extraLines = extraLines
    options.hstsLine = hstsLine
    options.addedLength = 0
    return options
  }

  /** `addedHeaders` are none of the client's: they do not count. */
  takeParser(addedHeaders: number): RequestParser {
    const parser = this.#parsers.pop() ?? new RequestParser(this.limits)
    parser.maxHeaders = this.limits.maxHeaders + addedHeaders
    parser.reset()
    return parser
  }

  giveParser(parser: RequestParser): void {
    if (parser === this.#kept) this.#kept = undefined
    else this.#parsers.push(parser)
  }

  /** Whoever reads from it goes on doing so: it is not taken back. To be called before it would be. */
  keepParser(parser: RequestParser): void {
    this.#kept = parser
  }

  /** It comes back by itself once its answer is accounted for. */
  takeDelivery(): AnswerDelivery {
    return this.#deliveries.pop() ?? new AnswerDelivery(this, this.#deliveries)
  }
}
