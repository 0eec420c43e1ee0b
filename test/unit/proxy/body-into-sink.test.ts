import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { Conn } from '../../../src/core/conn.js'
import { ChunkedDecoder } from '../../../src/http/chunked-decoder.js'
import { NameSet } from '../../../src/http/name-set.js'
import {
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_UNTIL_CLOSE,
  type Framing,
} from '../../../src/http/response-parser.js'
import type { AnswerSink } from '../../../src/proxy/answer-sink.js'
import { BodyRelay } from '../../../src/proxy/h1/body-relay.js'
import { SEED } from '../../random.js'

t.comment(`seed ${SEED}`)
const LIMITS = { maxHeaderBytes: 4096, maxHeaders: 16 }
/** Nothing is written to the connection where there is a sink. */
const nobody = undefined as unknown as Conn
const scratch = new Uint8Array(1024)

class Recorder implements AnswerSink {
  parts: Buffer[] = []
  lines = ''
  ended = false
  taken = true

  head(): number {
    return 0
  }

  data(buffer: Uint8Array, start: number, end: number, last: boolean): boolean {
    if (this.ended) throw new Error('data behind the end')
    if (start === end && !last) throw new Error('data without any')
    this.parts.push(Buffer.from(buffer.subarray(start, end)))
    this.ended = last
    return this.taken
  }

  trailers(lines: Uint8Array, length: number): void {
    if (this.ended) throw new Error('trailers behind the end')
    this.lines = Buffer.from(lines.subarray(0, length)).toString('latin1')
    this.ended = true
  }

  get whole(): Buffer {
    return Buffer.concat(this.parts)
  }
}

const relay = (): BodyRelay => new BodyRelay(new ChunkedDecoder(LIMITS))

/** Relays `bytes` in the pieces that `cuts` makes of them; answers how many were taken. */
function pass(body: BodyRelay, bytes: Buffer, cuts: readonly number[]): number {
  let taken = 0
  let from = 0
  for (const cut of [...cuts.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length]) {
    const piece = Buffer.from(bytes.subarray(from, cut))
    taken += body.relay(nobody, scratch, 0, piece, 0, piece.length)
    from = cut
  }
  return taken
}

const places = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 6 })
const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 2000 }), { maxLength: 8 })

t.test(
  'a chunked body comes to its data and trailers however it is cut, and small chunks of a read to one frame',
  async () => {
    fc.assert(
      fc.property(pieces, places, fc.boolean(), (parts, cuts, trailed) => {
        const framed = Buffer.concat([
          ...parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
          Buffer.from(trailed ? '0\r\nGrpc-Status:0\r\n\r\n' : '0\r\n\r\n'),
        ])
        const sink = new Recorder()
        const body = relay()
        body.beginInto(sink, FRAMING_CHUNKED, -1, 30)
        deepEqual(pass(body, framed, cuts), framed.length)
        const sent = Buffer.concat(parts)
        deepEqual(sink.whole, sent)
        deepEqual([sink.ended, body.done, body.malformed, body.blocked], [true, true, false, false])
        deepEqual(sink.lines, trailed ? 'Grpc-Status: 0\r\n' : '')
        deepEqual([body.bytes, body.written], [sent.length, sent.length + 30])
        if (cuts.length === 0 && sent.length <= scratch.length) deepEqual(sink.parts.length <= 1, true)
      }),
      { seed: SEED, numRuns: 500 },
    )
  },
)

t.test('a body of known length ends with its last byte, and what is behind it is none of it', async (t) => {
  const sink = new Recorder()
  const body = relay()
  body.beginInto(sink, FRAMING_LENGTH, 5, 0)
  t.equal(pass(body, Buffer.from('ab'), []), 2)
  t.equal(sink.ended, false)
  t.equal(pass(body, Buffer.from('cdeHTTP'), []), 3)
  t.same([sink.whole.toString(), sink.ended, body.done], ['abcde', true, true])
})

t.test('without a body nothing is sent', async (t) => {
  const sink = new Recorder()
  const body = relay()
  body.beginInto(sink, FRAMING_LENGTH, 0, 12)
  t.same([pass(body, Buffer.from('x'), []), sink.parts.length, body.done, body.none], [0, 0, true, true])
})

t.test('the end of the connection is the end of a body that lasts until then, and cuts every other', async (t) => {
  const cases: readonly [Framing, whole: boolean][] = [
    [FRAMING_UNTIL_CLOSE, true],
    [FRAMING_LENGTH, false],
    [FRAMING_CHUNKED, false],
  ]
  for (const [framing, whole] of cases) {
    const sink = new Recorder()
    const body = relay()
    body.beginInto(sink, framing, 9, 0)
    pass(body, Buffer.from('2\r\nab'), [])
    body.endOfStream(nobody, scratch)
    t.same([sink.ended, body.done, body.malformed], [whole, whole, !whole])
  }
})

t.test(
  'trailers that come with the end of a stream follow its body, in chunks where the client reads those',
  async (t) => {
    const lines = Buffer.from('grpc-status: 0\r\nx-a: 1\r\n')
    const removed = new NameSet(['x-a'])
    const cases = [
      [undefined, 'grpc-status: 0\r\nx-a: 1\r\n'],
      [removed, 'grpc-status: 0\r\n'],
      [new NameSet(['x-a', 'grpc-status']), ''],
    ] as const
    for (const [without, left] of cases) {
      const sink = new Recorder()
      const body = relay()
      body.beginInto(sink, FRAMING_UNTIL_CLOSE, -1, 0)
      if (without !== undefined) body.removeTrailers(without)
      pass(body, Buffer.from('ab'), [])
      body.endOfStream(nobody, scratch, Buffer.concat([lines, Buffer.from('more')]), lines.length)
      t.same([sink.whole.toString(), sink.lines, sink.ended, body.done], ['ab', left, true, true])

      let written = ''
      const client = {
        write(buffer: Uint8Array, start: number, end: number): boolean {
          written += Buffer.from(buffer.subarray(start, end)).toString()
          return true
        },
      } as Conn
      for (const chunked of [true, false]) {
        written = ''
        body.begin(FRAMING_UNTIL_CLOSE, -1, chunked)
        if (without !== undefined) body.removeTrailers(without)
        body.relay(client, scratch, 0, Buffer.from('ab'), 0, 2)
        body.endOfStream(client, scratch, lines, lines.length)
        t.equal(written, chunked ? `2\r\nab\r\n0\r\n${left}\r\n` : 'ab')
        t.equal(body.written, written.length)
      }
    }
  },
)

t.test('broken framing is no end', async (t) => {
  const sink = new Recorder()
  const body = relay()
  body.beginInto(sink, FRAMING_CHUNKED, -1, 0)
  pass(body, Buffer.from('1\r\naX'), [])
  t.same([sink.ended, body.malformed, body.done], [false, true, false])
})

t.test('what the sink does not take blocks the body, until it is asked again', async (t) => {
  const sink = new Recorder()
  const body = relay()
  body.beginInto(sink, FRAMING_LENGTH, 4, 0)
  sink.taken = false
  pass(body, Buffer.from('ab'), [])
  t.equal(body.blocked, true)
  sink.taken = true
  pass(body, Buffer.from('cd'), [])
  t.same([body.blocked, body.done, sink.whole.toString()], [false, true, 'abcd'])
})
