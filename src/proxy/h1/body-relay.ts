// Hot path: every byte of every body passes here. No allocation; bodies are copied only where framing is rewritten.
import type { Conn } from '../../core/conn.js'
import { copyBytes } from '../../http/bytes.js'
import { CHUNK_DATA, CHUNK_END, CHUNK_ERROR, type ChunkedDecoder } from '../../http/chunked-decoder.js'
import {
  CHUNK_HEADER_MAX,
  CHUNK_TERMINATOR,
  LAST_CHUNK,
  LAST_CHUNK_BEFORE_TRAILERS,
  writeChunkHeader,
} from '../../http/chunked-writer.js'
import type { NameSet } from '../../http/name-set.js'
import type { RequestParser } from '../../http/request-parser.js'
import {
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  FRAMING_UNTIL_CLOSE,
  type Framing,
} from '../../http/response-parser.js'
import { withoutFields } from '../../http/trailers.js'
import type { AnswerSink } from '../answer-sink.js'

const NOTHING = new Uint8Array(0)

/** How a request's body is framed; without either field there is none (RFC 9112 6.3). */
export function requestFraming(parser: RequestParser): Framing {
  if (parser.chunked) return FRAMING_CHUNKED
  return parser.contentLength >= 0 ? FRAMING_LENGTH : FRAMING_NONE
}

/** Body bytes up to this size ride behind a head in the same write; larger ones are written from where they lie. */
const RIDE_ALONG_BYTES = 32 * 1024
const CHUNK_OVERHEAD = CHUNK_HEADER_MAX + CHUNK_TERMINATOR.length

/**
 * Carries one body from one connection to another, reading its framing and writing its own: a length is counted, chunks
 * are decoded and encoded anew, a body that ends with the connection becomes chunks where the receiver can take them.
 */
export class BodyRelay {
  /** All of the body was read and written. */
  done = true
  /** There never was anything to relay: not even the framing of an empty body. */
  none = true
  /** The sender's framing is broken: nothing more may be relayed. */
  malformed = false
  /** It may have so many bytes. To be set behind `begin`. */
  most = Number.POSITIVE_INFINITY
  /** It has more: neither what is beyond nor its end is relayed. */
  tooLong = false
  /** The last `relay` left bytes the receiver's kernel would not take: the sender is to be paused. */
  blocked = false
  /** Body bytes relayed, without framing. */
  bytes = 0
  /** Bytes written: the body's, those of its framing, and of a head before it. */
  written = 0
  readonly #decoder: ChunkedDecoder
  #removed: NameSet | undefined
  #framing: Framing = FRAMING_NONE
  #chunkedOut = false
  #remaining = 0
  #scratch: Uint8Array = new Uint8Array(0)
  #at = 0
  #to: Pick<Conn, 'write'> | undefined
  /** Takes the body without any framing, in place of the connection. */
  #sink: AnswerSink | undefined

  constructor(decoder: ChunkedDecoder) {
    this.#decoder = decoder
  }

  /** `length` counts where `framing` is FRAMING_LENGTH. */
  begin(framing: Framing, length: number, chunkedOut: boolean): void {
    this.#framing = framing
    this.#remaining = length
    this.#chunkedOut = chunkedOut
    this.#sink = undefined
    this.#removed = undefined
    this.malformed = false
    this.most = Number.POSITIVE_INFINITY
    this.tooLong = false
    this.blocked = false
    this.bytes = 0
    this.written = 0
    this.none = this.done = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && length === 0)
    if (framing === FRAMING_CHUNKED) this.#decoder.reset()
  }

  /** To be called behind `begin`: the body's trailers are passed on without those. */
  removeTrailers(names: NameSet): void {
    if (this.#framing === FRAMING_CHUNKED) this.#decoder.removed = names
    else this.#removed = names
  }

  /** The same for a body that goes into `sink`, whose head counted for `headBytes`. */
  beginInto(sink: AnswerSink, framing: Framing, length: number, headBytes: number): void {
    this.begin(framing, length, false)
    this.#sink = sink
    this.written = headBytes
  }

  /**
   * Relays what of [start, end) belongs to the body, behind the first `at` bytes of `scratch`, which are written in any
   * case. Returns the first byte that does not belong to it, or `end`.
   */
  relay(
    to: Pick<Conn, 'write'>,
    scratch: Uint8Array,
    at: number,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): number {
    this.blocked = false
    this.#scratch = scratch
    this.#at = at
    if (this.#sink !== undefined) return this.done ? start : this.#relayInto(this.#sink, buffer, start, end)
    this.#to = to
    let next = start
    if (!this.done) {
      if (this.#framing === FRAMING_CHUNKED) next = this.#relayChunks(buffer, start, end)
      else next = this.#relayPlain(buffer, start, end)
    }
    this.#flush()
    this.#to = undefined
    return next
  }

  /**
   * The sender ended its stream, with `trailers` in [0, trailersLength) where that is one of HTTP/2: the end of a body that
   * lasts until then, else the body is cut short.
   */
  endOfStream(to: Conn, scratch: Uint8Array, trailers: Uint8Array = NOTHING, trailersLength = 0): void {
    if (this.done) return
    if (this.#framing !== FRAMING_UNTIL_CLOSE) {
      this.malformed = true
      return
    }
    this.done = true
    let lines = trailers
    let length = trailersLength
    if (length > 0 && this.#removed !== undefined) {
      lines = withoutFields(trailers.subarray(0, length), this.#removed) ?? NOTHING
      length = lines.length
    }
    this.blocked = false
    if (this.#sink !== undefined) {
      if (length > 0) this.#sink.trailers(lines, length)
      else this.blocked = !this.#sink.data(NOTHING, 0, 0, true)
      return
    }
    if (!this.#chunkedOut) return
    this.#scratch = scratch
    this.#at = 0
    this.#to = to
    this.#lastChunk(lines, length)
    this.#flush()
    this.#to = undefined
  }

  #relayInto(sink: AnswerSink, buffer: Uint8Array, start: number, end: number): number {
    if (this.#framing === FRAMING_CHUNKED) return this.#chunksInto(sink, buffer, start, end)
    const stop = this.#framing === FRAMING_LENGTH && end - start > this.#remaining ? start + this.#remaining : end
    if (this.#framing === FRAMING_LENGTH) {
      this.#remaining -= stop - start
      this.done = this.#remaining === 0
    }
    this.#give(sink, buffer, start, stop, this.done)
    return stop
  }

  /** A chunk is given on from where it lies; several that came together are put together in scratch. */
  #chunksInto(sink: AnswerSink, buffer: Uint8Array, start: number, end: number): number {
    const decoder = this.#decoder
    // The chunk read last, which is given on once it is known whether it was the last of all.
    let from = 0
    let to = 0
    for (let at = start; ; ) {
      const event = decoder.next(buffer, at, end)
      at = decoder.position
      if (event === CHUNK_DATA) {
        this.#gather(sink, buffer, from, to)
        from = decoder.dataStart
        to = decoder.dataEnd
        continue
      }
      if (event === CHUNK_ERROR) {
        this.malformed = true
        return at
      }
      this.done = event === CHUNK_END
      const trailed = this.done && decoder.trailersLength > 0
      if (this.#at > 0) this.#gather(sink, buffer, from, to)
      if (this.#at > 0) this.#give(sink, this.#scratch, 0, this.#at, this.done && !trailed)
      else this.#give(sink, buffer, from, to, this.done && !trailed)
      if (trailed) sink.trailers(decoder.trailers, decoder.trailersLength)
      return at
    }
  }

  #gather(sink: AnswerSink, buffer: Uint8Array, from: number, to: number): void {
    if (from === to) return
    if (this.#at + to - from > this.#scratch.length) {
      this.#give(sink, this.#scratch, 0, this.#at, false)
      this.#at = 0
    }
    this.#copy(buffer, from, to)
  }

  #give(sink: AnswerSink, buffer: Uint8Array, from: number, to: number, last: boolean): void {
    if (from === to && !last) return
    this.bytes += to - from
    this.written += to - from
    if (!sink.data(buffer, from, to, last)) this.blocked = true
  }

  #relayPlain(buffer: Uint8Array, start: number, end: number): number {
    const stop = this.#framing === FRAMING_LENGTH && end - start > this.#remaining ? start + this.#remaining : end
    this.#data(buffer, start, stop)
    if (this.#framing === FRAMING_LENGTH) {
      this.#remaining -= stop - start
      this.done = this.#remaining === 0
    }
    return stop
  }

  #relayChunks(buffer: Uint8Array, start: number, end: number): number {
    const decoder = this.#decoder
    let at = start
    for (;;) {
      const event = decoder.next(buffer, at, end)
      at = decoder.position
      switch (event) {
        case CHUNK_DATA:
          this.#data(buffer, decoder.dataStart, decoder.dataEnd)
          if (this.tooLong) return at
          break
        case CHUNK_END:
          this.done = true
          if (this.#chunkedOut) this.#lastChunk(decoder.trailers, decoder.trailersLength)
          return at
        case CHUNK_ERROR:
          this.malformed = true
          return at
        default:
          return at
      }
    }
  }

  #data(buffer: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length === 0) return
    this.bytes += length
    if (this.bytes > this.most) {
      this.tooLong = true
      return
    }
    if (this.#chunkedOut) {
      if (this.#at + length + CHUNK_OVERHEAD > this.#scratch.length) this.#flush()
      this.#at = writeChunkHeader(this.#scratch, this.#at, length)
      this.#copy(buffer, start, end)
      this.#put(CHUNK_TERMINATOR)
      return
    }
    if (this.#framing === FRAMING_CHUNKED || (this.#at > 0 && length <= RIDE_ALONG_BYTES)) {
      if (this.#at + length > this.#scratch.length) this.#flush()
      this.#copy(buffer, start, end)
      return
    }
    this.#flush()
    this.written += length
    if (!this.#to!.write(buffer, start, end)) this.blocked = true
  }

  #copy(buffer: Uint8Array, start: number, end: number): void {
    this.#at = copyBytes(this.#scratch, this.#at, buffer, start, end)
  }

  #lastChunk(trailers: Uint8Array, trailersLength: number): void {
    if (this.#at + LAST_CHUNK.length > this.#scratch.length) this.#flush()
    if (trailersLength === 0) {
      this.#put(LAST_CHUNK)
      return
    }
    this.#put(LAST_CHUNK_BEFORE_TRAILERS)
    for (let from = 0; from < trailersLength; ) {
      // Trailers may be as large as a head is allowed to be, which may be more than scratch holds.
      const to = Math.min(trailersLength, from + this.#scratch.length - this.#at - CHUNK_TERMINATOR.length)
      this.#copy(trailers, from, to)
      if (to < trailersLength) this.#flush()
      from = to
    }
    this.#put(CHUNK_TERMINATOR)
  }

  #put(bytes: Uint8Array): void {
    this.#copy(bytes, 0, bytes.length)
  }

  #flush(): void {
    if (this.#at === 0) return
    this.written += this.#at
    if (!this.#to!.write(this.#scratch, 0, this.#at)) this.blocked = true
    this.#at = 0
  }
}
