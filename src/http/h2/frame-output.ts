// Hot path: every frame that is sent; all frames of a turn go out in as few writes as they fit in.
import type { Conn } from '../../core/conn.js'
import { copyBytes } from '../bytes.js'
import type { FieldList } from './field-list.js'
import { DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME, FRAME_HEAD_BYTES } from './frames.js'
import type { HpackEncoder } from './hpack-encoder.js'

const BLOCK_BYTES = 65_536
/** Blocks kept for the thread while no connection has anything to write. */
const MOST_SPARE_BLOCKS = 16
const spareBlocks: Uint8Array[] = []
/** Larger header blocks are encoded in here first, to be cut into frames; shared, as nothing of it outlives a call. */
let longBlock = new Uint8Array(0)
const KEPT_LONG_BLOCK_BYTES = 262_144

/** Told when the first frame since the last flush was made. */
export interface OutputOwner {
  outputBegun(): void
}

/**
 * Makes frames, none longer than every peer must take (RFC 9113, 4.2), and brings them to a `Conn`. A connection holds a
 * block of memory only between a frame and the flush.
 */
export class FrameOutput {
  /** The `Conn` has not taken everything yet: `onWritable` will come. DATA is not to be made meanwhile. */
  blocked = false
  /** Bytes made since it is. */
  queuedBytes = 0
  /** When the `Conn` last took everything after it had not; what waited meanwhile has not waited for the peer's windows. */
  writableMs = 0
  /** Bytes of frames made so far. */
  bytesMade = 0
  readonly #conn: Conn
  readonly #owner: OutputOwner
  #block: Uint8Array | undefined
  #end = 0

  constructor(conn: Conn, owner: OutputOwner) {
    this.#conn = conn
    this.#owner = owner
  }

  /** Gives to the `Conn` what there is. */
  flush(): void {
    const block = this.#block
    if (block === undefined) return
    this.#block = undefined
    if (this.#end > 0) this.#write(block)
    if (spareBlocks.length < MOST_SPARE_BLOCKS) spareBlocks.push(block)
  }

  /** `Conn.onWritable`. */
  unblock(nowMs: number): void {
    this.blocked = false
    this.queuedBytes = 0
    this.writableMs = nowMs
  }

  /** Throws away what there is. */
  drop(): void {
    this.#end = 0
    this.flush()
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length)
    this.#made(copyBytes(this.#block!, at, bytes, 0, bytes.length))
  }

  /** Pairs of identifier and value (RFC 9113, 6.5.1). */
  settings(pairs: readonly (readonly [id: number, value: number])[]): void {
    let at = this.#frame(pairs.length * 6, FRAME.SETTINGS, 0, 0)
    const out = this.#block!
    for (const [id, value] of pairs) {
      out[at++] = id >> 8
      out[at++] = id
      at = writeUint32(out, at, value)
    }
    this.#made(at)
  }

  settingsAck(): void {
    this.#made(this.#frame(0, FRAME.SETTINGS, FLAG.ACK, 0))
  }

  /** `payload` has eight bytes from `at`. */
  ping(payload: Uint8Array, from: number, ack: boolean): void {
    const at = this.#frame(8, FRAME.PING, ack ? FLAG.ACK : 0, 0)
    this.#made(copyBytes(this.#block!, at, payload, from, from + 8))
  }

  resetStream(streamId: number, code: number): void {
    const at = this.#frame(4, FRAME.RST_STREAM, 0, streamId)
    this.#made(writeUint32(this.#block!, at, code))
  }

  windowUpdate(streamId: number, bytes: number): void {
    const at = this.#frame(4, FRAME.WINDOW_UPDATE, 0, streamId)
    this.#made(writeUint32(this.#block!, at, bytes))
  }

  goAway(lastStreamId: number, code: number, debug: Uint8Array): void {
    let at = this.#frame(8 + debug.length, FRAME.GOAWAY, 0, 0)
    at = writeUint32(this.#block!, at, lastStreamId)
    at = writeUint32(this.#block!, at, code)
    this.#made(copyBytes(this.#block!, at, debug, 0, debug.length))
  }

  /** One DATA frame; [from, to) is no more than 16 KiB. */
  data(streamId: number, buffer: Uint8Array, from: number, to: number, endStream: boolean): void {
    const at = this.#frame(to - from, FRAME.DATA, endStream ? FLAG.END_STREAM : 0, streamId)
    this.#made(copyBytes(this.#block!, at, buffer, from, to))
  }

  /** HEADERS, and CONTINUATION for what does not fit in. */
  headers(streamId: number, fields: FieldList, endStream: boolean, encoder: HpackEncoder): void {
    const bound = encoder.bound(fields)
    const flags = endStream ? FLAG.END_STREAM : 0
    if (bound <= DEFAULT_MAX_FRAME_BYTES) {
      const at = this.#room(FRAME_HEAD_BYTES + bound)
      const out = this.#block!
      const end = encoder.encode(fields, out, at + FRAME_HEAD_BYTES)
      writeFrameHead(out, at, end - at - FRAME_HEAD_BYTES, FRAME.HEADERS, flags | FLAG.END_HEADERS, streamId)
      this.#made(end)
      return
    }
    if (longBlock.length < bound) longBlock = new Uint8Array(bound)
    const end = encoder.encode(fields, longBlock, 0)
    for (let from = 0; from === 0 || from < end; from += DEFAULT_MAX_FRAME_BYTES) {
      const to = Math.min(end, from + DEFAULT_MAX_FRAME_BYTES)
      const last = to === end ? FLAG.END_HEADERS : 0
      const at =
        from === 0
          ? this.#frame(to, FRAME.HEADERS, flags | last, streamId)
          : this.#frame(to - from, FRAME.CONTINUATION, last, streamId)
      this.#made(copyBytes(this.#block!, at, longBlock, from, to))
    }
    if (longBlock.length > KEPT_LONG_BLOCK_BYTES) longBlock = new Uint8Array(0)
  }

  /** Writes a frame's head with room behind it for the payload; answers where that goes. */
  #frame(length: number, type: number, flags: number, streamId: number): number {
    const at = this.#room(FRAME_HEAD_BYTES + length)
    return writeFrameHead(this.#block!, at, length, type, flags, streamId)
  }

  #room(bytes: number): number {
    const block = this.#block
    if (block === undefined) {
      this.#block = spareBlocks.pop() ?? new Uint8Array(BLOCK_BYTES)
      this.#end = 0
      this.#owner.outputBegun()
    } else if (this.#end + bytes > BLOCK_BYTES) {
      this.#write(block)
    }
    return this.#end
  }

  #made(end: number): void {
    const bytes = end - this.#end
    this.#end = end
    this.bytesMade += bytes
    if (this.blocked) this.queuedBytes += bytes
  }

  #write(block: Uint8Array): void {
    const end = this.#end
    this.#end = 0
    if (!this.#conn.write(block, 0, end)) this.blocked = true
  }
}

function writeFrameHead(
  out: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >> 16
  out[at + 1] = length >> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flags
  return writeUint32(out, at + 5, streamId)
}

function writeUint32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
  return at + 4
}
