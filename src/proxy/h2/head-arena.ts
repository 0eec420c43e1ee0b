// Hot path: the head of every request that comes by HTTP/2 lies here until the end of the turn.
import { copyBytes } from '../../http/bytes.js'
import type { HeadLines } from '../../http/h2/head-lines.js'
import { HEADER_STRIDE } from '../../http/head-layout.js'

const FIRST_BYTES = 64 * 1024
/** What is kept beyond a turn that needed more. */
const KEPT_BYTES = 256 * 1024

const FIRST_WORDS = 16 * 1024

/** The heads of requests that wait for the end of the turn, one behind the other; one for all streams of a thread. */
export class HeadArena {
  bytes: Uint8Array = new Uint8Array(FIRST_BYTES)
  /** Where the lines of heads lie in them. */
  lines = new Int32Array(FIRST_WORDS)
  #linesEnd = 0
  #end = 0
  #heads = 0

  /** Keeps the first `length` bytes of `head`; answers where. Each is to be given back. */
  keep(head: Uint8Array, length: number): number {
    const at = this.#end
    if (at + length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(this.bytes.length * 2, at + length))
      larger.set(this.bytes.subarray(0, at))
      this.bytes = larger
    }
    this.#end = copyBytes(this.bytes, at, head, 0, length)
    this.#heads++
    return at
  }

  /** Keeps the words of a head's lines beside it; answers where. */
  keepLines({ words, count }: HeadLines): number {
    const at = this.#linesEnd
    const length = count * HEADER_STRIDE
    if (at + length > this.lines.length) {
      const larger = new Int32Array(Math.max(this.lines.length * 2, at + length))
      larger.set(this.lines.subarray(0, at))
      this.lines = larger
    }
    const { lines } = this
    for (let i = 0; i < length; i++) lines[at + i] = words[i]!
    this.#linesEnd = at + length
    return at
  }

  giveBack(): void {
    if (--this.#heads > 0) return
    this.#end = 0
    this.#linesEnd = 0
    if (this.lines.length > FIRST_WORDS) this.lines = new Int32Array(FIRST_WORDS)
    if (this.bytes.length > KEPT_BYTES) this.bytes = new Uint8Array(FIRST_BYTES)
  }
}
