// Hot path: a request head as it goes to the target, written from what was understood.
import { copyAll, copyBytes, latin1, writeDecimal } from './bytes.js'
import { COMMA, LF, SLASH, SP } from './characters.js'
import { HEADER_ID, HEADER_STRIDE, NAME_START, VALUE_END, VALUE_START } from './head-layout.js'
import { endLine, isPlainLine, writeLine } from './header-line.js'
import {
  HEADER_CONTENT_LENGTH,
  HEADER_EXPECT,
  HEADER_FORWARDED,
  HEADER_HOST,
  HEADER_IDS,
  HEADER_OTHER,
  HEADER_X_CASTOR_EXPLAIN,
  HEADER_X_CLIENT_CERT_FINGERPRINT,
  HEADER_X_CLIENT_CERT_SUBJECT,
  HEADER_X_CLIENT_CERT_VERIFIED,
  HEADER_X_FORWARDED_CLIENT_PORT,
  HEADER_X_FORWARDED_FOR,
  HEADER_X_FORWARDED_HOST,
  HEADER_X_FORWARDED_LBIP,
  HEADER_X_FORWARDED_OTHER,
  HEADER_X_FORWARDED_PORT,
  HEADER_X_FORWARDED_PROTO,
  HEADER_X_REQUEST_ID,
  HOP_BY_HOP,
  lineHeaderId,
} from './header-names.js'
import { METHOD_OPTIONS } from './methods.js'
import { FORM_ABSOLUTE, type RequestParser } from './request-parser.js'

/** What is added to and taken from a request. One object is reused; its fields are set for each request. */
export interface RequestHeadOptions {
  /** The client's address in text. */
  clientAddress: Uint8Array
  /**
   * The peer is trusted: its X-Forwarded-For is appended to and its other X-Forwarded-* and Forwarded are kept, taking
   * the place of Castor's. Otherwise all of them are dropped.
   */
  appendForwarded: boolean
  /** Header lines ready to copy, each with its CRLF. */
  fixedLines: Uint8Array
  /** Add `x-forwarded-host`. */
  forwardHost: boolean
  /** The RFC 7239 element for this client without `host=`, or undefined for no Forwarded of Castor's. */
  forwardedPrefix: Uint8Array | undefined
  /** Sent when the client's own may not be kept. */
  requestId: Uint8Array
  via: boolean
  /** What the target may switch to; empty where nothing. */
  upgrade: string
  /** Further header lines, each with its CRLF, in [0, addedLength) of `added`. */
  added: Uint8Array
  addedLength: number
  /** What is sent in place of the client's target and host. */
  rewritten: RewrittenTarget | undefined
  /** Sent as Host when an HTTP/1.0 client sent none; without it Host is empty (RFC 9112 3.2). */
  defaultHost?: Uint8Array
}

/** The target is [0, targetEnd) of `bytes`, the host [targetEnd, hostEnd); empty where they stay. */
export interface RewrittenTarget {
  bytes: Uint8Array
  targetEnd: number
  hostEnd: number
}

const COPY = 0
const SKIP = 1
/** Copied for a trusted peer, skipped for others. */
const FORWARDED = 2

/** What becomes of a header by id. */
const FATE = new Uint8Array(HEADER_IDS)
for (let id = 0; id < HEADER_IDS; id++) FATE[id] = HOP_BY_HOP[id] === 1 ? SKIP : COPY
for (const id of [
  HEADER_HOST,
  HEADER_CONTENT_LENGTH,
  HEADER_EXPECT,
  HEADER_X_REQUEST_ID,
  HEADER_X_FORWARDED_FOR,
  HEADER_X_CLIENT_CERT_VERIFIED,
  HEADER_X_CLIENT_CERT_SUBJECT,
  HEADER_X_CLIENT_CERT_FINGERPRINT,
  HEADER_X_CASTOR_EXPLAIN,
]) {
  FATE[id] = SKIP
}
for (const id of [
  HEADER_X_FORWARDED_PROTO,
  HEADER_X_FORWARDED_PORT,
  HEADER_X_FORWARDED_HOST,
  HEADER_X_FORWARDED_LBIP,
  HEADER_X_FORWARDED_CLIENT_PORT,
  HEADER_X_FORWARDED_OTHER,
  HEADER_FORWARDED,
]) {
  FATE[id] = FORWARDED
}

const VERSION_AND_HOST = latin1(' HTTP/1.1\r\nHost: ')
const CONTENT_LENGTH = latin1('content-length: ')
const CHUNKED = latin1('transfer-encoding: chunked\r\n')
const EXPECT = latin1('expect: 100-continue\r\n')
const UPGRADE = latin1('connection: upgrade\r\nupgrade: ')
const TRAILERS = latin1('connection: te\r\nte: trailers\r\n')
const REQUEST_ID = latin1('x-request-id: ')
const FORWARDED_FOR = latin1('x-forwarded-for: ')
const FORWARDED_HOST = latin1('x-forwarded-host: ')
const FORWARDED_NAME = latin1('forwarded: ')
const FORWARDED_HOST_PARAMETER = latin1(';host="')
const VIA_1_0 = latin1('via: 1.0 castor\r\n')
const VIA_1_1 = latin1('via: 1.1 castor\r\n')
const QUOTE = 0x22
const STAR = 0x2a

/** More than all constants above together, a 16-digit length, and the white space that is written afresh. */
const CONSTANT_BYTES = 512
/** A field line read as `a:b` is written as `a: b`. */
const GROWTH_PER_HEADER = 1

/** Bytes that the head written for `head` cannot exceed. */
export function requestHeadBound(head: RequestParser, options: RequestHeadOptions): number {
  const host = head.hostEnd - head.hostStart + (options.defaultHost === undefined ? 0 : options.defaultHost.length)
  return (
    CONSTANT_BYTES +
    head.headLength +
    head.headerCount * GROWTH_PER_HEADER +
    host * 3 +
    options.clientAddress.length +
    options.fixedLines.length +
    options.addedLength +
    (options.rewritten === undefined ? 0 : options.rewritten.hostEnd) +
    (options.forwardedPrefix === undefined ? 0 : options.forwardedPrefix.length) +
    options.requestId.length +
    options.upgrade.length
  )
}

/**
 * Writes the head for a target at `at` of `out` and returns where it ends, or −1 when fewer than `requestHeadBound`
 * bytes are left there. Always HTTP/1.1; Host first; the client's headers in their order and letter case without
 * hop-by-hop fields, those that Connection names, look-alikes, and those that Castor writes itself; framing
 * last, written from the parsed numbers.
 */
export function writeRequestHead(
  out: Uint8Array,
  at: number,
  head: RequestParser,
  buffer: Uint8Array,
  start: number,
  options: RequestHeadOptions,
): number {
  if (out.length - at < requestHeadBound(head, options)) return -1
  at = copyBytes(out, at, buffer, start + head.methodStart, start + head.methodEnd)
  out[at++] = SP
  const { rewritten } = options
  at =
    rewritten === undefined || rewritten.targetEnd === 0
      ? writePath(out, at, head, buffer, start)
      : copyBytes(out, at, rewritten.bytes, 0, rewritten.targetEnd)
  at = copyAll(out, at, VERSION_AND_HOST)
  at = writeHost(out, at, head, buffer, start, options)
  at = endLine(out, at)

  const { headers } = head
  const trusted = options.appendForwarded
  let seen = 0
  // Neighbouring lines already written as we would write them are copied in one go.
  let runFrom = 0
  let runTo = 0
  for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    const id = headers[entry + HEADER_ID]!
    if (id !== HEADER_OTHER) {
      // Look-alikes and headers that Connection names have ids beyond the table.
      if (id >= HEADER_IDS) continue
      const fate = FATE[id]!
      if (id >= HEADER_X_FORWARDED_FOR && id <= HEADER_FORWARDED) seen |= 1 << (id - HEADER_X_FORWARDED_FOR)
      if (fate === SKIP || (fate === FORWARDED && !trusted)) continue
      if (id === HEADER_FORWARDED && options.forwardedPrefix !== undefined) continue
    }
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

  at = writeFraming(out, at, head, options.upgrade)
  at = copyAll(out, at, REQUEST_ID)
  at =
    head.requestIdStart === -1
      ? copyAll(out, at, options.requestId)
      : copyBytes(out, at, buffer, start + head.requestIdStart, start + head.requestIdEnd)
  at = endLine(out, at)
  at = writeForwarded(out, at, head, buffer, start, options, trusted ? seen : 0)
  if (options.via) at = copyAll(out, at, head.versionMinor === 0 ? VIA_1_0 : VIA_1_1)
  return endLine(out, at)
}

/** The path and query as received; "/" where an absolute target has no path, "*" for OPTIONS then (RFC 9112 3.2.4). */
function writePath(out: Uint8Array, at: number, head: RequestParser, buffer: Uint8Array, start: number): number {
  const from = start + head.pathStart
  const to = start + head.pathEnd
  if (head.targetForm === FORM_ABSOLUTE && (from === to || buffer[from] !== SLASH)) {
    out[at++] = from === to && head.method === METHOD_OPTIONS ? STAR : SLASH
  }
  return copyBytes(out, at, buffer, from, to)
}

function writeHost(
  out: Uint8Array,
  at: number,
  head: RequestParser,
  buffer: Uint8Array,
  start: number,
  options: RequestHeadOptions,
): number {
  const { rewritten } = options
  if (rewritten !== undefined && rewritten.hostEnd > rewritten.targetEnd)
    return copyBytes(out, at, rewritten.bytes, rewritten.targetEnd, rewritten.hostEnd)
  if (head.hostStart !== -1) return copyBytes(out, at, buffer, start + head.hostStart, start + head.hostEnd)
  return options.defaultHost === undefined ? at : copyAll(out, at, options.defaultHost)
}

function writeFraming(out: Uint8Array, at: number, head: RequestParser, upgrade: string): number {
  if (head.chunked) at = copyAll(out, at, CHUNKED)
  else if (head.contentLength !== -1) {
    at = copyAll(out, at, CONTENT_LENGTH)
    at = writeDecimal(out, at, head.contentLength)
    at = endLine(out, at)
  }
  if (head.expectContinue) at = copyAll(out, at, EXPECT)
  if (upgrade !== '') return writeUpgrade(out, at, upgrade)
  // A switch of protocols leaves no room for trailers, and two Connection headers would be one too many.
  return head.wantsTrailers ? copyAll(out, at, TRAILERS) : at
}

function writeUpgrade(out: Uint8Array, at: number, upgrade: string): number {
  at = copyAll(out, at, UPGRADE)
  at = copyAll(out, at, latin1(upgrade))
  return endLine(out, at)
}

/** `seen` has a bit for each X-Forwarded-* and Forwarded that was kept, counted from HEADER_X_FORWARDED_FOR. */
function writeForwarded(
  out: Uint8Array,
  at: number,
  head: RequestParser,
  buffer: Uint8Array,
  start: number,
  options: RequestHeadOptions,
  seen: number,
): number {
  at = copyAll(out, at, FORWARDED_FOR)
  if (has(seen, HEADER_X_FORWARDED_FOR)) at = writeValues(out, at, head, buffer, start, HEADER_X_FORWARDED_FOR)
  at = copyAll(out, at, options.clientAddress)
  at = endLine(out, at)
  if (options.forwardHost && head.hostEnd > head.hostStart && !has(seen, HEADER_X_FORWARDED_HOST)) {
    at = copyAll(out, at, FORWARDED_HOST)
    at = copyBytes(out, at, buffer, start + head.hostStart, start + head.hostEnd)
    at = endLine(out, at)
  }
  if (options.forwardedPrefix !== undefined) {
    at = copyAll(out, at, FORWARDED_NAME)
    if (has(seen, HEADER_FORWARDED)) at = writeValues(out, at, head, buffer, start, HEADER_FORWARDED)
    at = copyAll(out, at, options.forwardedPrefix)
    if (head.hostEnd > head.hostStart) {
      at = copyAll(out, at, FORWARDED_HOST_PARAMETER)
      at = copyBytes(out, at, buffer, start + head.hostStart, start + head.hostEnd)
      out[at++] = QUOTE
    }
    at = endLine(out, at)
  }
  return seen === 0 ? copyAll(out, at, options.fixedLines) : writeUnseen(out, at, options.fixedLines, seen)
}

const has = (seen: number, id: number): boolean => (seen & (1 << (id - HEADER_X_FORWARDED_FOR))) !== 0

/** The values of all headers with that id, each followed by a comma. */
function writeValues(
  out: Uint8Array,
  at: number,
  head: RequestParser,
  buffer: Uint8Array,
  start: number,
  id: number,
): number {
  const { headers } = head
  for (let entry = 0, last = head.headerCount * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
    const from = start + headers[entry + VALUE_START]!
    const to = start + headers[entry + VALUE_END]!
    if (headers[entry + HEADER_ID] !== id || from === to) continue
    at = copyBytes(out, at, buffer, from, to)
    out[at++] = COMMA
    out[at++] = SP
  }
  return at
}

/** The fixed lines but those whose header a trusted peer sent already, so that no header says two things. */
function writeUnseen(out: Uint8Array, at: number, lines: Uint8Array, seen: number): number {
  for (let from = 0; from < lines.length; ) {
    const to = lines.indexOf(LF, from) + 1
    const id = lineHeaderId(lines, from)
    const forwarded = id >= HEADER_X_FORWARDED_FOR && id <= HEADER_FORWARDED
    if (!forwarded || id === HEADER_X_FORWARDED_OTHER || !has(seen, id)) at = copyBytes(out, at, lines, from, to)
    from = to
  }
  return at
}
