const FIRST_BYTES = 2 * 1024
/** From here on memory that is there in case of more would be too much of it. */
const GROWS_SLOWLY_FROM = 8 * 1024

/**
 * The memory that a thread let go of last. Of many requests in one packet all but the first are kept, read and kept again
 * without the next: what is left of them stays where it lies.
 */
let released: Buffer | undefined

/** Memory of the first size that nobody uses: what is kept of a request for the rest of a turn seldom needs more. */
const spare: Buffer[] = []
const MOST_SPARE = 256

/** What was thrown away last has been read: where nobody has taken it over, it is used again. */
export function giveBackReleased(buffer: Buffer): void {
  if (released !== buffer || buffer.length !== FIRST_BYTES || spare.length >= MOST_SPARE) return
  released = undefined
  spare.push(buffer)
}

/** Bytes that came before they could be dealt with, in memory that exists only while there are some. */
export class KeptBytes {
  #buffer: Buffer | undefined
  length = 0

  get empty(): boolean {
    return this.#buffer === undefined
  }

  /** Throws away what is kept. */
  clear(): void {
    if (this.#buffer !== undefined) released = this.#buffer
    this.#buffer = undefined
    this.length = 0
  }

  /** The memory itself; what is kept is its first `length` bytes. Only where not empty. */
  get buffer(): Buffer {
    return this.#buffer!
  }

  append(source: Uint8Array, start: number, end: number): void {
    if (this.#buffer === undefined && source === released) {
      released.copyWithin(0, start, end)
      this.#buffer = released
      this.length = end - start
      released = undefined
      return
    }
    const length = this.length + end - start
    if (this.#buffer === undefined || length > this.#buffer.length) {
      const room = length < GROWS_SLOWLY_FROM ? length * 2 : length + (length >> 2)
      const small = room <= FIRST_BYTES ? spare.pop() : undefined
      const grown = small ?? Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, room))
      if (this.#buffer !== undefined) grown.set(this.#buffer.subarray(0, this.length))
      this.#buffer = grown
    }
    this.#buffer.set(source.subarray(start, end), this.length)
    this.length = length
  }

  /** Keeps [start, end) of `source`, which may be the memory itself, in place of what was kept. */
  replace(source: Uint8Array, start: number, end: number): void {
    const rest = Buffer.from(source.subarray(start, end))
    this.#buffer = rest
    this.length = rest.length
  }
}
