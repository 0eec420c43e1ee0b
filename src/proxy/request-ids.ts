// Hot path: one id a request, written as bytes, with no allocation.
import { randomBytes } from 'node:crypto'

const HEX = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))
export const REQUEST_ID_BYTES = 32

/** Ids that one set of random bits serves for. */
const MAX_COUNT = 2 ** 40

/**
 * 128-bit ids in hex: 88 random bits of the thread and a count of 40, so that no two are the same and none is guessed. The
 * random bits are drawn anew when the count is used up.
 */
export class RequestIds {
  /** The id made last; overwritten by the next. */
  readonly bytes = Buffer.alloc(REQUEST_ID_BYTES)
  readonly #random: (size: number) => Buffer
  #count: number

  /** `count`: ids made before. */
  constructor(random: (size: number) => Buffer = randomBytes, count = 0) {
    this.#random = random
    this.#count = count
    this.#draw()
  }

  next(): Uint8Array {
    this.#count++
    if (this.#count === MAX_COUNT) {
      this.#count = 0
      this.#draw()
    }
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

  #draw(): void {
    this.bytes.set(Buffer.from(this.#random(REQUEST_ID_BYTES / 2).toString('hex')))
  }
}
