// Hot path: every frame that is received is judged and acted on here.
import { copyBytes } from '../bytes.js'
import { H2_ERROR, type H2Limits, type H2Role, type H2Settings } from './engine.js'
import { FIELD_WORDS, FieldList } from './field-list.js'
import { FLOOD } from './flood.js'
import { type Fault, frameFault } from './frame-fault.js'
import {
  FrameReader,
  READ_BAD_PADDING,
  READ_BAD_PREFACE,
  READ_DATA,
  READ_DATA_END,
  READ_HEAD,
  READ_MORE,
  READ_PAYLOAD,
  readStreamId,
  readUint32,
} from './frame-reader.js'
import { FLAG, FRAME } from './frames.js'
import { BLOCK_BOMB, BLOCK_MALFORMED, BLOCK_TOO_LARGE, HpackDecoder } from './hpack-decoder.js'
import type { SessionOps } from './session-ops.js'
import type { Http2Stream } from './stream.js'

const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, COMPRESSION_ERROR, ENHANCE_YOUR_CALM } = H2_ERROR
const { STREAM_CLOSED, REFUSED_STREAM } = H2_ERROR

const BLOCK_INTERRUPTED: Fault = {
  code: PROTOCOL_ERROR,
  detail: 'a frame between HEADERS and CONTINUATION (RFC 9113, 6.10)',
}
const CONTINUATION_ALONE: Fault = { code: PROTOCOL_ERROR, detail: 'CONTINUATION without HEADERS (RFC 9113, 6.10)' }
const NOT_SETTINGS: Fault = { code: PROTOCOL_ERROR, detail: 'the first frame is not SETTINGS (RFC 9113, 3.4)' }

/** Lists that fields are decoded into: one is enough, unless a callback makes another connection receive. */
const spareLists: FieldList[] = []
const KEPT_LIST_BYTES = 65_536

/** What a connection receives: splits it into frames, holds them against RFC 9113, and acts on them. */
export class Incoming {
  readonly reader: FrameReader
  readonly decoder: HpackDecoder
  /** When the frame or header block that is not whole yet was begun; −1 when there is none. */
  partialSinceMs = -1
  readonly #connection: SessionOps
  readonly #role: H2Role
  readonly #limits: H2Limits
  /** The stream whose header block goes on in CONTINUATION; 0 when none does. */
  #blockStream = 0
  #blockEndsStream = false
  #blockDependsOnItself = false
  #block: Uint8Array | undefined
  #blockLength = 0
  #continuations = 0
  /** Whose DATA frame is being read; undefined for one that is gone. */
  #dataStream: Http2Stream | undefined
  /** Data of the current frame, without padding. */
  #dataBytes = 0
  #partialFrame = 0

  constructor(connection: SessionOps, role: H2Role, settings: H2Settings, limits: H2Limits) {
    this.#connection = connection
    this.#role = role
    this.#limits = limits
    this.reader = new FrameReader(role === 'server')
    this.decoder = new HpackDecoder(settings.maxHeaderListBytes, limits.maxDecodedBytes)
  }

  receive(buffer: Uint8Array, start: number, end: number): void {
    const { reader } = this
    const connection = this.#connection
    let at = start
    while (!connection.closed) {
      const outcome = reader.next(buffer, at, end)
      at = reader.position
      switch (outcome) {
        case READ_MORE:
          this.#notePartial()
          return
        case READ_HEAD:
          this.#head(reader.type, reader.flags, reader.streamId, reader.length)
          break
        case READ_PAYLOAD:
          this.#payload(reader.payload, reader.start, reader.end)
          break
        case READ_DATA:
          this.#data(reader.payload, reader.start, reader.end)
          break
        case READ_DATA_END:
          this.#dataEnd((reader.flags & FLAG.END_STREAM) !== 0)
          break
        case READ_BAD_PREFACE:
          this.#end(PROTOCOL_ERROR, 'not the client preface (RFC 9113, 3.4)')
          return
        case READ_BAD_PADDING:
          this.#end(PROTOCOL_ERROR, 'more padding than payload (RFC 9113, 6.1)')
          return
      }
    }
  }

  #notePartial(): void {
    if (!this.reader.partial && this.#blockStream === 0) {
      this.partialSinceMs = -1
    } else if (this.partialSinceMs < 0 || (this.#blockStream === 0 && this.#partialFrame !== this.reader.frames)) {
      this.partialSinceMs = this.#connection.clock.nowMs
    }
    this.#partialFrame = this.reader.frames
  }

  /** Judges a frame before its payload is there. */
  #head(type: number, flags: number, id: number, length: number): void {
    const connection = this.#connection
    const fault = this.#sequenceFault(type, flags, id) ?? frameFault(type, flags, id, length, connection.table)
    if (fault !== undefined) {
      connection.end(fault.code, 'PROTOCOL', fault.detail)
      return
    }
    switch (type) {
      case FRAME.DATA:
        this.#dataHead(id, length)
        break
      case FRAME.PRIORITY:
        if (length === 5) break
        connection.streamError(id, FRAME_SIZE_ERROR)
        this.reader.skip()
        break
      case FRAME.PRIORITY_UPDATE:
        connection.flood(FLOOD.PRIORITIES)
        this.reader.skip()
        break
      default:
        if (type <= FRAME.CONTINUATION) break
        // RFC 9113, 5.5: unknown types are to be ignored.
        connection.flood(FLOOD.USELESS)
        this.reader.skip()
    }
  }

  /** What is wrong with where a frame stands. */
  #sequenceFault(type: number, flags: number, id: number): Fault | undefined {
    if (this.#blockStream !== 0) {
      return type !== FRAME.CONTINUATION || id !== this.#blockStream ? BLOCK_INTERRUPTED : undefined
    }
    if (type === FRAME.CONTINUATION) return CONTINUATION_ALONE
    if (!this.#connection.ready && (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)) return NOT_SETTINGS
    return undefined
  }

  #payload(payload: Uint8Array, start: number, end: number): void {
    const connection = this.#connection
    const { control } = connection
    const { type, flags, streamId } = this.reader
    switch (type) {
      case FRAME.HEADERS:
        this.#headers(payload, start, end)
        break
      case FRAME.CONTINUATION:
        this.#continuation(payload, start, end)
        break
      case FRAME.PRIORITY:
        if (connection.flood(FLOOD.PRIORITIES)) break
        // RFC 7540, 5.3.1; RFC 9113 has dropped priorities, and what they mean is ignored.
        if (readStreamId(payload, start) === streamId) connection.streamError(streamId, PROTOCOL_ERROR)
        break
      case FRAME.RST_STREAM:
        connection.peerReset(streamId, readUint32(payload, start))
        break
      case FRAME.SETTINGS:
        if ((flags & FLAG.ACK) !== 0) control.settingsAcknowledged()
        else control.settings(payload, start, end)
        break
      case FRAME.PING:
        control.ping(payload, start, (flags & FLAG.ACK) !== 0)
        break
      case FRAME.GOAWAY:
        control.goAway(readStreamId(payload, start), readUint32(payload, start + 4))
        break
      default:
        // WINDOW_UPDATE; the top bit is reserved.
        control.windowUpdate(streamId, readStreamId(payload, start))
    }
  }

  #headers(payload: Uint8Array, start: number, end: number): void {
    const { flags, streamId } = this.reader
    let from = start
    let padding = 0
    if ((flags & FLAG.PADDED) !== 0) {
      if (from === end) {
        this.#end(FRAME_SIZE_ERROR, 'HEADERS without its padding length (RFC 9113, 6.2)')
        return
      }
      padding = payload[from++]!
    }
    this.#blockDependsOnItself = false
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (end - from < 5) {
        this.#end(FRAME_SIZE_ERROR, 'HEADERS without its priority (RFC 9113, 6.2)')
        return
      }
      this.#blockDependsOnItself = readStreamId(payload, from) === streamId
      from += 5
    }
    const to = end - padding
    if (to < from) {
      this.#end(PROTOCOL_ERROR, 'more padding than payload (RFC 9113, 6.2)')
      return
    }
    this.#blockEndsStream = (flags & FLAG.END_STREAM) !== 0
    if ((flags & FLAG.END_HEADERS) !== 0) {
      this.#fields(streamId, payload, from, to)
      return
    }
    this.#blockStream = streamId
    this.#blockLength = 0
    this.#continuations = 0
    this.#append(payload, from, to)
  }

  #continuation(payload: Uint8Array, start: number, end: number): void {
    const { streamId } = this.reader
    const ends = (this.reader.flags & FLAG.END_HEADERS) !== 0
    if (++this.#continuations > this.#limits.maxContinuations) {
      this.#connection.end(ENHANCE_YOUR_CALM, 'CONTINUATION_FLOOD', 'too many CONTINUATION frames for one block')
      return
    }
    if (start === end && !ends && this.#connection.flood(FLOOD.USELESS)) return
    if (!this.#append(payload, start, end) || !ends) return
    const block = this.#block!
    this.#block = undefined
    this.#blockStream = 0
    this.#fields(streamId, block, 0, this.#blockLength)
  }

  #append(payload: Uint8Array, from: number, to: number): boolean {
    const length = this.#blockLength + to - from
    if (length > this.#limits.maxBlockBytes) {
      this.#connection.end(ENHANCE_YOUR_CALM, 'CONTINUATION_FLOOD', 'header block too large as received')
      return false
    }
    let block = this.#block
    if (block === undefined || block.length < length) {
      const wider = new Uint8Array(Math.max(1024, length * 2))
      if (block !== undefined) copyBytes(wider, 0, block, 0, this.#blockLength)
      this.#block = block = wider
    }
    this.#blockLength = copyBytes(block, this.#blockLength, payload, from, to)
    return true
  }

  /** A header block is complete. It is decoded whatever becomes of it, to keep the tables in step (RFC 9113, 4.3). */
  #fields(id: number, block: Uint8Array, from: number, to: number): void {
    const connection = this.#connection
    const endStream = this.#blockEndsStream
    const fields = spareLists.pop() ?? new FieldList()
    fields.clear()
    const outcome = this.decoder.decode(block, from, to, fields)
    if (outcome === BLOCK_MALFORMED) {
      this.#end(COMPRESSION_ERROR, 'malformed header block (RFC 7541)')
    } else if (outcome === BLOCK_BOMB) {
      connection.end(ENHANCE_YOUR_CALM, 'HEADER_BOMB', 'the fields of a header block are far too large')
    } else {
      const stream = this.#streamFor(id)
      if (stream !== undefined) this.#deliver(stream, fields, outcome === BLOCK_TOO_LARGE, endStream)
    }
    if (fields.bytes.length <= KEPT_LIST_BYTES) spareLists.push(fields)
  }

  /** The stream that a header block is for, a new one if need be; undefined when nobody is to hear of it. */
  #streamFor(id: number): Http2Stream | undefined {
    const connection = this.#connection
    const { table } = connection
    const stream = table.open.get(id)
    if (stream !== undefined) {
      if (this.#blockDependsOnItself) connection.streamError(id, PROTOCOL_ERROR)
      else if (stream.remoteEnding) connection.streamError(id, STREAM_CLOSED)
      else return stream
      return undefined
    }
    if (!table.isIdle(id)) {
      if (table.wasSkipped(id)) this.#end(PROTOCOL_ERROR, 'a stream of lower number than one before (RFC 9113, 5.1.1)')
      else this.#forClosed(id, 'HEADERS')
      return undefined
    }
    table.takeRemoteId(id)
    if (connection.shutdown.refusesNew) return undefined
    if (this.#blockDependsOnItself) {
      connection.refuse(id, PROTOCOL_ERROR, FLOOD.RESETS)
      return undefined
    }
    if (connection.streams >= connection.settings.maxStreams) {
      connection.refuse(id, REFUSED_STREAM, FLOOD.REFUSALS)
      return undefined
    }
    return connection.accept(id)
  }

  #deliver(stream: Http2Stream, fields: FieldList, tooLarge: boolean, endStream: boolean): void {
    const interim = this.#role === 'client' && !tooLarge && !stream.headReceived && isInterim(fields)
    // RFC 9113, 8.1: trailers end the stream, an interim response does not.
    if (interim ? endStream : stream.headReceived && !endStream) {
      this.#connection.streamError(stream.id, PROTOCOL_ERROR)
      return
    }
    stream.headReceived = !interim
    stream.remoteEnding = endStream
    if (!stream.inputAbandoned) {
      if (tooLarge) stream.handler.onFieldsTooLarge(stream, endStream, fields)
      else stream.handler.onFields(stream, fields, endStream)
    }
    if (endStream) this.#connection.remoteEnd(stream)
  }

  #dataHead(id: number, length: number): void {
    const connection = this.#connection
    if (!connection.windows.received(length)) {
      this.#end(FLOW_CONTROL_ERROR, 'more DATA than the connection has window for (RFC 9113, 6.9.1)')
      return
    }
    const stream = connection.table.open.get(id)
    this.#dataStream = undefined
    if (stream === undefined) {
      this.#forClosed(id, 'DATA')
    } else if (stream.remoteEnding) {
      connection.streamError(id, STREAM_CLOSED)
    } else if (!stream.headReceived) {
      connection.streamError(id, PROTOCOL_ERROR)
    } else if ((stream.receiveWindow -= length) < 0) {
      connection.streamError(id, FLOW_CONTROL_ERROR)
    } else {
      this.#dataStream = stream
      if ((this.reader.flags & FLAG.END_STREAM) !== 0) stream.remoteEnding = true
    }
  }

  #data(buffer: Uint8Array, start: number, end: number): void {
    const stream = this.#dataStream
    if (stream === undefined || stream.closed) return
    const bytes = end - start
    stream.dataReceived += bytes
    stream.unconsumed += bytes
    this.#connection.windows.unconsumed += bytes
    this.#dataBytes += bytes
    if (stream.inputAbandoned) this.#connection.consume(stream, bytes)
    else stream.handler.onData(stream, buffer, start, end)
  }

  #dataEnd(endStream: boolean): void {
    const stream = this.#dataStream
    const bytes = this.#dataBytes
    if (bytes > 0) this.#connection.meter.dataReceived()
    this.#dataBytes = 0
    this.#dataStream = undefined
    if (bytes === 0 && !endStream && this.#connection.flood(FLOOD.USELESS)) return
    if (stream === undefined || stream.closed) return
    // Padding is nothing that the layer above could consume.
    if (this.reader.length > bytes) this.#connection.windows.giveBack(stream, this.reader.length - bytes)
    if (endStream) {
      stream.remoteEnding = true
      this.#connection.remoteEnd(stream)
    }
  }

  /** RFC 9113, 5.1: an error, unless we closed the stream ourselves and the peer may not know yet. */
  #forClosed(id: number, what: string): void {
    const connection = this.#connection
    const { table } = connection
    if (table.wasReset(id) || connection.shutdown.refusesNew || table.forgets) connection.flood(FLOOD.USELESS)
    else this.#end(STREAM_CLOSED, `${what} on a stream that is closed (RFC 9113, 5.1)`)
  }

  #end(code: number, detail: string): void {
    this.#connection.end(code, 'PROTOCOL', detail)
  }
}

/** `:status` comes first (RFC 9113, 8.3.2); 1xx announces that another head follows. */
function isInterim({ bytes, offsets, count }: FieldList): boolean {
  if (count === 0) return false
  const start = offsets[0]!
  const value = offsets[FIELD_WORDS - 2]!
  // ":status" and no other pseudo-header field that a response may have: RFC 9113, 8.3.2.
  return offsets[1]! - start === 7 && bytes[start] === 0x3a && bytes[start + 1] === 0x73 && bytes[value] === 0x31
}
