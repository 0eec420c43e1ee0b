import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import { ADMIN_ERRORS, type AdminErrorCode } from './admin-errors.js'

/** On every answer: nothing is cached, framed, sniffed or loaded from elsewhere. */
const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  ['Cache-Control', 'no-store'],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
]

const CONTENT_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `connects`: what a page may connect to beside where it came from. */
export function setSecurityHeaders(response: ServerResponse, connects: readonly string[] = []): void {
  for (const [name, value] of SECURITY_HEADERS) response.setHeader(name, value)
  const more = connects.length === 0 ? '' : `; connect-src 'self' ${connects.join(' ')}`
  response.setHeader('Content-Security-Policy', CONTENT_POLICY + more)
}

/** Sends a whole body; to HEAD only its head. */
export function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
): void {
  response.statusCode = status
  response.setHeader('Content-Type', contentType)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  if (request.method === 'HEAD') response.end()
  else if (body.length <= PIECE_BYTES) response.end(body)
  else sendInPieces(response, Buffer.from(body), 0)
}

export const TEXT = 'text/plain; charset=utf-8'

/** The kernel copies this much in a small part of a millisecond. */
const PIECE_BYTES = 64 * 1024

/** A large answer goes out in as many turns as it takes: those who connect meanwhile are not to wait for it. */
function sendInPieces(response: ServerResponse, body: Buffer, from: number): void {
  const until = from + PIECE_BYTES
  if (until >= body.length) {
    response.end(body.subarray(from))
    return
  }
  const goOn = (): void => sendInPieces(response, body, until)
  // Never, where the client is gone.
  if (response.write(body.subarray(from, until))) void setImmediate().then(goOn)
  else response.once('drain', goOn)
}

export function sendText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  sendBody(request, response, status, TEXT, text)
}

export function sendJson(request: IncomingMessage, response: ServerResponse, status: number, value: unknown): void {
  sendBody(request, response, status, 'application/json; charset=utf-8', `${JSON.stringify(value)}\n`)
}

/** The same, each field in a turn of its own: one may be long, and those who connect meanwhile are not to wait for all. */
export async function sendJsonInTurns(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  fields: object,
): Promise<void> {
  const parts: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
    await setImmediate()
  }
  sendBody(request, response, status, 'application/json; charset=utf-8', `{${parts.join(',')}}\n`)
}

const refusals = new WeakMap<ServerResponse, string>()

/** Code and message of what an answer refuses, for the audit log. */
export function refusalOf(response: ServerResponse): string | null {
  return refusals.get(response) ?? null
}

/** What is wrong with a part of a request. */
export interface InputProblem {
  /** `body`, `query` or `path`, and from there on as in `body.weight`. */
  readonly where: string
  readonly message: string
}

/** Every failure has this form: `{ "error": { "code", "message" } }`, and `problems` where the input is at fault. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  code: AdminErrorCode,
  message: string,
  problems?: readonly InputProblem[],
): void {
  refusals.set(response, `${code}: ${message}`)
  const error = problems === undefined ? { code, message } : { code, message, problems }
  sendJson(request, response, ADMIN_ERRORS[code][0], { error })
}
