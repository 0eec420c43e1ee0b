// Hot path: once per request that Castor answers by itself.
import type { ReasonCode } from '../core/reasons.js'
import { copyAll, copyBytes, latin1, writeDecimal } from './bytes.js'
import { LOWER } from './characters.js'
import { httpDate, type Reply, reasonPhrase } from './reply.js'

/** What gRPC clients understand: calls by their media type, and answers that are all trailers (gRPC over HTTP/2). */

const GRPC = latin1('application/grpc')
const PLUS = 0x2b
const SEMICOLON = 0x3b
const SP = 0x20
const PERCENT = 0x25

/**
 * Whether the media type in [from, to) is gRPC's own: `application/grpc`, with `+proto` or the like, or parameters. gRPC-Web
 * is another protocol, whose clients go by the HTTP status.
 */
export function isGrpcType(buffer: Uint8Array, from: number, to: number): boolean {
  const end = from + GRPC.length
  if (end > to) return false
  for (let i = 0; i < GRPC.length; i++) if (LOWER[buffer[from + i]!] !== GRPC[i]) return false
  return end === to || buffer[end] === PLUS || buffer[end] === SEMICOLON || buffer[end] === SP
}

/** The status of a call that HTTP answered: gRPC's "HTTP to gRPC Status Code Mapping". */
export function grpcStatus(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return 13
    case 401:
      return 16
    case 403:
      return 7
    case 404:
      return 12
    case 429:
    case 502:
    case 503:
    case 504:
      return 14
    default:
      return 2
  }
}

const BEGIN = latin1('HTTP/1.1 200 OK\r\ndate: ')
const STATUS = latin1('\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\ngrpc-status: ')
const MESSAGE = latin1('\r\ngrpc-message: ')
const RETRY_AFTER = latin1('\r\nretry-after: ')
const LINE_END = latin1('\r\n')
const END = latin1('\r\n\r\n')

/** More than all constants above, date, phrase and reason together. */
const CONSTANT_BYTES = 512
/** A byte of the request id may become `%XX`. */
const GROWTH = 3

/**
 * The same answer as `writeReply` for a gRPC call, as the head that becomes Trailers-Only by HTTP/2: the message names the
 * HTTP status, the reason and the request. Returns where it ends, or −1 when there may be too little room.
 */
export function writeGrpcReply(out: Uint8Array, at: number, reply: Reply, reason: ReasonCode): number {
  const { status, requestId, lines } = reply
  const bound = CONSTANT_BYTES + requestId.length * GROWTH + (lines === undefined ? 0 : lines.length)
  if (out.length - at < bound) return -1
  const why = reason === 'NONE' ? '' : `: ${reason}`
  const message = `${status} ${reasonPhrase(status)}${why} (request `
  at = copyAll(out, at, BEGIN)
  at = copyAll(out, at, httpDate())
  at = copyAll(out, at, STATUS)
  at = writeDecimal(out, at, grpcStatus(status))
  at = copyAll(out, at, MESSAGE)
  at = copyAll(out, at, latin1(message))
  at = writeEscaped(out, at, requestId)
  out[at++] = CLOSING
  if (reply.retryAfterSeconds !== undefined) {
    at = copyAll(out, at, RETRY_AFTER)
    at = writeDecimal(out, at, reply.retryAfterSeconds)
  }
  if (lines !== undefined) {
    at = copyAll(out, at, LINE_END)
    at = copyBytes(out, at, lines, 0, lines.length - LINE_END.length)
  }
  return copyAll(out, at, END)
}

const CLOSING = 0x29
const HEX = latin1('0123456789ABCDEF')

/** Percent-encoded as gRPC over HTTP/2 has it for Status-Message: all except visible ASCII and the space, and "%" itself. */
function writeEscaped(out: Uint8Array, at: number, text: Uint8Array): number {
  for (const byte of text) {
    if (byte >= SP && byte < 0x7f && byte !== PERCENT) {
      out[at++] = byte
    } else {
      out[at++] = PERCENT
      out[at++] = HEX[byte >> 4]!
      out[at++] = HEX[byte & 15]!
    }
  }
  return at
}
