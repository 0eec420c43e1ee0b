// Hot path: every HTTP/1.1 head that goes out by HTTP/2 is made into fields here.
import { latin1, writeDecimal } from '../bytes.js'
import { ZERO } from '../characters.js'
import { HEADER_ID, HEADER_STRIDE, NAME_END, NAME_START, VALUE_END, VALUE_START } from '../head-layout.js'
import type { HeadParser } from '../head-parser.js'
import { HEADER_HOST, HEADER_IDS, HEADER_STRICT_TRANSPORT_SECURITY, HOP_BY_HOP } from '../header-names.js'
import type { RequestParser } from '../request-parser.js'
import type { ResponseParser } from '../response-parser.js'
import { isPassedOn, type ResponseHeadOptions } from '../response-writer.js'
import type { FieldList } from './field-list.js'
import { idOf } from './field-rules.js'
import { linesToTrailers, pushLowerCase } from './trailer-lines.js'

const STATUS = latin1(':status')
const METHOD = latin1(':method')
const SCHEME = latin1(':scheme')
const AUTHORITY = latin1(':authority')
const PATH = latin1(':path')
const PROTOCOL = latin1(':protocol')
const CONNECT = latin1('CONNECT')
const WEBSOCKET = latin1('websocket')
const TE = latin1('te')
const TRAILERS = latin1('trailers')
export const SCHEME_HTTP = latin1('http')
export const SCHEME_HTTPS = latin1('https')

const ID_WEBSOCKET_KEY = idOf('sec-websocket-key')
const ID_WEBSOCKET_ACCEPT = idOf('sec-websocket-accept')
const CONTENT_LENGTH = latin1('content-length')
const VIA = latin1('via')
const VIA_1_0 = latin1('1.0 castor')
const VIA_1_1 = latin1('1.1 castor')
const digits = new Uint8Array(3)
/** As many as the largest length has. */
const lengthDigits = new Uint8Array(16)

function put(out: FieldList, name: Uint8Array, value: Uint8Array): void {
  out.push(name, 0, name.length, value, 0, value.length)
}

/** The header line whose entry begins at `entry`. */
function putLine(
  out: FieldList,
  headers: HeadParser['headers'],
  entry: number,
  buffer: Uint8Array,
  start: number,
): void {
  pushLowerCase(
    out,
    buffer,
    start + headers[entry + NAME_START]!,
    start + headers[entry + NAME_END]!,
    start + headers[entry + VALUE_START]!,
    start + headers[entry + VALUE_END]!,
  )
}

/** The header fields except those that concern an HTTP/1.1 connection only (RFC 9113 8.2.2), and those two. */
function putHeaders(
  out: FieldList,
  head: HeadParser,
  buffer: Uint8Array,
  start: number,
  but: number,
  andBut: number,
): void {
  const { headers } = head
  for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    const id = headers[entry + HEADER_ID]!
    if (id !== 0 && (id === but || id === andBut || (id < HEADER_IDS && HOP_BY_HOP[id] === 1))) continue
    putLine(out, headers, entry, buffer, start)
  }
}

/** Only the status, for an answer of Castor's own. */
export function putStatus(out: FieldList, status: number): void {
  out.clear()
  digits[0] = ZERO + Math.trunc(status / 100)
  digits[1] = ZERO + (Math.trunc(status / 10) % 10)
  digits[2] = ZERO + (status % 10)
  put(out, STATUS, digits)
}

/**
 * A response's fields except `except`, the id of a header, or −1 for all; interim ones included. A 101 that switches to
 * WebSocket is a 200 by HTTP/2 (RFC 8441 5).
 */
export function responseFields(
  out: FieldList,
  head: ResponseParser,
  buffer: Uint8Array,
  start: number,
  except = -1,
): void {
  putStatus(out, head.status === 101 ? 200 : head.status)
  putHeaders(out, head, buffer, start, except, head.status === 101 ? ID_WEBSOCKET_ACCEPT : except)
}

/**
 * A final answer's fields, chosen as `writeResponseHead` chooses header lines. `bare`: nothing that speaks of a body, as gRPC
 * wants it of an answer of trailers alone.
 */
export function answerFields(
  out: FieldList,
  head: ResponseParser,
  buffer: Uint8Array,
  start: number,
  { chunked, via, extraLines, hstsLine, added, addedLength }: ResponseHeadOptions,
  bare: boolean,
): void {
  putStatus(out, head.status)
  const { headers } = head
  for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    const id = headers[entry + HEADER_ID]!
    if (!isPassedOn(id) || (id === HEADER_STRICT_TRANSPORT_SECURITY && hstsLine !== undefined)) continue
    putLine(out, headers, entry, buffer, start)
  }
  linesToTrailers(added, addedLength, out)
  if (!chunked && !bare && head.contentLength !== -1) {
    const end = writeDecimal(lengthDigits, 0, head.contentLength)
    out.push(CONTENT_LENGTH, 0, CONTENT_LENGTH.length, lengthDigits, 0, end)
  }
  if (via) put(out, VIA, head.versionMinor === 0 ? VIA_1_0 : VIA_1_1)
  if (extraLines !== undefined) linesToTrailers(extraLines, extraLines.length, out)
  if (hstsLine !== undefined) linesToTrailers(hstsLine, hstsLine.length, out)
}

/**
 * A request's fields. Host becomes :authority (RFC 9113 8.3.1); `te: trailers` is kept, without which no gRPC server
 * answers. `extended`: a WebSocket handshake goes out as an extended CONNECT (RFC 8441 4), else as the plain GET that a
 * server may take it for (RFC 9110 7.8).
 */
export function requestFields(
  out: FieldList,
  head: RequestParser,
  buffer: Uint8Array,
  start: number,
  scheme: Uint8Array,
  extended: boolean,
): void {
  out.clear()
  if (extended) {
    put(out, METHOD, CONNECT)
    put(out, PROTOCOL, WEBSOCKET)
  } else {
    out.push(METHOD, 0, METHOD.length, buffer, start + head.methodStart, start + head.methodEnd)
  }
  put(out, SCHEME, scheme)
  if (head.hostEnd > head.hostStart)
    out.push(AUTHORITY, 0, AUTHORITY.length, buffer, start + head.hostStart, start + head.hostEnd)
  out.push(PATH, 0, PATH.length, buffer, start + head.pathStart, start + head.pathEnd)
  putHeaders(out, head, buffer, start, HEADER_HOST, extended ? ID_WEBSOCKET_KEY : HEADER_HOST)
  if (head.wantsTrailers) put(out, TE, TRAILERS)
}
