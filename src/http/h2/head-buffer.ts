// Hot path: every HTTP/1.1 head that is made of HTTP/2 fields is put together here.
import { copyBytes, writeDecimal } from '../bytes.js'
import { COLON, CR, LF, SP } from '../characters.js'

const FIRST_BYTES = 4 * 1024
const MAX_DECIMAL = 16

/** A buffer that grows to the largest head it has held, and is used again and again. */
export class HeadBuffer {
  bytes: Uint8Array = new Uint8Array(FIRST_BYTES)
  length = 0

  clear(): void {
    this.length = 0
  }

  put(constant: Uint8Array): void {
    this.putBytes(constant, 0, constant.length)
  }

  putBytes(source: Uint8Array, from: number, to: number): void {
    this.#reserve(to - from)
    this.length = copyBytes(this.bytes, this.length, source, from, to)
  }

  putDecimal(value: number): void {
    this.#reserve(MAX_DECIMAL)
    this.length = writeDecimal(this.bytes, this.length, value)
  }

  /** `name: value` and CRLF. */
  putLine(source: Uint8Array, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    this.#reserve(nameEnd - nameStart + valueEnd - valueStart + 4)
    const { bytes } = this
    let at = copyBytes(bytes, this.length, source, nameStart, nameEnd)
    bytes[at++] = COLON
    bytes[at++] = SP
    at = copyBytes(bytes, at, source, valueStart, valueEnd)
    bytes[at++] = CR
    bytes[at++] = LF
    this.length = at
  }

  endLine(): void {
    this.#reserve(2)
    this.bytes[this.length++] = CR
    this.bytes[this.length++] = LF
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + bytes))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }
}
