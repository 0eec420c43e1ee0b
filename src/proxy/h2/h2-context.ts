import type { Logger } from 'pino'
import { CastorError } from '../../core/errors.js'
import { H2_ERROR, type H2Connection } from '../../http/h2/engine.js'
import { FieldList } from '../../http/h2/field-list.js'
import { FlushQueue } from '../../http/h2/flush-queue.js'
import { HeadBuffer } from '../../http/h2/head-buffer.js'
import { RequestToHttp1 } from '../../http/h2/request-to-http1.js'
import { ResponseToHttp1 } from '../../http/h2/response-to-http1.js'
import type { HeadLimits } from '../../http/head-layout.js'
import { RequestParser } from '../../http/request-parser.js'
import { ResponseParser } from '../../http/response-parser.js'
import type { Http1Context } from '../h1/h1-context.js'
import type { RequestServer } from '../h1/served-request.js'
import { LineBudget } from '../line-budget.js'
import type { WorkerContext } from '../worker-context.js'
import { HeadArena } from './head-arena.js'
import { SourceHistories } from './source-histories.js'
import { StepQueue } from './step-queue.js'

/** Castor's own heads are larger than what came by what it adds to them. */
const ADDED_BYTES = 64 * 1024
/** Those of rules are as many as that again, twice: they set and add. */
const ADDED_HEADERS = 192

/**
 * What the HTTP/2 connections of a thread share. Heads are read and written in one go, so one parser and one writer of
 * each kind serve all streams.
 */
export class Http2Context {
  readonly context: WorkerContext
  readonly http1: Http1Context
  readonly served: RequestServer
  readonly log: Logger
  /** For lines that hostile clients cause. */
  readonly faultLines: LineBudget
  readonly flushes: FlushQueue
  readonly steps: StepQueue
  readonly sources = new SourceHistories()
  readonly heads = new HeadArena()
  readonly fields = new FieldList()
  readonly requestHead = new RequestToHttp1()
  readonly responseHead = new ResponseToHttp1()
  readonly trailerLines = new HeadBuffer()
  /** Trailers that came beside a length, while the end of their body is handed on in one call. */
  trailersBeside: Uint8Array | undefined = undefined
  readonly requests: RequestParser
  readonly responses: ResponseParser
  /** For heads and trailers that Castor wrote. */
  readonly limits: HeadLimits
  #lost: H2Connection | undefined
  #loss = new CastorError('PEER_RESET')

  constructor(context: WorkerContext, http1: Http1Context, served: RequestServer, log: Logger) {
    this.context = context
    this.http1 = http1
    this.served = served
    this.log = log
    this.faultLines = new LineBudget(context.clock)
    this.steps = new StepQueue(log)
    this.flushes = new FlushQueue((err, connection) => this.#endFaulty(err, connection))
    const { maxHeaderBytes, maxHeaders, maxTargetBytes } = http1.limits
    this.limits = {
      maxHeaderBytes: maxHeaderBytes * 4 + ADDED_BYTES,
      maxHeaders: maxHeaders + ADDED_HEADERS,
      maxTargetBytes,
    }
    this.requests = new RequestParser(this.limits)
    this.responses = new ResponseParser(this.limits)
  }

  #endFaulty(err: unknown, connection: H2Connection): void {
    this.log.error({ err }, 'a fault ended one connection')
    this.#lost = connection
    this.#loss = new CastorError('ABORTED', 'internal fault')
    try {
      connection.fail(H2_ERROR.INTERNAL_ERROR, 'internal fault')
    } catch (again) {
      this.log.error({ err: again }, 'a fault ended one connection')
    }
  }

  /** What all streams of a connection end with that is over: one cause, so that it is told from as many failures. */
  lossOf(connection: H2Connection): CastorError {
    if (this.#lost !== connection) {
      this.#lost = connection
      this.#loss = new CastorError('PEER_RESET', 'the HTTP/2 connection ended')
    }
    return this.#loss
  }
}
