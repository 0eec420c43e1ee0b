import type { ReasonCode } from '../../core/reasons.js'
import type { Reply } from '../../http/reply.js'
import type { RequestParser } from '../../http/request-parser.js'
import { logRequest } from '../log-request.js'
import type { RequestOrigin } from '../request-info.js'
import { writeAnswer } from './failure-reply.js'
import type { Http1Context } from './h1-context.js'
import type { Requester } from './requester.js'
import type { ServedRequest } from './served-request.js'

/**
 * Refuses what never became a request. `parser` has it as far as it was understood; `startedMs` −1 where nothing came.
 * Returns the answer while its client has yet to take it.
 */
export function writeRefusal(
  context: Http1Context,
  session: Pick<Requester, 'listener' | 'route' | 'clientAddress' | 'conn' | 'grpc'>,
  status: number,
  reason: ReasonCode,
  parser: RequestParser | undefined,
  startedMs: number,
): ServedRequest | undefined {
  const { nowMs, wallMs } = context.clock
  const requestId = context.requestIds.next()
  const delivery = context.takeDelivery()
  delivery.info.begin(session, startedMs < 0 ? nowMs : startedMs, nowMs, wallMs)
  delivery.info.identify(requestId, 0, requestId.length)
  const lines = session.route.settings.hstsLine
  const { scratch } = context.transport
  const reply: Reply = { status, requestId, close: true, head: false, versionMinor: 1, lines }
  const end = writeAnswer(scratch, session, reply, reason)
  const client = session.clientAddress.source.address
  context.log.debug({ client, status, reason, detail: parser?.errorDetail }, 'request refused')
  return delivery.send(session.conn, scratch, end, status, reason) ? undefined : delivery
}

/** Accounts for a request that never came about and is not answered. */
export function logRefusal(context: Http1Context, origin: RequestOrigin, status: number, reason: ReasonCode): void {
  const { info, clock } = context
  const requestId = context.requestIds.next()
  info.begin(origin, clock.nowMs, clock.nowMs, clock.wallMs)
  info.identify(requestId, 0, requestId.length)
  info.status = status
  logRequest(context, info, reason)
}
