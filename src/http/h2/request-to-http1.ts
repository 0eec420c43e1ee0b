// Hot path: the head of every request that comes by HTTP/2, made into the one that HTTP/1.1 would have had.
import { equalsIgnoringCase, latin1 } from '../bytes.js'
import { ASTERISK, CLASS, COLON, IN_TOKEN, LOWER, SLASH } from '../characters.js'
import { readContentLength } from '../framing-fields.js'
import { isGrpcType } from '../grpc.js'
import {
  HEADER_CONNECTION,
  HEADER_CONTENT_LENGTH,
  HEADER_COOKIE,
  HEADER_HOST,
  HEADER_TE,
  HEADER_TRANSFER_ENCODING,
  headerId,
} from '../header-names.js'
import { METHOD_CONNECT, METHOD_GET, METHOD_OTHER, methodId } from '../methods.js'
import { FIELD_WORDS, type FieldList } from './field-list.js'
import { idOf, isConnectionField, isFieldName, isFieldValue } from './field-rules.js'
import { HeadBuffer } from './head-buffer.js'
import { HeadLines } from './head-lines.js'
import { newWebSocketKey } from './websocket-key.js'

/** What became of a request's fields. */
export const REQUEST_READY = 0
/** Not a request at all (RFC 9113 8.1.1); `detail` says why. */
export const REQUEST_MALFORMED = 1
/** An extended CONNECT to a protocol other than WebSocket: 501 (RFC 8441, RFC 9220 3). */
export const REQUEST_UNKNOWN_PROTOCOL = 2
export type RequestOutcome = typeof REQUEST_READY | typeof REQUEST_MALFORMED | typeof REQUEST_UNKNOWN_PROTOCOL

const METHOD = 0
const SCHEME = 1
const AUTHORITY = 2
const PATH = 3
const PROTOCOL = 4
const PSEUDO_NAMES = [':method', ':scheme', ':authority', ':path', ':protocol'].map(latin1)

const GET = latin1('GET ')
const SPACE = latin1(' ')
const VERSION = latin1(' HTTP/1.1\r\n')
const HOST = latin1('host: ')
const COOKIE = latin1('cookie: ')
const CRUMB = latin1('; ')
/** Each stream carries one request: the connection that it stands for ends with the answer. */
const CLOSE = latin1('connection: close\r\n')
const CONTENT_LENGTH = latin1('content-length: ')
const CHUNKED = latin1('transfer-encoding: chunked\r\n')
const TE_TRAILERS = latin1('te: trailers\r\n')
const WEBSOCKET_LINES = latin1('connection: close, upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ')
const HTTP = latin1('http')
const HTTPS = latin1('https')
const TRAILERS = latin1('trailers')
const WEBSOCKET = latin1('websocket')

const ID_CONTENT_TYPE = idOf('content-type')
const ID_WEBSOCKET_KEY = idOf('sec-websocket-key')
const ID_WEBSOCKET_ACCEPT = idOf('sec-websocket-accept')

/**
 * Checks the fields of a request by RFC 9113 8.1 to 8.3 and writes the HTTP/1.1 head that says the same. What both
 * versions have in common (the characters of a path, of a host, limits) is left to whoever parses that head. One object
 * serves all requests of a thread: what it says is valid until the next `write`.
 */
export class RequestToHttp1 {
  readonly head = new HeadBuffer()
  /** Where the lines lie in it: all of them, except of a WebSocket handshake. */
  readonly lines = new HeadLines()
  /** After REQUEST_MALFORMED: what is wrong, with the section of RFC 9113. */
  detail = ''
  /** METHOD_* of the request as HTTP/1.1 has it. */
  method: number = METHOD_OTHER
  /** −1 without. */
  contentLength = -1
  /** The body that follows is to be chunked. */
  chunked = false
  /** An extended CONNECT: the key of the handshake that was written in its place, else empty. */
  webSocketKey = ''
  /** Fields of the head that were none by HTTP/2: Host for :authority, and what concerns an HTTP/1.1 connection. */
  addedHeaders = 0
  /** A gRPC call, by its Content-Type. */
  grpc = false
  readonly #pseudo = new Int32Array(PSEUDO_NAMES.length * 2)
  #host = -1
  #cookies = 0

  write(fields: FieldList, endStream: boolean): RequestOutcome {
    this.head.clear()
    this.lines.clear()
    this.detail = ''
    this.contentLength = -1
    this.chunked = false
    this.webSocketKey = ''
    this.grpc = false
    this.#host = -1
    this.#cookies = 0
    this.#pseudo.fill(-1)
    const first = this.#readPseudo(fields)
    if (first < 0) return REQUEST_MALFORMED
    const outcome = this.#checkPseudo(fields.bytes)
    if (outcome !== REQUEST_READY) return outcome
    this.#writeLine(fields.bytes)
    for (let i = first; i < fields.count; i++) if (!this.#field(fields, i)) return REQUEST_MALFORMED
    if (this.#pseudo[AUTHORITY * 2] !== -1 && this.#host >= 0 && !this.#sameHost(fields)) {
      return this.#malformed('8.3.1: :authority and Host differ')
    }
    if (this.#cookies > 0) this.#writeCookies(fields, first)
    return this.#writeFraming(endStream)
  }

  /** Reads the pseudo-header fields and returns the number of the first field behind them, −1 when malformed. */
  #readPseudo(fields: FieldList): number {
    const { bytes, offsets, count } = fields
    for (let i = 0; i < count; i++) {
      const at = i * FIELD_WORDS
      const from = offsets[at]!
      const to = offsets[at + 1]!
      if (from === to || bytes[from] !== COLON) return i
      const which = pseudoIndex(bytes, from, to)
      if (which < 0 || this.#pseudo[which * 2] !== -1) {
        this.detail = which < 0 ? '8.3: unknown pseudo-header field' : '8.3: repeated pseudo-header field'
        return -1
      }
      this.#pseudo[which * 2] = offsets[at + 2]!
      this.#pseudo[which * 2 + 1] = offsets[at + 3]!
    }
    return count
  }

  #checkPseudo(bytes: Uint8Array): RequestOutcome {
    const pseudo = this.#pseudo
    const from = pseudo[METHOD * 2]!
    const to = pseudo[METHOD * 2 + 1]!
    if (from === -1) return this.#malformed('8.3.1: no :method')
    if (from === to) return this.#malformed('8.3.1: empty :method')
    for (let at = from; at < to; at++)
      if ((CLASS[bytes[at]!]! & IN_TOKEN) === 0) return this.#malformed('8.3.1: :method is no token')
    this.method = methodId(bytes, from, to)
    if (!this.#isVisible(bytes, AUTHORITY)) return this.#malformed('8.3.1: invalid :authority')
    const extended = pseudo[PROTOCOL * 2] !== -1
    if (this.method === METHOD_CONNECT && !extended) {
      if (pseudo[SCHEME * 2] !== -1 || pseudo[PATH * 2] !== -1)
        return this.#malformed('8.5: CONNECT with :scheme or :path')
      if (pseudo[AUTHORITY * 2] === -1 || pseudo[AUTHORITY * 2] === pseudo[AUTHORITY * 2 + 1])
        return this.#malformed('8.5: CONNECT without :authority')
      return REQUEST_READY
    }
    if (!this.#isScheme(bytes)) return this.#malformed('8.3.1: :scheme is missing, or neither http nor https')
    if (!this.#isPath(bytes)) return this.#malformed('8.3.1: :path is missing, empty or no path')
    if (!extended) return REQUEST_READY
    if (this.method !== METHOD_CONNECT) return this.#malformed('RFC 8441 4: :protocol without CONNECT')
    if (pseudo[AUTHORITY * 2] === -1) return this.#malformed('RFC 8441 4: extended CONNECT without :authority')
    if (!equalsIgnoringCase(bytes, pseudo[PROTOCOL * 2]!, pseudo[PROTOCOL * 2 + 1]!, WEBSOCKET))
      return REQUEST_UNKNOWN_PROTOCOL
    this.method = METHOD_GET
    this.webSocketKey = newWebSocketKey()
    return REQUEST_READY
  }

  /** A target or authority with a space or a control character in it would be two words in HTTP/1.1. */
  #isVisible(bytes: Uint8Array, which: number): boolean {
    for (let at = this.#pseudo[which * 2]!, to = this.#pseudo[which * 2 + 1]!; at < to; at++)
      if (bytes[at]! <= 0x20 || bytes[at] === 0x7f) return false
    return true
  }

  #isScheme(bytes: Uint8Array): boolean {
    const from = this.#pseudo[SCHEME * 2]!
    const to = this.#pseudo[SCHEME * 2 + 1]!
    return from !== -1 && (equalsIgnoringCase(bytes, from, to, HTTP) || equalsIgnoringCase(bytes, from, to, HTTPS))
  }

  #isPath(bytes: Uint8Array): boolean {
    const from = this.#pseudo[PATH * 2]!
    const length = this.#pseudo[PATH * 2 + 1]! - from
    if (from === -1 || length === 0) return false
    return (bytes[from] === SLASH || (bytes[from] === ASTERISK && length === 1)) && this.#isVisible(bytes, PATH)
  }

  #writeLine(bytes: Uint8Array): void {
    const { head } = this
    const pseudo = this.#pseudo
    const connect = this.method === METHOD_CONNECT
    if (this.webSocketKey !== '') {
      head.put(GET)
    } else {
      head.putBytes(bytes, pseudo[METHOD * 2]!, pseudo[METHOD * 2 + 1]!)
      head.put(SPACE)
    }
    const target = connect ? AUTHORITY : PATH
    head.putBytes(bytes, pseudo[target * 2]!, pseudo[target * 2 + 1]!)
    head.put(VERSION)
    if (pseudo[AUTHORITY * 2] === -1) return
    const from = head.length
    head.put(HOST)
    head.putBytes(bytes, pseudo[AUTHORITY * 2]!, pseudo[AUTHORITY * 2 + 1]!)
    head.endLine()
    this.lines.push(head, from, 'host'.length, HEADER_HOST)
  }

  /** Checks one field and writes it, unless it is written elsewhere. False when it is malformed. */
  #field({ bytes, offsets }: FieldList, index: number): boolean {
    const at = index * FIELD_WORDS
    const nameStart = offsets[at]!
    const nameEnd = offsets[at + 1]!
    const valueStart = offsets[at + 2]!
    const valueEnd = offsets[at + 3]!
    if (!isFieldName(bytes, nameStart, nameEnd)) {
      const pseudo = nameStart < nameEnd && bytes[nameStart] === COLON
      return this.#fail(pseudo ? '8.3: pseudo-header field behind others' : '8.2.1: invalid field name')
    }
    if (!isFieldValue(bytes, valueStart, valueEnd)) return this.#fail('8.2.1: invalid field value')
    const id = headerId(bytes, nameStart, nameEnd)
    if (isConnectionField(id)) return this.#fail('8.2.2: connection-specific field')
    switch (id) {
      case HEADER_TE:
        if (!equalsIgnoringCase(bytes, valueStart, valueEnd, TRAILERS)) return this.#fail('8.2.2: TE not trailers')
        this.#constant(TE_TRAILERS, 'te'.length, HEADER_TE)
        return true
      case HEADER_HOST:
        if (this.#host >= 0) return this.#fail('8.3.1: repeated Host')
        this.#host = index
        if (this.#pseudo[AUTHORITY * 2] !== -1) return true
        break
      case HEADER_COOKIE:
        this.#cookies++
        return true
      case HEADER_CONTENT_LENGTH:
        return this.#takeLength(bytes, valueStart, valueEnd)
      case ID_WEBSOCKET_KEY:
      case ID_WEBSOCKET_ACCEPT:
        // RFC 8441 5: not used in HTTP/2; ours takes its place.
        if (this.webSocketKey !== '') return true
        break
      case ID_CONTENT_TYPE:
        this.grpc ||= isGrpcType(bytes, valueStart, valueEnd)
        break
    }
    const from = this.head.length
    this.head.putLine(bytes, nameStart, nameEnd, valueStart, valueEnd)
    this.lines.push(this.head, from, nameEnd - nameStart, id)
    return true
  }

  #constant(line: Uint8Array, nameLength: number, id: number): void {
    const from = this.head.length
    this.head.put(line)
    this.lines.push(this.head, from, nameLength, id)
  }

  #takeLength(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.contentLength !== -1) return this.#fail('8.1.1: repeated Content-Length')
    this.contentLength = readContentLength(bytes, from, to)
    return this.contentLength !== -1 || this.#fail('8.1.1: invalid Content-Length')
  }

  #sameHost({ bytes, offsets }: FieldList): boolean {
    const a = this.#pseudo[AUTHORITY * 2]!
    const length = this.#pseudo[AUTHORITY * 2 + 1]! - a
    const b = offsets[this.#host * FIELD_WORDS + 2]!
    if (offsets[this.#host * FIELD_WORDS + 3]! - b !== length) return false
    for (let i = 0; i < length; i++) if (LOWER[bytes[a + i]!] !== LOWER[bytes[b + i]!]) return false
    return true
  }

  /** RFC 9113 8.2.3: the crumbs are one field in HTTP/1.1. */
  #writeCookies({ bytes, offsets, count }: FieldList, first: number): void {
    const { head } = this
    const from = head.length
    head.put(COOKIE)
    let crumbs = 0
    for (let i = first; i < count; i++) {
      const at = i * FIELD_WORDS
      if (headerId(bytes, offsets[at]!, offsets[at + 1]!) !== HEADER_COOKIE) continue
      if (crumbs++ > 0) head.put(CRUMB)
      head.putBytes(bytes, offsets[at + 2]!, offsets[at + 3]!)
    }
    head.endLine()
    this.lines.push(head, from, 'cookie'.length, HEADER_COOKIE)
  }

  #writeFraming(endStream: boolean): RequestOutcome {
    const { head } = this
    this.addedHeaders = this.#pseudo[AUTHORITY * 2] === -1 ? 1 : 2
    if (this.webSocketKey !== '') {
      this.addedHeaders += 2
      this.contentLength = -1
      head.put(WEBSOCKET_LINES)
      head.put(latin1(this.webSocketKey))
      head.endLine()
      head.endLine()
      this.lines.clear()
      return REQUEST_READY
    }
    if (endStream && this.contentLength > 0) return this.#malformed('8.1.1: Content-Length without content')
    this.#constant(CLOSE, 'connection'.length, HEADER_CONNECTION)
    if (this.contentLength >= 0) {
      const from = head.length
      head.put(CONTENT_LENGTH)
      head.putDecimal(this.contentLength)
      head.endLine()
      this.lines.push(head, from, 'content-length'.length, HEADER_CONTENT_LENGTH)
    } else if (!endStream) {
      this.chunked = true
      this.addedHeaders++
      this.#constant(CHUNKED, 'transfer-encoding'.length, HEADER_TRANSFER_ENCODING)
    }
    head.endLine()
    return REQUEST_READY
  }

  #malformed(detail: string): typeof REQUEST_MALFORMED {
    this.detail = detail
    return REQUEST_MALFORMED
  }

  #fail(detail: string): false {
    this.detail = detail
    return false
  }
}

/** Whether fields that make no request for their size alone are those of a gRPC call. */
export function isGrpcCall({ bytes, offsets, count }: FieldList): boolean {
  for (let i = 0, at = 0; i < count; i++, at += FIELD_WORDS) {
    if (headerId(bytes, offsets[at]!, offsets[at + 1]!) !== ID_CONTENT_TYPE) continue
    if (isGrpcType(bytes, offsets[at + 2]!, offsets[at + 3]!)) return true
  }
  return false
}

function pseudoIndex(bytes: Uint8Array, from: number, to: number): number {
  for (let which = 0; which < PSEUDO_NAMES.length; which++) {
    const name = PSEUDO_NAMES[which]!
    if (name.length !== to - from) continue
    let i = 1
    while (i < name.length && bytes[from + i] === name[i]) i++
    if (i === name.length) return which
  }
  return -1
}
