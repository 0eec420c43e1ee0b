// Hot path: every body that goes out by HTTP/2 passes here; copied only where several chunks make one frame.
import { copyBytes } from '../bytes.js'
import { CHUNK_DATA, CHUNK_END, CHUNK_ERROR, ChunkedDecoder, type ChunkedLimits } from '../chunked-decoder.js'
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, type Framing } from '../response-parser.js'
import type { H2Stream } from './engine.js'
import { FieldList } from './field-list.js'
import { linesToTrailers } from './trailer-lines.js'

const NOTHING = new Uint8Array(0)
/** What is put together of several chunks; of all threads' streams only one is at it at a time. */
const gathered = new Uint8Array(64 * 1024)
const trailers = new FieldList(1024, 16)

/** Takes an HTTP/1.1 body's framing off and sends what is in it, with its trailers, as a stream's DATA. */
export class BodyToData {
  done = true
  /** The framing is broken: nothing more may be sent. */
  malformed = false
  /** The last `pass` left bytes that no window has room for. */
  blocked = false
  readonly #limits: ChunkedLimits
  #decoder: ChunkedDecoder | undefined
  #framing: Framing = FRAMING_NONE
  #remaining = 0

  constructor(limits: ChunkedLimits) {
    this.#limits = limits
  }

  /** `length` counts where `framing` is FRAMING_LENGTH. */
  begin(framing: Framing, length: number): void {
    this.#framing = framing
    this.#remaining = length
    this.malformed = false
    this.blocked = false
    this.done = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && length === 0)
    if (framing !== FRAMING_CHUNKED) return
    this.#decoder ??= new ChunkedDecoder(this.#limits)
    this.#decoder.reset()
  }

  /** Sends what of [start, end) belongs to the body, and trailers `after` one of known length. Returns the first byte behind it. */
  pass(stream: H2Stream, buffer: Uint8Array, start: number, end: number, after?: Uint8Array): number {
    this.blocked = false
    if (this.done || this.malformed || start === end) return start
    if (this.#framing === FRAMING_CHUNKED) return this.#passChunks(stream, buffer, start, end)
    if (this.#framing !== FRAMING_LENGTH) {
      this.#send(stream, buffer, start, end, false)
      return end
    }
    const stop = Math.min(end, start + this.#remaining)
    this.#remaining -= stop - start
    this.done = this.#remaining === 0
    const trailed = this.done && after !== undefined
    this.#send(stream, buffer, start, stop, this.done && !trailed)
    if (trailed) this.#sendTrailers(stream, after, after.length)
    return stop
  }

  #passChunks(stream: H2Stream, buffer: Uint8Array, start: number, end: number): number {
    const decoder = this.#decoder!
    // One piece is sent from where it lies; from the second on they are put together.
    let from = 0
    let to = 0
    let at = 0
    for (let next = start; ; ) {
      const event = decoder.next(buffer, next, end)
      next = decoder.position
      if (event === CHUNK_DATA) {
        const { dataStart, dataEnd } = decoder
        if (to > from) {
          if (at + to - from > gathered.length) {
            this.#send(stream, gathered, 0, at, false)
            at = 0
          }
          if (to - from > gathered.length) this.#send(stream, buffer, from, to, false)
          else at = copyBytes(gathered, at, buffer, from, to)
        }
        from = dataStart
        to = dataEnd
        continue
      }
      if (event === CHUNK_ERROR) {
        this.malformed = true
        return next
      }
      const last = event === CHUNK_END
      this.done = last
      const bare = last && decoder.trailersLength === 0
      if (at > 0 && at + to - from <= gathered.length) {
        at = copyBytes(gathered, at, buffer, from, to)
        this.#send(stream, gathered, 0, at, bare)
      } else {
        if (at > 0) this.#send(stream, gathered, 0, at, false)
        if (to > from || bare) this.#send(stream, buffer, from, to, bare)
      }
      if (last && !bare) this.#sendTrailers(stream, decoder.trailers, decoder.trailersLength)
      return next
    }
  }

  #sendTrailers(stream: H2Stream, lines: Uint8Array, length: number): void {
    trailers.clear()
    linesToTrailers(lines, length, trailers)
    stream.sendFields(trailers, true)
  }

  #send(stream: H2Stream, buffer: Uint8Array, from: number, to: number, endStream: boolean): void {
    if (!stream.sendData(from === to ? NOTHING : buffer, from, to, endStream)) this.blocked = true
  }
}
