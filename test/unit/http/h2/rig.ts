import { ManualClock } from '../../../../src/core/clock.js'
import type { Ahead, Conn, ConnHandler, Endpoint, Silence } from '../../../../src/core/conn.js'
import { Http2Connection } from '../../../../src/http/h2/connection.js'
import {
  DEFAULT_H2_LIMITS,
  DEFAULT_H2_SETTINGS,
  H2_ERROR,
  type H2Connection,
  type H2Failure,
  type H2Handler,
  type H2Limits,
  type H2Role,
  type H2Settings,
  type H2Stream,
  type H2StreamHandler,
} from '../../../../src/http/h2/engine.js'
import { FIELD_WORDS, FieldList } from '../../../../src/http/h2/field-list.js'
import { FLAG, FRAME } from '../../../../src/http/h2/frames.js'
import { BLOCK_OK, HpackDecoder } from '../../../../src/http/h2/hpack-decoder.js'
import { HpackEncoder } from '../../../../src/http/h2/hpack-encoder.js'

export type Field = readonly [name: string, value: string]

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
export const GET: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'a.example'],
  [':path', '/'],
]
export const OK: readonly Field[] = [
  [':status', '200'],
  ['content-type', 'text/plain'],
]

export function fieldList(fields: readonly Field[]): FieldList {
  const list = new FieldList()
  for (const [name, value] of fields) {
    const left = Buffer.from(name, 'latin1')
    const right = Buffer.from(value, 'latin1')
    list.push(left, 0, left.length, right, 0, right.length)
  }
  return list
}

export function fieldsOf({ bytes, offsets, count }: FieldList): Field[] {
  const text = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString('latin1')
  return Array.from({ length: count }, (_, i): Field => {
    const at = i * FIELD_WORDS
    return [text(offsets[at]!, offsets[at + 1]!), text(offsets[at + 2]!, offsets[at + 3]!)]
  })
}

export function encode(fields: readonly Field[], encoder = new HpackEncoder(4096)): Buffer {
  const list = fieldList(fields)
  const out = Buffer.alloc(encoder.bound(list))
  return out.subarray(0, encoder.encode(list, out, 0))
}

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id >>> 0, 5)
  return Buffer.concat([head, payload])
}

export function uint32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) out.writeUInt32BE(value >>> 0, i * 4)
  return out
}

/** Pairs of identifier and value. */
export function settings(...pairs: (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6)
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, i * 6)
    payload.writeUInt32BE(value, i * 6 + 2)
  }
  return frame(FRAME.SETTINGS, 0, 0, payload)
}

export const SETTINGS_ACK = frame(FRAME.SETTINGS, FLAG.ACK, 0)

/** A whole header block in one frame; literals only, so that any number of them fits any state of the tables. */
export function headers(id: number, fields: readonly Field[], flags = 0): Buffer {
  return frame(FRAME.HEADERS, FLAG.END_HEADERS | flags, id, encode(fields, new HpackEncoder(0)).subarray(1))
}

export const END = FLAG.END_STREAM

export interface SeenFrame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

export function framesOf(bytes: Buffer): SeenFrame[] {
  const seen: SeenFrame[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    seen.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      id: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    })
    at += 9 + length
  }
  return seen
}

const ERROR_NAMES = Object.keys(H2_ERROR)
export const errorName = (code: number): string => ERROR_NAMES[code] ?? String(code)

/** A `Conn` that keeps what is written to it, and takes no more than it is allowed to. */
export class FakeConn implements Conn {
  handler = {} as ConnHandler
  context: unknown
  readonly peer: Endpoint = { family: 4, address: '127.0.0.1', port: 1 }
  readonly local: Endpoint = this.peer
  bytesRead = 0
  bytesWritten = 0
  lastActiveMs = 0
  readSize = 65536
  closed = false
  ended = false
  aborted = false
  /** Calls of `write`. */
  writes = 0
  /** The peer reads; otherwise `write` says false. */
  reads = true
  readonly tls = undefined
  readonly dialledMs = 0
  share = undefined
  readonly peerReset = false
  readonly unacknowledgedBytes = 0
  silence: Silence | undefined = undefined
  #chunks: Buffer[] = []

  write(buffer: Uint8Array, start: number, end: number): boolean {
    if (this.closed || this.ended) return false
    this.writes++
    this.#chunks.push(Buffer.from(buffer.subarray(start, end)))
    if (this.reads) this.bytesWritten += end - start
    return this.reads
  }

  /** All that was written since the last call. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#chunks)
    this.#chunks = []
    return bytes
  }

  lookAhead(): Ahead {
    return this.closed ? 2 : 0
  }

  pause(): void {}
  resume(): void {}
  end(): void {
    this.ended = true
  }
  close(): void {
    this.end()
  }
  abort(): void {
    this.aborted = true
    this.closed = true
  }
}

/** Notes what it is told, in words; what a test wants to do then it sets. */
export class Recorder implements H2Handler, H2StreamHandler {
  readonly events: string[] = []
  readonly streams: H2Stream[] = []
  readonly fields: Field[][] = []
  failure: H2Failure | undefined
  data = Buffer.alloc(0)
  /** Gives window back at once. */
  consumes = true
  onRequest: ((stream: H2Stream, endStream: boolean) => void) | undefined

  onStream(stream: H2Stream): void {
    this.streams.push(stream)
    stream.handler = this
    this.events.push(`stream ${stream.id}`)
  }
  onSettings(): void {
    this.events.push('settings')
  }
  onStreamsFree(): void {
    this.events.push('streams free')
  }
  onIdle(): void {
    this.events.push('idle')
  }
  onGoAway(_connection: H2Connection, code: number): void {
    this.events.push(`goaway ${errorName(code)}`)
  }
  onFailure(_connection: H2Connection, failure: H2Failure): void {
    this.failure = failure
    this.events.push(`failure ${errorName(failure.code)} ${failure.reason}`)
  }
  onFields(stream: H2Stream, fields: FieldList, endStream: boolean): void {
    this.fields.push(fieldsOf(fields))
    this.events.push(`fields ${stream.id}${endStream ? ' end' : ''}`)
    this.onRequest?.(stream, endStream)
  }
  onFieldsTooLarge(stream: H2Stream, endStream: boolean): void {
    this.events.push(`too large ${stream.id}${endStream ? ' end' : ''}`)
  }
  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    this.data = Buffer.concat([this.data, buffer.subarray(start, end)])
    this.events.push(`data ${stream.id} ${end - start}`)
    if (this.consumes) stream.consume(end - start)
  }
  onEnd(stream: H2Stream): void {
    this.events.push(`end ${stream.id}`)
  }
  onWritable(stream: H2Stream): void {
    this.events.push(`writable ${stream.id}`)
  }
  onReset(stream: H2Stream, code: number, retryable: boolean): void {
    this.events.push(`reset ${stream.id} ${errorName(code)}${retryable ? ' retryable' : ''}`)
  }
}

export interface RigOptions {
  readonly role?: H2Role
  readonly settings?: Partial<H2Settings>
  readonly limits?: Partial<H2Limits>
  /** Leaves the exchange of SETTINGS to the test. */
  readonly raw?: boolean
}

/** One connection whose peer is the test, frame by frame. */
export class Rig<Told extends Recorder = Recorder> {
  readonly conn = new FakeConn()
  readonly clock = new ManualClock(1000)
  readonly told: Told
  readonly connection: Http2Connection
  readonly decoder = new HpackDecoder(1e6, 1e7)
  readonly #role: H2Role
  #pending: H2Connection[] = []

  constructor(options: RigOptions = {}, told: Told = new Recorder() as Told) {
    this.told = told
    this.#role = options.role ?? 'server'
    this.connection = new Http2Connection(this.conn, {
      role: this.#role,
      settings: { ...DEFAULT_H2_SETTINGS, ...options.settings },
      limits: { ...DEFAULT_H2_LIMITS, ...options.limits },
      handler: this.told,
      clock: this.clock,
      turn: { flushLater: (connection) => this.#pending.push(connection) },
    })
    this.connection.start()
    if (options.raw) return
    this.flush()
    this.give(this.#role === 'server' ? PREFACE : Buffer.alloc(0), settings(), SETTINGS_ACK)
    this.conn.take()
    this.told.events.length = 0
  }

  /** Bytes from the peer, each part as it comes in a buffer of its own that is spoilt afterwards. */
  give(...parts: readonly Buffer[]): void {
    const bytes = Buffer.concat(parts)
    const lent = Buffer.alloc(bytes.length + 4, 0xee)
    bytes.copy(lent, 2)
    this.connection.receive(lent, 2, 2 + bytes.length)
    lent.fill(0xdd)
    this.flush()
  }

  giveInPieces(size: number, ...parts: readonly Buffer[]): void {
    const bytes = Buffer.concat(parts)
    for (let at = 0; at < bytes.length; at += size) this.give(bytes.subarray(at, at + size))
  }

  /** The end of a turn. */
  flush(): void {
    const list = this.#pending
    this.#pending = []
    for (const connection of list) connection.flush()
  }

  /** Frames that went out since the last call. */
  sent(): SeenFrame[] {
    this.flush()
    const bytes = this.conn.take()
    const skipped = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0
    return framesOf(bytes.subarray(skipped))
  }

  /** The same in words, like `HEADERS 1 end` or `RST_STREAM 3 CANCEL`. */
  said(): string[] {
    return this.sent().map((seen) => this.#words(seen))
  }

  request(fields: readonly Field[] = GET): H2Stream {
    const stream = this.connection.openStream(this.told)!
    stream.sendFields(fieldList(fields), true)
    return stream
  }

  #words({ type, flags, id, payload }: SeenFrame): string {
    switch (type) {
      case FRAME.DATA:
        return `DATA ${id} ${payload.length}${flags & END ? ' end' : ''}`
      case FRAME.HEADERS: {
        const list = new FieldList()
        if (flags & FLAG.END_HEADERS && this.decoder.decode(payload, 0, payload.length, list) !== BLOCK_OK)
          return 'HEADERS malformed'
        const status = fieldsOf(list).find(([name]) => name === ':status')?.[1] ?? ''
        return `HEADERS ${id}${status && ` ${status}`}${flags & END ? ' end' : ''}`
      }
      case FRAME.RST_STREAM:
        return `RST_STREAM ${id} ${errorName(payload.readUInt32BE(0))}`
      case FRAME.SETTINGS:
        return flags & FLAG.ACK ? 'SETTINGS ack' : 'SETTINGS'
      case FRAME.PING:
        return `PING${flags & FLAG.ACK ? ' ack' : ''}`
      case FRAME.GOAWAY:
        return `GOAWAY ${payload.readUInt32BE(0)} ${errorName(payload.readUInt32BE(4))}`
      case FRAME.WINDOW_UPDATE:
        return `WINDOW_UPDATE ${id} ${payload.readUInt32BE(0)}`
      default:
        return `${type} ${id}`
    }
  }
}
