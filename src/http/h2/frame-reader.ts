// Hot path: every byte that is received passes here; whole frames are not copied.
import { copyBytes, latin1 } from '../bytes.js'
import { DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME, FRAME_HEAD_BYTES } from './frames.js'

export const CLIENT_PREFACE = latin1('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export const READ_MORE = 0
/** The head of a frame: `type`, `flags`, `streamId`, `length` are set. To be judged before the payload is read. */
export const READ_HEAD = 1
/** The payload of a frame other than DATA, whole, in [start, end) of `payload`. */
export const READ_PAYLOAD = 2
/** Some of the data of a DATA frame, in [start, end) of `payload`; never none. */
export const READ_DATA = 3
/** A DATA frame is complete, its padding included. */
export const READ_DATA_END = 4
export const READ_BAD_PREFACE = 5
/** As much padding as payload, or more (RFC 9113, 6.1). */
export const READ_BAD_PADDING = 6
export type ReadOutcome = 0 | 1 | 2 | 3 | 4 | 5 | 6

const PREFACE = 0
const HEAD = 1
const PAYLOAD = 2
const PAD_LENGTH = 3
const DATA = 4
const PADDING = 5
const DATA_END = 6
const SKIP = 7

const NONE = new Uint8Array(0)

/**
 * Splits a stream of bytes into frames (RFC 9113, 4.1), however it is cut. DATA goes out as it comes; other payloads are
 * put together when they come in pieces.
 */
export class FrameReader {
  type = 0
  flags = 0
  streamId = 0
  length = 0
  payload: Uint8Array = NONE
  start = 0
  end = 0
  /** First byte of the buffer given to `next` that was not consumed. */
  position = 0
  /** Frames begun so far. */
  frames = 0
  #state: number
  /** Bytes there are of the preface, head or payload that is being put together. */
  #have = 0
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES)
  #kept = NONE
  /** Bytes of data, padding or a skipped payload to come. */
  #rest = 0
  #padding = 0

  constructor(expectsPreface: boolean) {
    this.#state = expectsPreface ? PREFACE : HEAD
  }

  /** In the middle of the preface or of a frame other than DATA. */
  get partial(): boolean {
    return this.#state === PREFACE || this.#state === PAYLOAD || (this.#state === HEAD && this.#have > 0)
  }

  /** After READ_HEAD: the payload is of no interest. */
  skip(): void {
    this.#rest = this.length
    this.#state = SKIP
  }

  /** Reads on in [at, limit) until there is something to say. Call again from `position` unless it was READ_MORE. */
  next(buffer: Uint8Array, at: number, limit: number): ReadOutcome {
    for (;;) {
      switch (this.#state) {
        case PREFACE:
          while (at < limit && this.#have < CLIENT_PREFACE.length) {
            if (buffer[at++] !== CLIENT_PREFACE[this.#have++]) return READ_BAD_PREFACE
          }
          if (this.#have < CLIENT_PREFACE.length) return this.#more(at)
          this.#have = 0
          this.#state = HEAD
          break
        case HEAD:
          if (at === limit) return this.#more(at)
          if (this.#have === 0) this.frames++
          if (this.#have === 0 && limit - at >= FRAME_HEAD_BYTES) {
            this.#readHead(buffer, at)
            at += FRAME_HEAD_BYTES
          } else {
            while (at < limit && this.#have < FRAME_HEAD_BYTES) this.#head[this.#have++] = buffer[at++]!
            if (this.#have < FRAME_HEAD_BYTES) return this.#more(at)
            this.#readHead(this.#head, 0)
          }
          this.position = at
          return READ_HEAD
        case PAYLOAD: {
          const missing = this.length - this.#have
          if (limit - at < missing) {
            this.#keep(buffer, at, limit)
            return this.#more(limit)
          }
          if (this.#have === 0) {
            this.payload = buffer
            this.start = at
          } else {
            this.#keep(buffer, at, at + missing)
            this.payload = this.#kept
            this.start = 0
          }
          this.end = this.start + this.length
          this.position = at + missing
          this.#have = 0
          this.#kept = NONE
          this.#state = HEAD
          return READ_PAYLOAD
        }
        case PAD_LENGTH:
          if (this.length === 0) return READ_BAD_PADDING
          if (at === limit) return this.#more(at)
          this.#padding = buffer[at++]!
          if (this.#padding >= this.length) return READ_BAD_PADDING
          this.#rest = this.length - 1 - this.#padding
          this.#state = DATA
          break
        case DATA: {
          if (this.#rest === 0) {
            this.#rest = this.#padding
            this.#state = PADDING
            break
          }
          if (at === limit) return this.#more(at)
          const taken = Math.min(this.#rest, limit - at)
          this.#rest -= taken
          this.payload = buffer
          this.start = at
          this.end = at + taken
          this.position = at + taken
          return READ_DATA
        }
        case PADDING:
        case SKIP: {
          const taken = Math.min(this.#rest, limit - at)
          this.#rest -= taken
          at += taken
          if (this.#rest > 0) return this.#more(at)
          this.#state = this.#state === SKIP ? HEAD : DATA_END
          break
        }
        default:
          this.#state = HEAD
          this.position = at
          return READ_DATA_END
      }
    }
  }

  #readHead(bytes: Uint8Array, at: number): void {
    this.length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    this.type = bytes[at + 3]!
    this.flags = bytes[at + 4]!
    this.streamId = readStreamId(bytes, at + 5)
    this.#have = 0
    if (this.type !== FRAME.DATA) {
      this.#state = PAYLOAD
      return
    }
    this.#padding = 0
    this.#rest = this.length
    this.#state = (this.flags & FLAG.PADDED) !== 0 ? PAD_LENGTH : DATA
  }

  #keep(buffer: Uint8Array, from: number, to: number): void {
    if (this.#kept.length < this.length) this.#kept = new Uint8Array(Math.min(this.length, DEFAULT_MAX_FRAME_BYTES))
    this.#have = copyBytes(this.#kept, this.#have, buffer, from, to)
  }

  #more(at: number): typeof READ_MORE {
    this.position = at
    return READ_MORE
  }
}

/** 31 bits; the reserved one is ignored (RFC 9113, 4.1). */
export function readStreamId(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
}
