// Hot path: every body that came by HTTP/2 is framed for HTTP/1.1 here.
import { copyBytes } from '../bytes.js'
import { CHUNK_HEADER_MAX, CHUNK_TERMINATOR, writeChunkHeader } from '../chunked-writer.js'

const CHUNK_OVERHEAD = CHUNK_HEADER_MAX + CHUNK_TERMINATOR.length
/** One for the thread: its content is gone after the call that made it. */
const framed = new Uint8Array(64 * 1024)

/** The most DATA that one call to `frame` takes. */
export const MOST_FRAMED_BYTES = framed.length - CHUNK_OVERHEAD

/** Counts a stream's DATA against the length that its head promised (RFC 9113 8.1.1), and makes chunks where it did not. */
export class DataToBody {
  chunked = false
  /** Where the result of `frame` lies. */
  bytes: Uint8Array = framed
  start = 0
  end = 0
  #remaining = -1

  /** `length` −1 = whatever comes. */
  begin(length: number, chunked: boolean): void {
    this.#remaining = length
    this.chunked = chunked
  }

  /** False: more came than was promised. */
  count(length: number): boolean {
    if (this.#remaining < 0) return true
    this.#remaining -= length
    return this.#remaining >= 0
  }

  /** All that was promised has come. */
  get whole(): boolean {
    return this.#remaining <= 0
  }

  /** Makes the HTTP/1.1 form of DATA [from, to): the bytes themselves, or a chunk. */
  frame(buffer: Uint8Array, from: number, to: number): void {
    if (!this.chunked) {
      this.bytes = buffer
      this.start = from
      this.end = to
      return
    }
    let at = writeChunkHeader(framed, 0, to - from)
    at = copyBytes(framed, at, buffer, from, to)
    framed.set(CHUNK_TERMINATOR, at)
    this.bytes = framed
    this.start = 0
    this.end = at + CHUNK_TERMINATOR.length
  }
}
