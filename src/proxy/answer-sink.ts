import type { ResponseParser } from '../http/response-parser.js'
import type { ResponseHeadOptions } from '../http/response-writer.js'

/**
 * Where an answer goes by its parts: an HTTP/2 stream, whose frames tell where a body ends. It is given one final head, then
 * data; the last of it, perhaps none, or the trailers behind it say that the body is whole.
 */
export interface AnswerSink {
  /** Sends the head that `parser` has read at `start`; answers how many bytes it counts for. Without a body it is the end. */
  head(parser: ResponseParser, buffer: Uint8Array, start: number, options: ResponseHeadOptions): number
  /** Sends [start, end), borrowed. False: not all of it went out, and nothing may follow until the client is writable. */
  data(buffer: Uint8Array, start: number, end: number, last: boolean): boolean
  /** Lines `name: value`, each with its CRLF, in [0, length). */
  trailers(lines: Uint8Array, length: number): void
}
