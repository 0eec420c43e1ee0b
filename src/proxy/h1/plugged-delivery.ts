import type { ReasonCode } from '../../core/reasons.js'
import { type LogFields, logRequest } from '../log-request.js'
import type { RequestInfo } from '../request-info.js'
import { AnswerDelivery } from './answer-delivery.js'
import type { Http1Context } from './h1-context.js'

/** The request as its plug-ins know it. */
export interface Plugged extends LogFields {
  readonly info: RequestInfo
  end(): void
}

/** An answer without a target to a request whose plug-ins are told of it. */
export class PluggedDelivery extends AnswerDelivery {
  readonly #plugged: Plugged
  readonly #log: ConstructorParameters<typeof AnswerDelivery>[0]

  constructor(context: Http1Context, plugged: Plugged) {
    // It serves one request.
    super(context, [])
    this.#log = context
    this.#plugged = plugged
  }

  /** It began when its plug-ins were asked first, under the id that they know. */
  override onCaptured(): void {
    const { info } = this.#plugged
    const { requestIdBytes } = info
    this.info.startedMs = info.startedMs
    this.info.startedWallMs = info.startedWallMs
    this.info.identify(requestIdBytes, 0, requestIdBytes.length)
  }

  protected override log(reason: ReasonCode): void {
    logRequest(this.#log, this.info, reason, this.#plugged)
    this.#plugged.end()
  }
}
