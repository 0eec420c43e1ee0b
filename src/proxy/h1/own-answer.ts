import type { ReasonCode } from '../../core/reasons.js'
import { METHOD_GET, METHOD_HEAD } from '../../http/methods.js'
import type { Reply } from '../../http/reply.js'
import type { RequestParser } from '../../http/request-parser.js'
import { logRequest } from '../log-request.js'
import type { RequestOrigin } from '../request-info.js'
import type { Route } from '../route.js'
import { writeAnswer } from './failure-reply.js'
import type { Http1Context } from './h1-context.js'
import type { Requester } from './requester.js'
import type { ServedRequest } from './served-request.js'

/** Answers that Castor gives without asking a target. */

const HTTPS_PORT = 443

export function answersItself(route: Route): boolean {
  return route.settings.config.redirectToHttps !== undefined
}

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

/**
 * Sends the client to the same URL over https; 400 without a host to send it to. Returns the answer while its client has yet
 * to take it.
 */
export function writeRedirect(
  context: Http1Context,
  session: Requester,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
  close: boolean,
): ServedRequest | undefined {
  const { port, status: wanted } = session.route.settings.config.redirectToHttps!
  const { nowMs, wallMs } = context.clock
  const delivery = context.takeDelivery()
  const { info } = delivery
  info.begin(session, nowMs, nowMs, wallMs)
  info.capture(parser, buffer, start, session.protocol, context.requestIds.next(), context.accessLog !== undefined)
  const safe = parser.method === METHOD_GET || parser.method === METHOD_HEAD
  const hosted = parser.hostNameEnd > parser.hostStart
  const status = hosted ? wanted || (safe ? 301 : 308) : 400
  const reply: Reply = {
    status,
    requestId: info.requestIdBytes,
    close,
    head: info.isHead,
    versionMinor: info.versionMinor,
    lines: hosted ? locationLine(parser, buffer, start, port) : undefined,
  }
  const { scratch } = context.transport
  const reason = hosted ? 'NONE' : 'BAD_REQUEST'
  const end = writeAnswer(scratch, session, reply, reason)
  return delivery.send(session.conn, scratch, end, status, reason) ? undefined : delivery
}

/** Host and path were found valid by the parser, so that neither can end the line. */
function locationLine(parser: RequestParser, buffer: Uint8Array, start: number, port: number): Uint8Array {
  const text = (from: number, to: number): string =>
    Buffer.from(buffer.subarray(start + from, start + to)).toString('latin1')
  const host = text(parser.hostStart, parser.hostNameEnd)
  const written = text(parser.pathStart, parser.pathEnd)
  // Beside a path, an absolute target may have a query alone, and OPTIONS a star.
  const path = written.startsWith('/') ? written : written.startsWith('?') ? `/${written}` : '/'
  return Buffer.from(`location: https://${host}${port === HTTPS_PORT ? '' : `:${port}`}${path}\r\n`, 'latin1')
}
