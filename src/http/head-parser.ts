// Hot path: the part of a head that requests and responses share. One pass over the bytes, nothing allocated per head.
import type { ReasonCode } from '../core/reasons.js'
import { viewOf } from './bytes.js'
import { byteFault, COLON, CR, DELETE, FOLD, HTAB, LF, SP } from './characters.js'
import {
  CONNECTION_ELEMENT,
  CONNECTION_NAMES_FIELDS,
  MAX_CONNECTION_ELEMENTS,
  markNamedFields,
  readConnection,
} from './connection-field.js'
import { CODING_CHUNKED, CODING_UNKNOWN, readContentLength, readTransferEncoding } from './framing-fields.js'
import {
  HEADER_ID,
  HEADER_STRIDE,
  type HeadLimits,
  NAME_END,
  NAME_START,
  PARSE_COMPLETE,
  PARSE_INCOMPLETE,
  PARSE_REFUSED,
  type ParseOutcome,
  VALUE_END,
  VALUE_START,
} from './head-layout.js'
import { headerId } from './header-names.js'

/** States below this one are the start line's and belong to the subclass. */
export const STATE_FIELDS = 32
const FIELD_START = STATE_FIELDS
const FIELD_NAME = 33
const VALUE_SPACE = 34
const VALUE = 35
const VALUE_LF = 36
const END_LF = 37
const DONE = 38
const REFUSED = 39

const INITIAL_HEADERS = 24
const BLANK_LINE_BYTES = 2

/**
 * Field lines by RFC 9112 5 with nothing let through: CRLF only (unless `allowsBareLf`), no white space around the name,
 * no folding, names are tokens, values hold no control characters. The state between two calls is a position and a few numbers, so each byte
 * is looked at once and the outcome depends on the bytes alone, not on how they were cut.
 */
export abstract class HeadParser {
  readonly limits: HeadLimits
  /** As in `limits`; more where the head has fields that its peer did not send. */
  maxHeaders: number
  /** First byte after the blank line. */
  headLength = 0
  versionMinor: 0 | 1 = 1
  headerCount = 0
  headers: Int32Array = new Int32Array(INITIAL_HEADERS * HEADER_STRIDE)
  /** −1 without Content-Length. */
  contentLength = -1
  chunked = false
  keepAlive = false
  /** A field names a scheme that authenticates the connection: see `namesConnectionScheme`. */
  connectionAuth = false
  /** Headers marked HEADER_DROPPED because `Connection` names them. */
  connectionNames = 0
  /** 0 unless refused. */
  errorStatus = 0
  errorReason: ReasonCode = 'NONE'
  errorDetail = ''

  /** CONNECTION_* bits of every Connection header together. */
  protected connection = 0
  protected state = 0
  /** First byte not yet looked at, as an offset from the head's first. */
  protected position = 0
  /** Where counting for `maxHeaderBytes` begins: after the empty line that may come before a request. */
  protected origin = 0
  /** A line may end with LF alone. Never in requests. */
  protected allowsBareLf = false
  /** One did. */
  protected hasBareLf = false
  #connectionElements = 0
  /** Words of `headers` in use; the header being read begins here. */
  #entry = 0

  constructor(limits: HeadLimits) {
    this.limits = limits
    this.maxHeaders = limits.maxHeaders
  }

  /** Called after each complete field line, with the header's first word and id. May refuse. */
  protected abstract field(buffer: Uint8Array, start: number, entry: number, id: number): void

  /** Called after the blank line. May refuse. */
  protected abstract finish(buffer: Uint8Array, start: number): void

  /** Forgets everything; call before each head. */
  reset(): void {
    this.headLength = 0
    this.headerCount = 0
    this.contentLength = -1
    this.chunked = false
    this.keepAlive = false
    this.connectionAuth = false
    this.connectionNames = 0
    this.errorStatus = 0
    this.errorReason = 'NONE'
    this.errorDetail = ''
    this.connection = 0
    this.state = 0
    this.position = 0
    this.origin = 0
    this.#connectionElements = 0
    this.#entry = 0
  }

  /** Text of [from, to) of the head, one character a byte. Allocates: off the hot path. */
  text(buffer: Uint8Array, start: number, from: number, to: number): string {
    return Buffer.from(buffer.buffer, buffer.byteOffset + start + from, to - from).toString('latin1')
  }

  /** First word of the first header with that id, −1 when there is none. */
  find(id: number): number {
    const { headers } = this
    for (let entry = 0, end = this.headerCount * HEADER_STRIDE; entry < end; entry += HEADER_STRIDE) {
      if (headers[entry + HEADER_ID] === id) return entry
    }
    return -1
  }

  protected refuse(status: number, reason: ReasonCode, detail: string): typeof PARSE_REFUSED {
    this.state = REFUSED
    this.errorStatus = status
    this.errorReason = reason
    this.errorDetail = detail
    return PARSE_REFUSED
  }

  /** Whether a byte other than CR ends a line: LF, where that is allowed. */
  protected endsLine(byte: number): boolean {
    if (byte !== LF || !this.allowsBareLf) return false
    this.hasBareLf = true
    return true
  }

  /** What a malformed head is answered with. */
  protected abstract malformed(detail: string): typeof PARSE_REFUSED

  /** What a head beyond the limits is answered with. */
  protected abstract tooLarge(reason: 'HEADER_TOO_LARGE' | 'TOO_MANY_HEADERS', detail: string): typeof PARSE_REFUSED

  /** Where the head must have ended, or `end` when that comes first. */
  protected stop(start: number, end: number): number {
    return Math.min(end, start + this.origin + this.limits.maxHeaderBytes)
  }

  /** Keeps the state for the next bytes; refuses when the limit does not allow another one. */
  protected suspend(state: number, position: number): typeof PARSE_INCOMPLETE | typeof PARSE_REFUSED {
    this.state = state
    this.position = position
    if (position - this.origin < this.limits.maxHeaderBytes) return PARSE_INCOMPLETE
    return this.tooLarge('HEADER_TOO_LARGE', 'head too large')
  }

  protected fields(buffer: Uint8Array, start: number, end: number): ParseOutcome {
    let state = this.state
    if (state >= DONE) return state === DONE ? PARSE_COMPLETE : PARSE_REFUSED
    const stop = this.stop(start, end)
    let at = start + this.position
    let entry = this.#entry
    let headers = this.headers
    const fold = FOLD
    while (at < stop) {
      if (state === FIELD_START) {
        const byte = buffer[at]!
        if (byte === CR) {
          state = END_LF
          at++
          continue
        }
        if (fold[byte] === 0) {
          if (!this.endsLine(byte)) return this.malformed(fieldStartFault(byte))
          state = END_LF
          continue
        }
        if (this.headerCount === this.maxHeaders) return this.tooLarge('TOO_MANY_HEADERS', 'too many headers')
        if (entry === headers.length) headers = this.#grow()
        headers[entry + NAME_START] = at - start
        state = FIELD_NAME
      }
      if (state === FIELD_NAME) {
        while (at < stop && fold[buffer[at]!] !== 0) at++
        if (at === stop) break
        if (buffer[at] !== COLON) return this.malformed(fieldNameFault(buffer[at]!))
        headers[entry + NAME_END] = at - start
        at++
        state = VALUE_SPACE
      }
      if (state === VALUE_SPACE) {
        while (at < stop && (buffer[at] === SP || buffer[at] === HTAB)) at++
        if (at === stop) break
        headers[entry + VALUE_START] = at - start
        state = VALUE
      }
      if (state === VALUE) {
        at = skipVisible(buffer, at, stop)
        let byte = 0
        while (at < stop && (((byte = buffer[at]!) >= SP && byte !== DELETE) || byte === HTAB)) at++
        if (at === stop) break
        if (buffer[at] === CR) at++
        else if (!this.endsLine(buffer[at]!)) return this.malformed(byteFault(buffer[at]!))
        state = VALUE_LF
        if (at === stop) break
      }
      if (state === VALUE_LF) {
        if (buffer[at] !== LF) return this.malformed('bare CR')
        const valueStart = start + headers[entry + VALUE_START]!
        let valueEnd = buffer[at - 1] === CR ? at - 1 : at
        while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === HTAB)) valueEnd--
        headers[entry + VALUE_END] = valueEnd - start
        const id = headerId(buffer, start + headers[entry + NAME_START]!, start + headers[entry + NAME_END]!)
        headers[entry + HEADER_ID] = id
        this.headerCount++
        if (id !== 0) {
          this.field(buffer, start, entry, id)
          if (this.errorStatus !== 0) return PARSE_REFUSED
        }
        entry += HEADER_STRIDE
        at++
        state = FIELD_START
        continue
      }
      // END_LF: the last byte of the head.
      if (buffer[at] !== LF) return this.malformed('bare CR')
      this.#entry = entry
      return this.#end(buffer, start, at + 1 - start)
    }
    this.#entry = entry
    return this.suspend(state, at - start)
  }

  /**
   * The same for a head whose lines are known to be well formed and where they lie: `count` entries of `lines`, as in
   * `headers`, from `from` on. Limits and what fields mean are held as if they were read.
   */
  protected knownFields(
    buffer: Uint8Array,
    start: number,
    end: number,
    lines: Int32Array,
    from: number,
    count: number,
  ): ParseOutcome {
    const { maxHeaderBytes } = this.limits
    const length = end - start
    let { headers } = this
    for (let entry = 0, last = count * HEADER_STRIDE; entry < last; entry += HEADER_STRIDE) {
      const at = from + entry
      const next = entry + HEADER_STRIDE < last ? lines[at + HEADER_STRIDE]! : length - BLANK_LINE_BYTES
      if (lines[at]! < maxHeaderBytes && this.headerCount === this.maxHeaders)
        return this.tooLarge('TOO_MANY_HEADERS', 'too many headers')
      if (next > maxHeaderBytes) return this.tooLarge('HEADER_TOO_LARGE', 'head too large')
      if (entry === headers.length) headers = this.#grow()
      for (let word = 0; word < HEADER_STRIDE; word++) headers[entry + word] = lines[at + word]!
      this.headerCount++
      const id = headers[entry + HEADER_ID]!
      if (id === 0) continue
      this.field(buffer, start, entry, id)
      if (this.errorStatus !== 0) return PARSE_REFUSED
    }
    if (length > maxHeaderBytes) return this.tooLarge('HEADER_TOO_LARGE', 'head too large')
    return this.#end(buffer, start, length)
  }

  #end(buffer: Uint8Array, start: number, length: number): ParseOutcome {
    this.headLength = this.position = length
    this.finish(buffer, start)
    if (this.errorStatus !== 0) return PARSE_REFUSED
    if ((this.connection & CONNECTION_NAMES_FIELDS) !== 0) {
      this.connectionNames = markNamedFields(this.headers, this.headerCount, buffer, start)
    }
    this.state = DONE
    return PARSE_COMPLETE
  }

  /** Content-Length: once, digits only (RFC 9112 6.3). */
  protected takeContentLength(buffer: Uint8Array, from: number, to: number): void {
    if (this.contentLength !== -1) {
      this.malformed('repeated Content-Length')
      return
    }
    const length = readContentLength(buffer, from, to)
    if (length === -1) this.malformed('invalid Content-Length')
    else this.contentLength = length
  }

  /**
   * Transfer-Encoding: `chunked`, once (RFC 9112 6.1). Returns false when a coding is merely unknown.
   */
  protected takeTransferEncoding(buffer: Uint8Array, from: number, to: number): boolean {
    if (this.chunked) {
      this.malformed('repeated Transfer-Encoding')
      return true
    }
    const coding = readTransferEncoding(buffer, from, to)
    if (coding === CODING_UNKNOWN) return false
    if (coding === CODING_CHUNKED) this.chunked = true
    else this.malformed('invalid Transfer-Encoding')
    return true
  }

  protected takeConnection(buffer: Uint8Array, from: number, to: number): void {
    const options = readConnection(buffer, from, to)
    if (options === -1) {
      this.malformed('invalid Connection')
      return
    }
    this.connection |= options & (CONNECTION_ELEMENT - 1)
    this.#connectionElements += Math.trunc(options / CONNECTION_ELEMENT)
    if (this.#connectionElements > MAX_CONNECTION_ELEMENTS)
      this.tooLarge('HEADER_TOO_LARGE', 'Connection names too much')
  }

  #grow(): Int32Array {
    const wider = new Int32Array(this.headers.length * 2)
    wider.set(this.headers)
    this.headers = wider
    return wider
  }
}

const LOWEST_BITS = 0x01010101
const HIGHEST_BITS = 0x80808080
const SPACES = 0x20202020
const DELETES = 0x7f7f7f7f

/** The first byte from `at` on, or up to three before it, that is no SP, visible or obs-text: four at a time. */
function skipVisible(buffer: Uint8Array, at: number, stop: number): number {
  const view = viewOf(buffer)
  for (const last = stop - 4; at <= last; at += 4) {
    const word = view.getInt32(at, true)
    const deletes = word ^ DELETES
    // A byte below 32 leaves its highest bit in the first part, one that is DEL in the second.
    if ((((word - SPACES) & ~word) | ((deletes - LOWEST_BITS) & ~deletes)) & HIGHEST_BITS) break
  }
  return at
}

function fieldStartFault(byte: number): string {
  if (byte === SP || byte === HTAB) return 'white space at the start of a field line'
  if (byte === COLON) return 'empty field name'
  return byteFault(byte)
}

function fieldNameFault(byte: number): string {
  if (byte === SP || byte === HTAB) return 'white space in or after a field name'
  if (byte === CR || byte === LF) return 'field line without a colon'
  return byteFault(byte)
}
