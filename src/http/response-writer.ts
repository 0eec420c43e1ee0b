// Hot path: a response head as it goes to the client, written from what was understood.
import { copyAll, copyBytes, latin1, writeDecimal } from './bytes.js'
import { SP } from './characters.js'
import { HEADER_ID, HEADER_STRIDE, NAME_START, VALUE_END } from './head-layout.js'
import { endLine, isPlainLine, writeLine } from './header-line.js'
import {
  HEADER_CONTENT_LENGTH,
  HEADER_DROPPED,
  HEADER_LOOK_ALIKE_FLAG,
  HEADER_OTHER,
  HEADER_STRICT_TRANSPORT_SECURITY,
  HEADER_TRANSFER_ENCODING,
  HOP_BY_HOP,
} from './header-names.js'
import type { ResponseParser } from './response-parser.js'
import { requiredUpgrade } from './upgrade.js'

export interface ResponseHeadOptions {
  clientMinor: 0 | 1
  /** The body is sent chunked; only to HTTP/1.1 clients. */
  chunked: boolean
  /** The connection to the client is closed after this response. */
  close: boolean
  /** Say `connection: keep-alive`, which HTTP/1.0 clients that asked for it wait for. */
  keepAliveHeader: boolean
  via: boolean
  /** Further header lines, each with its CRLF. */
  extraLines?: Uint8Array | undefined
  /** More of them, in [0, addedLength) of `added`. */
  added: Uint8Array
  addedLength: number
  /** The listener's own Strict-Transport-Security line, which takes the place of the target's. */
  hstsLine?: Uint8Array | undefined
}

const VERSION = latin1('HTTP/1.1 ')
const CONTENT_LENGTH = latin1('content-length: ')
const CHUNKED = latin1('transfer-encoding: chunked\r\n')
const CLOSE = latin1('connection: close\r\n')
const KEEP_ALIVE = latin1('connection: keep-alive\r\n')
const CONNECTION_UPGRADE = latin1('connection: upgrade\r\n')
const CLOSE_UPGRADE = latin1('connection: close, upgrade\r\n')
const KEEP_ALIVE_UPGRADE = latin1('connection: keep-alive, upgrade\r\n')
const UPGRADE = latin1('upgrade: ')
const UPGRADE_REQUIRED = 426
const VIA_1_0 = latin1('via: 1.0 castor\r\n')
const VIA_1_1 = latin1('via: 1.1 castor\r\n')

/** More than all constants above and a 16-digit length together. */
const CONSTANT_BYTES = 256

/** Bytes that the head written for `head` cannot exceed. */
export function responseHeadBound(head: ResponseParser, options: ResponseHeadOptions): number {
  const extra = options.extraLines === undefined ? 0 : options.extraLines.length
  const hsts = options.hstsLine === undefined ? 0 : options.hstsLine.length
  // A list that was written without spaces is written with them: `a,` becomes `a, `.
  const upgrade = head.status === UPGRADE_REQUIRED ? head.headLength >> 1 : 0
  return CONSTANT_BYTES + head.headLength + head.headerCount + extra + hsts + upgrade + options.addedLength
}

/** Upgrade with the connection option that belongs to it (RFC 9110 7.8): of a 101 what it switches to, of a 426 what it asks for. */
function writeUpgrade(
  out: Uint8Array,
  at: number,
  head: ResponseParser,
  buffer: Uint8Array,
  start: number,
  required: string,
  options: ResponseHeadOptions,
): number {
  if (!head.upgrade && options.close) at = copyAll(out, at, CLOSE_UPGRADE)
  else if (!head.upgrade && options.keepAliveHeader) at = copyAll(out, at, KEEP_ALIVE_UPGRADE)
  else at = copyAll(out, at, CONNECTION_UPGRADE)
  at = copyAll(out, at, UPGRADE)
  at = head.upgrade
    ? copyBytes(out, at, buffer, start + head.upgradeStart, start + head.upgradeEnd)
    : copyAll(out, at, latin1(required))
  return endLine(out, at)
}

/** Whether a header is passed on: not hop-by-hop, not named by Connection, not one that frames or looks like framing. */
export function isPassedOn(id: number): boolean {
  if (id === HEADER_OTHER) return true
  if (id === HEADER_DROPPED || id === HEADER_CONTENT_LENGTH) return false
  const plain = id & ~HEADER_LOOK_ALIKE_FLAG
  if (plain !== id) return plain !== HEADER_CONTENT_LENGTH && plain !== HEADER_TRANSFER_ENCODING
  return HOP_BY_HOP[id] === 0
}

/**
 * Writes the head for a client at `at` of `out` and returns where it ends, or −1 when fewer than `responseHeadBound`
 * bytes are left there. Always HTTP/1.1 (RFC 9110 6.2), the target's reason phrase kept; framing is written from the
 * parsed numbers, Content-Length also where there is no body because of HEAD or 304.
 */
export function writeResponseHead(
  out: Uint8Array,
  at: number,
  head: ResponseParser,
  buffer: Uint8Array,
  start: number,
  options: ResponseHeadOptions,
): number {
  if (out.length - at < responseHeadBound(head, options)) return -1
  at = copyAll(out, at, VERSION)
  at = writeDecimal(out, at, head.status)
  out[at++] = SP
  at = copyBytes(out, at, buffer, start + head.reasonStart, start + head.reasonEnd)
  at = endLine(out, at)

  const { headers } = head
  // Neighbouring lines already written as we would write them are copied in one go.
  let runFrom = 0
  let runTo = 0
  for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    const id = headers[entry + HEADER_ID]!
    if (!isPassedOn(id) || (id === HEADER_STRICT_TRANSPORT_SECURITY && options.hstsLine !== undefined)) continue
    const nameStart = start + headers[entry + NAME_START]!
    if (nameStart !== runTo) {
      at = copyBytes(out, at, buffer, runFrom, runTo)
      runFrom = nameStart
    }
    if (isPlainLine(headers, entry, buffer, start)) {
      runTo = start + headers[entry + VALUE_END]! + 2
      continue
    }
    at = copyBytes(out, at, buffer, runFrom, nameStart)
    at = writeLine(out, at, headers, entry, buffer, start)
    runFrom = 0
    runTo = 0
  }
  at = copyBytes(out, at, buffer, runFrom, runTo)
  at = copyBytes(out, at, options.added, 0, options.addedLength)

  if (options.chunked) at = copyAll(out, at, CHUNKED)
  else if (head.contentLength !== -1) {
    at = copyAll(out, at, CONTENT_LENGTH)
    at = writeDecimal(out, at, head.contentLength)
    at = endLine(out, at)
  }
  const required =
    head.status === UPGRADE_REQUIRED && head.upgradeFields > 0 ? requiredUpgrade(head, buffer, start) : ''
  if (head.upgrade || required !== '') at = writeUpgrade(out, at, head, buffer, start, required, options)
  else if (options.close) at = copyAll(out, at, CLOSE)
  else if (options.keepAliveHeader) at = copyAll(out, at, KEEP_ALIVE)
  if (options.via) at = copyAll(out, at, head.versionMinor === 0 ? VIA_1_0 : VIA_1_1)
  if (options.extraLines !== undefined) at = copyAll(out, at, options.extraLines)
  if (options.hstsLine !== undefined) at = copyAll(out, at, options.hstsLine)
  return endLine(out, at)
}
