// Hot path: the head of every response that comes by HTTP/2, made into the one that HTTP/1.1 would have had.
import { STATUS_CODES } from 'node:http'
import { equalsIgnoringCase, latin1 } from '../bytes.js'
import { CLASS, COLON, IN_DIGITS, ZERO } from '../characters.js'
import { readContentLength } from '../framing-fields.js'
import { HEADER_CONTENT_LENGTH, HEADER_TE, headerId } from '../header-names.js'
import { FIELD_WORDS, type FieldList } from './field-list.js'
import { idOf, isConnectionField, isFieldName, isFieldValue } from './field-rules.js'
import { HeadBuffer } from './head-buffer.js'
import { HeadLines } from './head-lines.js'
import { webSocketAccept } from './websocket-key.js'

const STATUS = latin1(':status')
const CONTENT_LENGTH = latin1('content-length: ')
const SWITCHING = latin1('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n')
const ACCEPT = latin1('sec-websocket-accept: ')
const GRPC = latin1('application/grpc')
const ID_CONTENT_TYPE = idOf('content-type')

const statusLines: (Uint8Array | undefined)[] = []
const statusLine = (status: number): Uint8Array =>
  (statusLines[status] ??= latin1(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`))

/**
 * Checks the fields of a response by RFC 9113 8.1 to 8.3 and writes the HTTP/1.1 head that says the same. One object
 * serves all responses of a thread: what it says is valid until the next `write`.
 */
export class ResponseToHttp1 {
  readonly head = new HeadBuffer()
  /** Where the lines lie in it: all of them, except of an answered WebSocket handshake. */
  readonly lines = new HeadLines()
  /** What is wrong, with the section of RFC 9113. */
  detail = ''
  status = 0
  /** Bytes of the body that are to come; −1 where its end tells. 0 where there can be none. */
  bodyLength = -1
  /** The head says nothing of where the body ends: the end of the stream does, perhaps with trailers. */
  untilEnd = false
  #contentLength = -1
  #grpc = false

  /**
   * `noBody`: it answers HEAD. `key`: of the WebSocket handshake that went out as an extended CONNECT, else empty. False
   * when it is malformed.
   */
  write(fields: FieldList, endStream: boolean, noBody: boolean, key: string): boolean {
    const { bytes, offsets, count } = fields
    this.head.clear()
    this.lines.clear()
    this.detail = ''
    this.bodyLength = -1
    this.untilEnd = false
    this.#contentLength = -1
    this.#grpc = false
    if (!this.#readStatus(fields)) return false
    const { status } = this
    if (status < 200 && endStream) return this.#fail('8.1: interim response that ends the stream')
    const switching = key !== '' && status >= 200 && status < 300
    this.head.put(switching ? SWITCHING : statusLine(status))
    for (let i = 1, at = FIELD_WORDS; i < count; i++, at += FIELD_WORDS) {
      if (!this.#field(bytes, offsets[at]!, offsets[at + 1]!, offsets[at + 2]!, offsets[at + 3]!)) return false
    }
    if (status < 200) this.head.endLine()
    else if (switching) this.#switch(key)
    else return this.#frame(endStream, noBody)
    return true
  }

  #readStatus({ bytes, offsets, count }: FieldList): boolean {
    const from = offsets[2]!
    if (count === 0 || !equalsIgnoringCase(bytes, offsets[0]!, offsets[1]!, STATUS))
      return this.#fail('8.3.2: no :status')
    if (offsets[3]! - from !== 3) return this.#fail('8.3.2: :status is no number')
    this.status = 0
    for (let at = from; at < from + 3; at++) {
      if ((CLASS[bytes[at]!]! & IN_DIGITS) === 0) return this.#fail('8.3.2: :status is no number')
      this.status = this.status * 10 + bytes[at]! - ZERO
    }
    if (this.status < 100 || this.status > 599) return this.#fail('8.3.2: :status out of range')
    return this.status !== 101 || this.#fail('8.6: 101 by HTTP/2')
  }

  #field(bytes: Uint8Array, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    if (!isFieldName(bytes, nameStart, nameEnd)) {
      const pseudo = nameStart < nameEnd && bytes[nameStart] === COLON
      return this.#fail(pseudo ? '8.3.2: another pseudo-header field' : '8.2.1: invalid field name')
    }
    if (!isFieldValue(bytes, valueStart, valueEnd)) return this.#fail('8.2.1: invalid field value')
    const id = headerId(bytes, nameStart, nameEnd)
    if (isConnectionField(id) || id === HEADER_TE) return this.#fail('8.2.2: connection-specific field')
    if (id === HEADER_CONTENT_LENGTH) {
      if (this.#contentLength !== -1) return this.#fail('8.1.1: repeated Content-Length')
      this.#contentLength = readContentLength(bytes, valueStart, valueEnd)
      return this.#contentLength !== -1 || this.#fail('8.1.1: invalid Content-Length')
    }
    if (id === ID_CONTENT_TYPE && valueEnd - valueStart >= GRPC.length)
      this.#grpc ||= equalsIgnoringCase(bytes, valueStart, valueStart + GRPC.length, GRPC)
    const from = this.head.length
    this.head.putLine(bytes, nameStart, nameEnd, valueStart, valueEnd)
    this.lines.push(this.head, from, nameEnd - nameStart, id)
    return true
  }

  #switch(key: string): void {
    this.lines.clear()
    this.head.put(ACCEPT)
    this.head.put(latin1(webSocketAccept(key)))
    this.head.endLine()
    this.head.endLine()
  }

  /** What HTTP/1.1 says of where the body ends (RFC 9112 6.3): a length, or nothing where the end of the stream tells. */
  #frame(endStream: boolean, noBody: boolean): boolean {
    const { head, status } = this
    const empty = noBody || status === 204 || status === 304
    const length = this.#contentLength
    if (empty) {
      this.bodyLength = 0
      // RFC 9110 8.6: none in a 204.
      if (length >= 0 && status !== 204) this.#putLength(length)
    } else if (endStream) {
      if (length > 0) return this.#fail('8.1.1: Content-Length without content')
      this.bodyLength = 0
      this.#putLength(0)
    } else if (length >= 0 && !this.#grpc) {
      this.bodyLength = length
      this.#putLength(length)
    } else {
      // What gRPC has to say comes in trailers, for which HTTP/1.1 has no place behind a length.
      this.bodyLength = length
      this.untilEnd = true
    }
    head.endLine()
    return true
  }

  #putLength(length: number): void {
    const from = this.head.length
    this.head.put(CONTENT_LENGTH)
    this.head.putDecimal(length)
    this.head.endLine()
    this.lines.push(this.head, from, 'content-length'.length, HEADER_CONTENT_LENGTH)
  }

  #fail(detail: string): false {
    this.detail = detail
    return false
  }
}
