import fc from 'fast-check'
import t from 'tap'
import { ManualClock } from '../../../../src/core/clock.js'
import type { Conn, ConnHandler } from '../../../../src/core/conn.js'
import { Http2Connection } from '../../../../src/http/h2/connection.js'
import {
  DEFAULT_H2_LIMITS,
  DEFAULT_H2_SETTINGS,
  type H2Role,
  type H2Stream,
  type H2StreamHandler,
} from '../../../../src/http/h2/engine.js'
import { FRAME } from '../../../../src/http/h2/frames.js'
import { MemoryTransport } from '../../../memory/memory-transport.js'
import { SEED } from '../../../random.js'
import { END, fieldList, frame, framesOf, GET, headers, OK, Recorder, Rig, settings, uint32 } from './rig.js'

t.comment(`seed ${SEED}`)

/** What one stream carries, so that every byte tells where it belongs. */
function body(stream: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + stream * 7 + (i >> 8)) & 255
  return bytes
}

/** The peer as RFC 9113 sees it: grants windows, and counts whether we keep to them. */
class Accountant {
  readonly rig: Rig
  readonly #received = new Map<number, Buffer>()
  readonly #ended = new Set<number>()
  readonly #windows = new Map<number, number>()
  #connection = 65_535
  #initial = 65_535

  constructor() {
    this.rig = new Rig({ limits: { maxTinyFrames: 1e9, maxWindowUpdates: 1e9, maxSettings: 1e9 } })
  }

  open(id: number): H2Stream {
    this.#windows.set(id, this.#initial)
    this.#received.set(id, Buffer.alloc(0))
    this.rig.give(headers(id, GET, END))
    const stream = this.rig.told.streams.at(-1)!
    stream.sendFields(fieldList(OK), false)
    return stream
  }

  setInitial(size: number): void {
    for (const [id, window] of this.#windows) this.#windows.set(id, window + size - this.#initial)
    this.#initial = size
    this.rig.give(settings([4, size]))
  }

  grant(id: number, bytes: number): void {
    if (id === 0) this.#connection += bytes
    else this.#windows.set(id, this.#windows.get(id)! + bytes)
    this.rig.give(frame(FRAME.WINDOW_UPDATE, 0, id, uint32(bytes)))
  }

  /** Reads what was sent; throws when it was more than allowed. */
  read(): void {
    this.rig.flush()
    for (const { type, flags, id, payload } of framesOf(this.rig.conn.take())) {
      if (type !== FRAME.DATA) continue
      if (payload.length > 0) {
        const left = this.#windows.get(id)! - payload.length
        this.#windows.set(id, left)
        this.#connection -= payload.length
        if (left < 0 || this.#connection < 0) throw new Error(`stream ${id} sent more than its window`)
      }
      if (this.#ended.has(id)) throw new Error(`stream ${id} goes on after its end`)
      if (flags & END) this.#ended.add(id)
      this.#received.set(id, Buffer.concat([this.#received.get(id)!, payload]))
    }
  }

  /** Opens every window until all is here. */
  finish(ids: readonly number[]): void {
    for (let round = 0; ids.some((id) => !this.#ended.has(id)); round++) {
      if (round > 100) throw new Error('it never ends')
      this.grant(0, 100_000)
      for (const id of ids) this.grant(id, Math.max(1, 50_000 - this.#windows.get(id)!))
      this.read()
    }
  }

  received(id: number): Buffer {
    return this.#received.get(id)!
  }
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), stream: fc.nat(3), bytes: fc.nat(40_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('grant' as const), stream: fc.nat(4), bytes: fc.nat(30_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('initial' as const), bytes: fc.nat(70_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('block' as const), reads: fc.boolean() }) },
)

t.test('never more is in flight than the windows allow, and all of it arrives in order', async () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const peer = new Accountant()
      const ids = [1, 3, 5, 7]
      const streams = ids.map((id) => peer.open(id))
      const sent = ids.map(() => 0)
      for (const action of actions) {
        if (action.kind === 'send') {
          const id = ids[action.stream]!
          const from = sent[action.stream]!
          sent[action.stream] = from + action.bytes
          const bytes = Buffer.from(body(id, from + action.bytes).subarray(from))
          streams[action.stream]!.sendData(bytes, 0, bytes.length, false)
          bytes.fill(0xee)
        } else if (action.kind === 'grant') {
          peer.grant(action.stream === 4 ? 0 : ids[action.stream]!, action.bytes + 1)
        } else if (action.kind === 'initial') {
          peer.setInitial(action.bytes)
        } else {
          peer.rig.conn.reads = action.reads
          if (action.reads) peer.rig.connection.onWritable()
        }
        peer.read()
      }
      peer.rig.conn.reads = true
      peer.rig.connection.onWritable()
      for (const stream of streams) stream.sendData(Buffer.alloc(0), 0, 0, true)
      peer.finish(ids)
      for (const [i, id] of ids.entries()) {
        if (!peer.received(id).equals(body(id, sent[i]!))) throw new Error(`stream ${id} is not what was sent`)
      }
      if (peer.rig.connection.streams !== 0) throw new Error('streams are left')
    }),
    { seed: SEED, numRuns: 300 },
  )
})

t.test('streams that wait take turns, a frame each', async (t) => {
  const rig = new Rig()
  rig.give(settings([4, 1_000_000]), headers(1, GET, END), headers(3, GET, END), headers(5, GET, END))
  const large = Buffer.alloc(100_000)
  for (const stream of rig.told.streams) {
    stream.sendFields(fieldList(OK), false)
    stream.sendData(large, 0, large.length, true)
  }
  rig.sent()
  rig.give(frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1_000_000)))
  const order = rig.sent().map(({ id }) => id)
  t.same(order.slice(0, 6), [1, 3, 5, 1, 3, 5])
})

t.test('trailers and the end wait for the data before them', async (t) => {
  const rig = new Rig()
  rig.give(settings([4, 10]), headers(1, GET, END))
  const stream = rig.told.streams[0]!
  stream.sendFields(fieldList(OK), false)
  t.equal(stream.sendData(Buffer.alloc(25), 0, 25, false), false)
  const trailers = fieldList([['x-sum', '1']])
  stream.sendFields(trailers, true)
  trailers.clear()
  t.equal(stream.queuedBytes, 15)
  t.same(rig.said(), ['SETTINGS ack', 'HEADERS 1 200', 'DATA 1 10'])
  rig.give(frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(10)))
  t.same(rig.said(), ['DATA 1 10'])
  rig.give(frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(10)))
  t.same(rig.said(), ['DATA 1 5', 'HEADERS 1 end'])
  t.same(rig.told.events.slice(-2), ['writable 1', 'idle'])
})

t.test('while the peer does not read, data waits in its stream and not in the connection', async (t) => {
  const rig = new Rig()
  rig.give(settings([4, 10_000_000]), headers(1, GET, END), frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(10_000_000)))
  const stream = rig.told.streams[0]!
  stream.sendFields(fieldList(OK), false)
  rig.conn.reads = false
  const large = Buffer.alloc(1_000_000)
  t.equal(stream.sendData(large, 0, large.length, true), false)
  const handed = rig.sent().reduce((sum, { type, payload }) => sum + (type === FRAME.DATA ? payload.length : 0), 0)
  t.ok(handed < 150_000, `${handed} bytes were handed on`)
  t.equal(stream.queuedBytes, 1_000_000 - handed)
  rig.conn.reads = true
  rig.connection.onWritable()
  t.equal(stream.queuedBytes, 0)
  const last = (1_000_000 - handed) % 16_384
  t.equal(rig.said().at(-1), `DATA 1 ${last} end`)
})

t.test('all frames of a turn go out in one write', async (t) => {
  const rig = new Rig()
  rig.told.onRequest = (stream) => {
    stream.sendFields(fieldList(OK), false)
    stream.sendData(Buffer.alloc(100), 0, 100, true)
  }
  rig.conn.writes = 0
  rig.give(...Array.from({ length: 50 }, (_, i) => headers(2 * i + 1, GET, END)))
  t.equal(rig.conn.writes, 1)
  t.equal(rig.said().length, 100)
  rig.conn.writes = 0
  rig.told.onRequest = undefined
  rig.give(headers(101, GET, END), headers(103, GET, END))
  for (const stream of rig.told.streams.slice(-2)) stream.sendFields(fieldList(OK), true)
  rig.flush()
  t.equal(rig.conn.writes, 1, 'also of a turn that the peer did not begin')
})

t.test('a stalled reader holds no more than its window, and the others go on', async (t) => {
  const rig = new Rig({ settings: { streamWindowBytes: 65_536, connectionWindowBytes: 65_535 } })
  rig.give(headers(1, [...GET]), headers(3, [...GET]))
  const [stuck] = rig.told.streams
  rig.told.consumes = false
  for (let n = 0; n < 4; n++) rig.give(frame(FRAME.DATA, 0, 1, Buffer.alloc(16_384)))
  t.notMatch(rig.said().join(), /WINDOW_UPDATE 1/)
  rig.told.consumes = true
  for (let n = 0; n < 100; n++) rig.give(frame(FRAME.DATA, 0, 3, Buffer.alloc(16_384)))
  t.equal(rig.told.failure, undefined)
  t.equal(rig.told.streams[1]!.dataReceived, 100 * 16_384)
  rig.conn.take()
  stuck!.consume(65_536)
  t.same(rig.said(), ['WINDOW_UPDATE 1 65536'])
})

t.test('input that was abandoned is thrown away, and its window given back', async (t) => {
  const rig = new Rig()
  rig.give(headers(1, GET))
  const stream = rig.told.streams[0]!
  stream.abandonInput()
  rig.give(frame(FRAME.DATA, 0, 1, Buffer.alloc(16_384)), frame(FRAME.DATA, 0, 1, Buffer.alloc(16_384)))
  t.same(rig.said(), ['WINDOW_UPDATE 1 32768'])
  stream.sendFields(fieldList(OK), true)
  t.same(rig.said(), ['HEADERS 1 200 end', 'RST_STREAM 1 NO_ERROR'])
  rig.give(frame(FRAME.DATA, END, 1, Buffer.alloc(100)))
  t.notMatch(rig.told.events.join(), /data|end 1|reset/)
  t.notOk(rig.connection.closed)
})

/** Both roles of the engine over memory that takes little at a time. */
class Bridge implements ConnHandler {
  engine!: Http2Connection
  onOpen(): void {}
  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    this.engine.receive(buffer, 0, length)
  }
  onEnd(): void {
    this.engine.receiveEnd()
  }
  onWritable(): void {
    this.engine.onWritable()
  }
  onClose(): void {
    this.engine.connClosed()
  }
}

/** Sends a body piece by piece, as it is let, and consumes what comes back late or at once. */
class Sender implements H2StreamHandler {
  received = Buffer.alloc(0)
  ended = false
  lost = ''
  #rest: Buffer
  readonly #piece: number
  constructor(rest: Buffer, piece: number) {
    this.#rest = rest
    this.#piece = piece
  }
  send(stream: H2Stream): void {
    for (let free = true; free && this.#rest.length > 0; ) {
      const piece = this.#rest.subarray(0, this.#piece)
      this.#rest = this.#rest.subarray(this.#piece)
      free = stream.sendData(piece, 0, piece.length, this.#rest.length === 0)
    }
  }
  onFields(): void {}
  onFieldsTooLarge(): void {}
  onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    this.received = Buffer.concat([this.received, buffer.subarray(start, end)])
    stream.consume(end - start)
  }
  onEnd(): void {
    this.ended = true
  }
  onWritable(stream: H2Stream): void {
    this.send(stream)
  }
  onReset(_stream: H2Stream, code: number): void {
    this.lost = String(code)
  }
}

class Mirror extends Recorder {
  override onData(stream: H2Stream, buffer: Uint8Array, start: number, end: number): void {
    if (stream.sendData(buffer, start, end, false)) stream.consume(end - start)
  }
  override onEnd(stream: H2Stream): void {
    stream.sendData(Buffer.alloc(0), 0, 0, true)
  }
  override onWritable(stream: H2Stream): void {
    stream.consume(2 ** 30)
  }
}

const window = fc.oneof(fc.integer({ min: 300, max: 2000 }), fc.integer({ min: 60_000, max: 70_000 }))

t.test('whatever the windows, room and pieces, bodies come back whole', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(100_000), { minLength: 1, maxLength: 6 }),
      fc.record({ client: window, server: window, capacity: fc.integer({ min: 100, max: 70_000 }) }),
      fc.integer({ min: 500, max: 40_000 }),
      (sizes, { client, server, capacity }, piece) => {
        const clock = new ManualClock(1)
        const transport = new MemoryTransport(clock, { capacityBytes: capacity })
        const ends = [new Bridge(), new Bridge()] as const
        const conns = transport.pair(...ends)
        const mirror = new Mirror()
        mirror.onRequest = (stream) => stream.sendFields(fieldList(OK), false)
        const limits = { ...DEFAULT_H2_LIMITS, maxTinyFrames: 1e9, maxWindowUpdates: 1e9 }
        const made = (role: H2Role, i: 0 | 1, streamWindowBytes: number): Http2Connection => {
          const engine = new Http2Connection(conns[i], {
            role,
            settings: { ...DEFAULT_H2_SETTINGS, streamWindowBytes },
            limits,
            handler: mirror,
            clock,
            turn: { flushLater: () => {} },
          })
          ends[i].engine = engine
          engine.start()
          return engine
        }
        const asking = made('client', 0, client)
        const serving = made('server', 1, server)
        const bodies = sizes.map((size, i) => body(i, size + 1))
        const senders = bodies.map((bytes) => {
          const sender = new Sender(bytes, piece)
          const stream = asking.openStream(sender)!
          stream.sendFields(fieldList(GET), false)
          sender.send(stream)
          return sender
        })
        for (let turns = 0; ; turns++) {
          asking.flush()
          serving.flush()
          if (!transport.turn()) break
          if (turns > 100_000) throw new Error('it never ends')
        }
        for (const [i, sender] of senders.entries()) {
          if (!sender.ended || sender.lost !== '') throw new Error(`body ${i}: ${sender.lost}`)
          if (!sender.received.equals(bodies[i]!)) throw new Error(`body ${i} is another`)
        }
        if (asking.streams + serving.streams > 0) throw new Error('streams are left')
        transport.dispose()
      },
    ),
    { seed: SEED, numRuns: 100 },
  )
})
