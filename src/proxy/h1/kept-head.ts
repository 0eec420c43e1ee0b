// Hot path: the head of every request is kept here until its answer begins.

const FIRST_HEAD_BYTES = 1024
const WORD_BYTES = Int32Array.BYTES_PER_ELEMENT
/** Heads up to this length are copied word by word, which is done before a view for the engine's own copy is made. */
const COPY_WORDS = 256 / WORD_BYTES

/** A request's head as it goes to the target; it may have to go to another. */
export class KeptHead {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_HEAD_BYTES)
  length = 0
  #words = wordsOf(this.bytes)
  readonly #scratch: Uint8Array
  readonly #scratchWords: Int32Array

  /** `scratch` is where heads are written. */
  constructor(scratch: Uint8Array) {
    this.#scratch = scratch
    this.#scratchWords = wordsOf(scratch)
  }

  /** Keeps the head that was written into scratch, up to `end`. */
  keep(end: number): void {
    this.#reserve(end)
    const words = Math.ceil(end / WORD_BYTES)
    if (words > COPY_WORDS) {
      this.bytes.set(this.#scratch.subarray(0, end))
      return
    }
    for (let i = 0; i < words; i++) this.#words[i] = this.#scratchWords[i]!
  }

  /** A request that was turned away unread goes out as it was: its head, and what followed of its body. */
  keepAll(held: Uint8Array): void {
    this.#reserve(held.length)
    this.bytes.set(held)
  }

  /** Body bytes that went out behind the head: they would have to go again with it. */
  append(buffer: Uint8Array, start: number, end: number): void {
    const { bytes, length } = this
    this.#reserve(length + end - start)
    if (this.bytes !== bytes) this.bytes.set(bytes.subarray(0, length))
    this.bytes.set(buffer.subarray(start, end), length)
  }

  #reserve(length: number): void {
    if (length > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(length * 2)
      this.#words = wordsOf(this.bytes)
    }
    this.length = length
  }
}

function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
}
