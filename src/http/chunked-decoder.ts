// Hot path: every chunked body passes through here, in whatever pieces it arrives.
import {
  BACKSLASH,
  CLASS,
  COLON,
  CR,
  DOUBLE_QUOTE,
  EQUALS,
  FOLD,
  HEX,
  HTAB,
  IN_TOKEN,
  IN_VALUE,
  LF,
  SEMICOLON,
  SP,
} from './characters.js'
import { headerId } from './header-names.js'
import type { NameSet } from './name-set.js'
import { isTrailerAllowed } from './trailers.js'

export const CHUNK_NEED_MORE = 0
export const CHUNK_DATA = 1
export const CHUNK_END = 2
export const CHUNK_ERROR = 3
export type ChunkOutcome = typeof CHUNK_NEED_MORE | typeof CHUNK_DATA | typeof CHUNK_END | typeof CHUNK_ERROR

/** Trailers are bounded like a head; `HeadLimits` fits. */
export interface ChunkedLimits {
  /** Bytes of the trailer section. */
  readonly maxHeaderBytes: number
  /** Trailer lines. */
  readonly maxHeaders: number
}

/** Hex digits in a chunk size, leading zeros included. */
const MAX_SIZE_DIGITS = 16
const MAX_CHUNK_EXTENSION_BYTES = 1024
/** Over a whole body, so that one-byte chunks with long extensions cannot be used to wear a proxy out. */
const MAX_BODY_EXTENSION_BYTES = 16_384
const INITIAL_TRAILER_BYTES = 512
/** A decoder that serves one body after another does not hold on to more than this. */
const KEPT_TRAILER_BYTES = 4096

/** Shared until a body has trailers, which few have. */
const NO_TRAILERS = new Uint8Array(0)

const SIZE_FIRST = 0
const SIZE = 1
/** White space after the size or an extension: only ";" may follow it. */
const EXTENSION_BEFORE = 2
const EXTENSION_NAME_FIRST = 3
const EXTENSION_NAME = 4
const EXTENSION_NAME_AFTER = 5
const EXTENSION_VALUE_FIRST = 6
const EXTENSION_VALUE = 7
const EXTENSION_QUOTED = 8
const EXTENSION_ESCAPED = 9
const EXTENSION_VALUE_AFTER = 10
const SIZE_LF = 11
const DATA = 12
const DATA_CR = 13
const DATA_LF = 14
const TRAILER_FIRST = 15
const TRAILER_NAME = 16
const TRAILER_SPACE = 17
const TRAILER_VALUE = 18
const TRAILER_LF = 19
const END_LF = 20
const ENDED = 21
const FAILED = 22

/**
 * Takes the chunked coding off a body (RFC 9112 7.1). CRLF is exact to the byte, sizes are hex digits only, up to
 * 2^53 − 1; chunk extensions are checked against the grammar (white space around ";" and "=" as RFC 9112 7.1.1 lets
 * through), bounded and dropped. Trailers that may be trailers are kept as lines ready to be sent.
 */
export class ChunkedDecoder {
  /** After CHUNK_DATA: where the data lies in the buffer given. */
  dataStart = 0
  dataEnd = 0
  /** First byte of the given buffer that was not consumed. */
  position = 0
  /** After CHUNK_END: `name: value` lines, each with its CRLF, in [0, trailersLength). */
  trailers: Uint8Array = NO_TRAILERS
  trailersLength = 0
  /** After CHUNK_ERROR: what was wrong, for logs. */
  errorDetail = ''

  readonly #limits: ChunkedLimits
  #state = SIZE_FIRST
  #size = 0
  #digits = 0
  #chunkExtension = 0
  #bodyExtension = 0
  #trailerBytes = 0
  #trailerCount = 0
  /** Where the trailer line being read begins in `trailers`, and its name ends. */
  #line = 0
  #nameEnd = 0

  constructor(limits: ChunkedLimits) {
    this.#limits = limits
  }

  /** Names that are not passed on as trailers either, until the next `reset`. */
  removed: NameSet | undefined = undefined

  /** Call before each body. */
  reset(): void {
    this.removed = undefined
    this.dataStart = 0
    this.dataEnd = 0
    this.position = 0
    this.trailersLength = 0
    if (this.trailers.length > KEPT_TRAILER_BYTES) this.trailers = NO_TRAILERS
    this.errorDetail = ''
    this.#state = SIZE_FIRST
    this.#size = 0
    this.#digits = 0
    this.#chunkExtension = 0
    this.#bodyExtension = 0
    this.#trailerBytes = 0
    this.#trailerCount = 0
    this.#line = 0
  }

  /**
   * Reads on in [at, end) until there is data to pass on, the body ends, or the bytes do. Call again from `position`
   * after CHUNK_DATA, and with the bytes that follow after CHUNK_NEED_MORE.
   */
  next(buffer: Uint8Array, at: number, end: number): ChunkOutcome {
    let state = this.#state
    while (at < end) {
      if (state >= TRAILER_FIRST) {
        this.#state = state
        return this.#trailerSection(buffer, at, end)
      }
      const byte = buffer[at]!
      switch (state) {
        case SIZE_FIRST:
        case SIZE: {
          const digit = HEX[byte]!
          if (digit !== 255) {
            this.#size = this.#size * 16 + digit
            if (++this.#digits > MAX_SIZE_DIGITS || this.#size > Number.MAX_SAFE_INTEGER) {
              return this.#fail(at, 'chunk size too large')
            }
            state = SIZE
            break
          }
          if (state === SIZE_FIRST) return this.#fail(at, 'no chunk size')
          if (byte === CR) {
            state = SIZE_LF
            break
          }
          state = extensionState(EXTENSION_VALUE_AFTER, byte)
          if (state === FAILED) return this.#fail(at, 'malformed chunk size')
          if (!this.#countExtension()) return this.#fail(at, 'chunk extensions too large')
          break
        }
        case SIZE_LF:
          if (byte !== LF) return this.#fail(at, 'chunk size not ended by CRLF')
          this.#digits = 0
          this.#chunkExtension = 0
          state = this.#size === 0 ? TRAILER_FIRST : DATA
          break
        case DATA: {
          const available = end - at
          const taken = Math.min(available, this.#size)
          this.#size -= taken
          this.#state = this.#size === 0 ? DATA_CR : DATA
          this.dataStart = at
          this.dataEnd = at + taken
          this.position = at + taken
          return CHUNK_DATA
        }
        case DATA_CR:
          if (byte !== CR) return this.#fail(at, 'chunk data not ended by CRLF')
          state = DATA_LF
          break
        case DATA_LF:
          if (byte !== LF) return this.#fail(at, 'chunk data not ended by CRLF')
          state = SIZE_FIRST
          break
        default: {
          if (
            byte === CR &&
            (state === EXTENSION_NAME || state === EXTENSION_VALUE || state === EXTENSION_VALUE_AFTER)
          ) {
            state = SIZE_LF
            break
          }
          state = extensionState(state, byte)
          if (state === FAILED) return this.#fail(at, 'malformed chunk extension')
          if (!this.#countExtension()) return this.#fail(at, 'chunk extensions too large')
        }
      }
      at++
    }
    this.#state = state
    this.position = at
    if (state === ENDED) return CHUNK_END
    return state === FAILED ? CHUNK_ERROR : CHUNK_NEED_MORE
  }

  #trailerSection(buffer: Uint8Array, from: number, end: number): ChunkOutcome {
    let state = this.#state
    let at = from
    while (at < end && state < ENDED) {
      if (++this.#trailerBytes > this.#limits.maxHeaderBytes) return this.#fail(at, 'trailers too large')
      const byte = buffer[at]!
      switch (state) {
        case TRAILER_FIRST:
          if (byte === CR) {
            state = END_LF
            break
          }
          if (++this.#trailerCount > this.#limits.maxHeaders) return this.#fail(at, 'too many trailers')
          this.#line = this.trailersLength
          if (FOLD[byte] === 0) return this.#fail(at, 'malformed trailer name')
          this.#keep(byte)
          state = TRAILER_NAME
          break
        case TRAILER_NAME:
          if (byte === COLON) {
            this.#nameEnd = this.trailersLength
            this.#keep(COLON)
            this.#keep(SP)
            state = TRAILER_SPACE
            break
          }
          if (FOLD[byte] === 0) return this.#fail(at, 'malformed trailer name')
          this.#keep(byte)
          break
        case TRAILER_SPACE:
        case TRAILER_VALUE:
          if (byte === CR) {
            state = TRAILER_LF
            break
          }
          if ((CLASS[byte]! & IN_VALUE) === 0) return this.#fail(at, 'malformed trailer value')
          if (state === TRAILER_SPACE && (byte === SP || byte === HTAB)) break
          this.#keep(byte)
          state = TRAILER_VALUE
          break
        case TRAILER_LF:
          if (byte !== LF) return this.#fail(at, 'trailer not ended by CRLF')
          this.#endTrailer()
          state = TRAILER_FIRST
          break
        default:
          if (byte !== LF) return this.#fail(at, 'trailers not ended by CRLF')
          state = ENDED
      }
      at++
    }
    this.#state = state
    this.position = at
    if (state === ENDED) return CHUNK_END
    return state === FAILED ? CHUNK_ERROR : CHUNK_NEED_MORE
  }

  /** Ends the line just read, or takes it back when it may not be a trailer. */
  #endTrailer(): void {
    const { trailers } = this
    const id = headerId(trailers, this.#line, this.#nameEnd)
    const isRemoved = this.removed?.has(trailers, this.#line, this.#nameEnd)
    if (isRemoved || !isTrailerAllowed(id, trailers, this.#line, this.#nameEnd)) {
      this.trailersLength = this.#line
      return
    }
    const valueStart = this.#nameEnd + 2
    let valueEnd = this.trailersLength
    while (valueEnd > valueStart && (trailers[valueEnd - 1] === SP || trailers[valueEnd - 1] === HTAB)) valueEnd--
    this.trailersLength = valueEnd
    this.#keep(CR)
    this.#keep(LF)
  }

  #keep(byte: number): void {
    if (this.trailersLength === this.trailers.length) {
      const wider = new Uint8Array(Math.max(INITIAL_TRAILER_BYTES, this.trailers.length * 2))
      wider.set(this.trailers)
      this.trailers = wider
    }
    this.trailers[this.trailersLength++] = byte
  }

  /** False when the byte just read is one too many for the extensions of this chunk or of the body. */
  #countExtension(): boolean {
    return ++this.#chunkExtension <= MAX_CHUNK_EXTENSION_BYTES && ++this.#bodyExtension <= MAX_BODY_EXTENSION_BYTES
  }

  #fail(at: number, detail: string): typeof CHUNK_ERROR {
    this.#state = FAILED
    this.position = at
    this.errorDetail = detail
    return CHUNK_ERROR
  }
}

/** The state after `byte` in a chunk extension (RFC 9112 7.1.1), or FAILED. CR is the caller's. */
function extensionState(state: number, byte: number): number {
  const space = byte === SP || byte === HTAB
  const token = (CLASS[byte]! & IN_TOKEN) !== 0
  switch (state) {
    case EXTENSION_NAME_FIRST:
      if (space) return EXTENSION_NAME_FIRST
      return token ? EXTENSION_NAME : FAILED
    case EXTENSION_NAME:
      if (token) return EXTENSION_NAME
      return extensionState(EXTENSION_NAME_AFTER, byte)
    case EXTENSION_NAME_AFTER:
      if (space) return EXTENSION_NAME_AFTER
      if (byte === EQUALS) return EXTENSION_VALUE_FIRST
      return byte === SEMICOLON ? EXTENSION_NAME_FIRST : FAILED
    case EXTENSION_VALUE_FIRST:
      if (space) return EXTENSION_VALUE_FIRST
      if (byte === DOUBLE_QUOTE) return EXTENSION_QUOTED
      return token ? EXTENSION_VALUE : FAILED
    case EXTENSION_QUOTED:
      if (byte === DOUBLE_QUOTE) return EXTENSION_VALUE_AFTER
      if (byte === BACKSLASH) return EXTENSION_ESCAPED
      return (CLASS[byte]! & IN_VALUE) !== 0 ? EXTENSION_QUOTED : FAILED
    case EXTENSION_ESCAPED:
      return (CLASS[byte]! & IN_VALUE) !== 0 ? EXTENSION_QUOTED : FAILED
    default:
      // After a size or a value: a token goes on only within one.
      if (state === EXTENSION_VALUE && token) return EXTENSION_VALUE
      if (space) return EXTENSION_BEFORE
      return byte === SEMICOLON ? EXTENSION_NAME_FIRST : FAILED
  }
}
