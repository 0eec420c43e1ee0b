// Hot path: one id a request, written as bytes, with no allocation.
import { randomBytes } from 'node:crypto'

const HEX = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))
export const REQUEST_ID_BYTES = 32

/** 128-bit ids in hex: 88 random bits of the thread and a count of 40, so that no two are the same and none is guessed. */
export class RequestIds {
  /** The id made last; overwritten by the next. */
  readonly bytes = Buffer.alloc(REQUEST_ID_BYTES)
  #count = 0

  constructor(random: (size: number) => Buffer = randomBytes) {
    this.bytes.set(Buffer.from(random(REQUEST_ID_BYTES / 2).toString('hex')))
  }

  next(): Uint8Array {
    this.#count++
    let low = this.#count >>> 0
    for (let i = REQUEST_ID_BYTES - 1; i >= REQUEST_ID_BYTES - 8; i--) {
      this.bytes[i] = HEX[low & 15]!
      low >>>= 4
    }
    const high = Math.floor(this.#count / 2 ** 32) & 0xff
    this.bytes[REQUEST_ID_BYTES - 9] = HEX[high & 15]!
    this.bytes[REQUEST_ID_BYTES - 10] = HEX[high >>> 4]!
    return this.bytes
  }
}
