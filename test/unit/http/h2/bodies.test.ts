import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { CHUNK_DATA, CHUNK_END, ChunkedDecoder } from '../../../../src/http/chunked-decoder.js'
import { BodyToData } from '../../../../src/http/h2/body-to-data.js'
import { DataToBody } from '../../../../src/http/h2/data-to-body.js'
import type { H2Stream } from '../../../../src/http/h2/engine.js'
import type { FieldList } from '../../../../src/http/h2/field-list.js'
import { HeadBuffer } from '../../../../src/http/h2/head-buffer.js'
import { trailersToLines } from '../../../../src/http/h2/trailer-lines.js'
import { FRAMING_CHUNKED, FRAMING_LENGTH } from '../../../../src/http/response-parser.js'
import { SEED } from '../../../random.js'
import { type Field, fieldsOf, fieldList as listOf } from './rig.js'

t.comment(`seed ${SEED}`)
const LIMITS = { maxHeaderBytes: 4096, maxHeaders: 16 }

/** Takes what is sent on a stream. */
class Recorder {
  data = Buffer.alloc(0)
  frames = 0
  trailers: Field[] | undefined
  ended = false

  sendData(buffer: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    if (this.ended) throw new Error('sent behind the end')
    this.data = Buffer.concat([this.data, buffer.subarray(start, end)])
    this.frames++
    this.ended = endStream
    return true
  }

  sendFields(fields: FieldList, endStream: boolean): void {
    if (this.ended) throw new Error('sent behind the end')
    this.trailers = fieldsOf(fields)
    this.ended = endStream
  }
}

/** Passes `bytes` on in the pieces that `cuts` makes of them. */
function pass(body: BodyToData, bytes: Buffer, cuts: readonly number[]): Recorder {
  const stream = new Recorder()
  let from = 0
  for (const cut of [...cuts.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length]) {
    // A copy of its own, so that reading beyond it shows.
    const piece = Buffer.from(bytes.subarray(from, cut))
    body.pass(stream as unknown as H2Stream, piece, 0, piece.length)
    from = cut
  }
  return stream
}

const places = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 6 })
const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 })
const sum = (parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)))

t.test('a chunked body comes to the same DATA and trailers however it is cut', async () => {
  const body = new BodyToData(LIMITS)
  fc.assert(
    fc.property(pieces, places, fc.boolean(), (parts, cuts, trailers) => {
      const framed = [
        ...parts.map((part) =>
          Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
        ),
        Buffer.from(trailers ? '0\r\nGrpc-Status: 0\r\nx-b: c\r\n\r\n' : '0\r\n\r\n'),
      ]
      body.begin(FRAMING_CHUNKED, -1)
      const stream = pass(body, Buffer.concat(framed), cuts)
      deepEqual(stream.data, sum(parts))
      deepEqual(
        stream.trailers,
        trailers
          ? [
              ['grpc-status', '0'],
              ['x-b', 'c'],
            ]
          : undefined,
      )
      deepEqual([stream.ended, body.done, body.malformed], [true, true, false])
    }),
    { seed: SEED, numRuns: 500 },
  )
})

t.test('a body of known length ends its stream with its last byte', async () => {
  const body = new BodyToData(LIMITS)
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), places, (bytes, cuts) => {
      body.begin(FRAMING_LENGTH, bytes.length)
      const stream = pass(body, Buffer.from(bytes), cuts)
      deepEqual(stream.data, Buffer.from(bytes))
      deepEqual([stream.ended, body.done], [true, true])
    }),
    { seed: SEED, numRuns: 200 },
  )
})

t.test('small chunks of one read go out as one frame', async (t) => {
  const body = new BodyToData(LIMITS)
  body.begin(FRAMING_CHUNKED, -1)
  const stream = pass(body, Buffer.from('1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n'), [])
  t.same([stream.data.toString(), stream.frames, stream.ended], ['abc', 1, true])
})

t.test('broken framing is no end', async (t) => {
  const body = new BodyToData(LIMITS)
  body.begin(FRAMING_CHUNKED, -1)
  const stream = pass(body, Buffer.from('1\r\naX'), [])
  t.same([stream.ended, body.malformed], [false, true])
})

t.test('DATA becomes chunks that decode to it', async () => {
  const decoder = new ChunkedDecoder(LIMITS)
  fc.assert(
    fc.property(pieces, (parts) => {
      const body = new DataToBody()
      body.begin(-1, true)
      const framed: Buffer[] = []
      for (const part of parts) {
        body.frame(part, 0, part.length)
        framed.push(Buffer.from(body.bytes.slice(body.start, body.end)))
      }
      const all = Buffer.concat([...framed, Buffer.from('0\r\n\r\n')])
      decoder.reset()
      const out: Buffer[] = []
      let event = decoder.next(all, 0, all.length)
      for (; event === CHUNK_DATA; event = decoder.next(all, decoder.position, all.length))
        out.push(all.subarray(decoder.dataStart, decoder.dataEnd))
      deepEqual([event, Buffer.concat(out)], [CHUNK_END, sum(parts)])
    }),
    { seed: SEED, numRuns: 200 },
  )
})

t.test('DATA is counted against the length', async (t) => {
  const body = new DataToBody()
  body.begin(5, false)
  t.same([body.count(3), body.whole], [true, false])
  t.same([body.count(2), body.whole], [true, true])
  t.equal(body.count(1), false)
})

t.test('trailers are lines, and nothing else can be among them', async (t) => {
  const out = new HeadBuffer()
  t.ok(
    trailersToLines(
      listOf([
        ['grpc-status', '0'],
        ['grpc-message', 'ok'],
      ]),
      out,
    ),
  )
  t.equal(Buffer.from(out.bytes.subarray(0, out.length)).toString(), 'grpc-status: 0\r\ngrpc-message: ok\r\n')
  for (const field of [
    [':status', '200'],
    ['Upper', 'x'],
    ['x', 'a\r\nb: c'],
    ['transfer-encoding', 'chunked'],
    ['', 'x'],
  ] as const) {
    t.notOk(trailersToLines(listOf([field]), new HeadBuffer()), field.join(': '))
  }
})
