import { STATUS_CODES } from 'node:http'
import type { ReasonCode } from '../../core/reasons.js'
import { copyAll, latin1 } from '../../http/bytes.js'
import { METHOD_GET, METHOD_HEAD } from '../../http/methods.js'
import { httpDate, type Reply } from '../../http/reply.js'
import type { RequestParser } from '../../http/request-parser.js'
import { RequestPath } from '../../route/request-path.js'
import { ByteText } from '../../route/template.js'
import { explainAnswer, explanationLine } from '../explain/explain-answer.js'
import type { OwnAnswer, RedirectAnswer, RespondAnswer } from '../own-answer.js'
import { putLocation } from '../put-location.js'
import type { RequestInfo } from '../request-info.js'
import type { AnswerDelivery } from './answer-delivery.js'
import { RETRY_AFTER_SECONDS, writeAnswer } from './failure-reply.js'
import type { Http1Context } from './h1-context.js'
import type { Requester } from './requester.js'
import { factsOf } from './template-facts.js'

/** Answers that routes give without asking a target. */

const HTTPS_PORT = 443
const LOCATION = latin1('location: ')
const LINE_END = latin1('\r\n')

/** A request whose head begins at `start` of `buffer`, and what is put together for it. */
interface Answered {
  readonly context: Http1Context
  readonly session: Requester
  readonly delivery: AnswerDelivery
  readonly parser: RequestParser
  readonly buffer: Uint8Array
  readonly start: number
  /** The connection ends behind the answer. */
  readonly close: boolean
}

// Read before the next answer is put together.
const text = new ByteText()
const path = new RequestPath()

/** Gives the answer `own` by `delivery`. Returns it while its client has yet to take it. */
export function writeOwnAnswer(
  context: Http1Context,
  session: Requester,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
  close: boolean,
  own: OwnAnswer,
  delivery: AnswerDelivery,
): AnswerDelivery | undefined {
  const { nowMs, wallMs } = context.clock
  const { info } = delivery
  info.begin(session, nowMs, nowMs, wallMs)
  info.capture(parser, buffer, start, session.protocol, context.requestIds.next(), context.accessLog !== undefined)
  delivery.onCaptured()
  const answered: Answered = { context, session, delivery, parser, buffer, start, close }
  switch (own.type) {
    case 'respond':
      return respond(answered, own)
    case 'failure':
      return reply(answered, own.status, own.reason)
    case 'none':
      return reply(answered, 404, 'NO_RULE')
    case 'slash':
      return addSlash(answered)
    case 'https':
      return toHttps(answered, own.port, own.status)
    case 'redirect':
      return redirect(answered, own)
  }
}

/** Castor's own text, with the header lines in `text` where `hasLines`. */
function reply(answered: Answered, status: number, reason: ReasonCode, hasLines = false): AnswerDelivery | undefined {
  const { context, session, delivery, close } = answered
  const { info } = delivery
  const { scratch } = context.transport
  if (!hasLines) text.clear()
  putExplanation(context, session, info, answered.parser, answered.buffer, answered.start)
  putHsts(session)
  const answer: Reply = {
    status,
    requestId: info.requestIdBytes,
    close,
    head: info.isHead,
    versionMinor: info.versionMinor,
    lines: text.length === 0 ? undefined : text.bytes.subarray(0, text.length),
    ...(status === 503 || status === 429 ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {}),
  }
  return send(answered, status, reason, writeAnswer(scratch, session, answer, reason), undefined)
}

/** What lies in scratch, and then `body`. */
function send(
  { context, session, delivery }: Answered,
  status: number,
  reason: ReasonCode,
  end: number,
  body: Uint8Array | undefined,
): AnswerDelivery | undefined {
  const isTaken = delivery.send(session.conn, context.transport.scratch, end, status, reason, body)
  return isTaken ? undefined : delivery
}

function putHsts({ route }: Requester): void {
  const { hstsLine } = route.settings
  if (hstsLine !== undefined) text.put(hstsLine, 0, hstsLine.length)
}

/** RFC 9110 10.2.2: a reference is enough, and its path begins with one slash, so that it names no other host. */
function addSlash(answered: Answered): AnswerDelivery | undefined {
  const { parser, buffer, start } = answered
  path.take(parser, buffer, start)
  text.clear()
  text.put(LOCATION, 0, LOCATION.length)
  text.put(path.bytes, path.from, path.to)
  text.putText('/')
  if (parser.queryStart >= 0) text.put(buffer, start + parser.queryStart, start + parser.pathEnd)
  text.put(LINE_END, 0, LINE_END.length)
  return reply(answered, 301, 'NONE', true)
}

/** To the same URL over https; 400 without a host to send the client to. */
function toHttps(answered: Answered, port: number, status: number): AnswerDelivery | undefined {
  const { parser, buffer, start } = answered
  if (parser.hostNameEnd <= parser.hostStart) return reply(answered, 400, 'BAD_REQUEST')
  text.clear()
  text.putText('location: https://')
  text.put(buffer, start + parser.hostStart, start + parser.hostNameEnd)
  if (port !== HTTPS_PORT) text.putText(`:${port}`)
  const from = start + parser.pathStart
  // Beside a path, an absolute target may have a query alone, and OPTIONS a star.
  if (buffer[from] !== SLASH || from === start + parser.pathEnd) text.putText('/')
  if (buffer[from] !== STAR) text.put(buffer, from, start + parser.pathEnd)
  text.put(LINE_END, 0, LINE_END.length)
  const isSafe = parser.method === METHOD_GET || parser.method === METHOD_HEAD
  return reply(answered, status || (isSafe ? 301 : 308), 'NONE', true)
}

const SLASH = 0x2f
const STAR = 0x2a

/** 400 where the client named no host. */
function redirect(answered: Answered, own: RedirectAnswer): AnswerDelivery | undefined {
  const { parser } = answered
  if (parser.hostNameEnd <= parser.hostStart) return reply(answered, 400, 'BAD_REQUEST')
  text.clear()
  text.put(LOCATION, 0, LOCATION.length)
  putLocation(text, own, answeredFacts(answered))
  text.put(LINE_END, 0, LINE_END.length)
  if (!putEdits(answered)) return reply(answered, 431, 'HEADER_TOO_LARGE')
  return reply(answered, own.status, 'NONE', true)
}

/** Status codes whose responses have no content (RFC 9110 15.3.5, 15.4.5). */
const isWithoutContent = (status: number): boolean => status === 204 || status === 304

/** As the rule has it. Its client may speak gRPC: what a rule says is what is sent. */
function respond(answered: Answered, answer: RespondAnswer): AnswerDelivery | undefined {
  const { context, session, delivery, parser, buffer, start, close } = answered
  const { info } = delivery
  const { status, body } = answer
  const end = writeRespond(context, session, info, parser, buffer, start, answer, close)
  if (end < 0) return reply(answered, 431, 'HEADER_TOO_LARGE')
  const hasBody = !info.isHead && !isWithoutContent(status) && body.length > 0
  return send(answered, status, 'NONE', end, hasBody ? body : undefined)
}

/** Writes the answer's head to scratch. Returns where it ends, −1 where it is more than a head may grow by. */
export function writeRespond(
  context: Http1Context,
  session: Requester,
  info: RequestInfo,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
  { status, lines, body }: RespondAnswer,
  close: boolean,
): number {
  const { scratch } = context.transport
  text.clear()
  text.putText(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ndate: `)
  const date = httpDate()
  text.put(date, 0, date.length)
  text.put(LINE_END, 0, LINE_END.length)
  text.put(lines, 0, lines.length)
  const edits = session.route.edits?.response
  if (edits?.write(text, factsOf(session, info, parser, buffer, start, '')) === false) return -1
  putExplanation(context, session, info, parser, buffer, start)
  putHsts(session)
  if (!isWithoutContent(status)) text.putText(`content-length: ${body.length}\r\n`)
  if (close) text.putText('connection: close\r\n')
  else if (info.versionMinor === 0) text.putText('connection: keep-alive\r\n')
  text.put(LINE_END, 0, LINE_END.length)
  // A rule’s lines are a few, and scratch holds the largest head.
  return copyAll(scratch, 0, text.bytes.subarray(0, text.length))
}

/** Says how the request was routed, where a client asks that may. */
function putExplanation(
  context: Http1Context,
  session: Requester,
  info: RequestInfo,
  parser: RequestParser,
  buffer: Uint8Array,
  start: number,
): void {
  if (!parser.explain) return
  const explained = explainAnswer(context, session, info, parser, buffer, start)
  if (explained === undefined) return
  const line = explanationLine(explained, undefined)
  text.put(line, 0, line.length)
}

const answeredFacts = ({ session, delivery, parser, buffer, start }: Answered) =>
  factsOf(session, delivery.info, parser, buffer, start, '')

/** What the rule adds to answers of its own. False where it is more than a head may grow by. */
function putEdits(answered: Answered): boolean {
  const edits = answered.session.route.edits?.response
  return edits === undefined || edits.write(text, answeredFacts(answered))
}
