import t from 'tap'
import { FLAG, FRAME, SETTING } from '../../../src/http/h2/frames.js'
import { Peer } from '../../fuzz/memory-castor.js'
import {
  encode,
  type Field,
  frame,
  framesOf,
  GET,
  headers,
  PREFACE,
  SETTINGS_ACK,
  settings,
  uint32,
} from '../http/h2/rig.js'
import { MemoryThread } from './memory-thread.js'

const TARGET = '192.0.2.11'
const PIECES = 5
const PIECE = Buffer.alloc(1_000, 'x')
const TRAILERS: readonly Field[] = [
  ['grpc-status', '0'],
  ['content-type', 'text/plain'],
]
const { HEADERS, DATA, RST_STREAM, WINDOW_UPDATE } = FRAME
const { END_HEADERS, END_STREAM } = FLAG

/** An answer of unknown length: its body in pieces, then its end. */
function answer(id: number, trailed: boolean, reset: boolean): Buffer {
  const last = PIECES - 1
  const end = trailed ? headers(id, TRAILERS, END_STREAM) : frame(DATA, END_STREAM, id)
  const pieces = Array.from({ length: last }, () => frame(DATA, 0, id, PIECE))
  const noMore = reset ? [frame(RST_STREAM, 0, id, uint32(0))] : []
  return Buffer.concat([headers(id, [[':status', '200']]), ...pieces, frame(DATA, 0, id, PIECE), end, ...noMore])
}

for (const trailed of [false, true]) {
  for (const reset of [false, true]) {
    const what = `${trailed ? 'trailers' : 'an end'}${reset ? ' and a reset' : ''}`
    t.test(`${what} behind a body that nobody reads yet come once it is read`, async (t) => {
      const memory = new MemoryThread({
        listeners: [{ name: 'web', protocol: 'http', listen: '192.0.2.1:80', targetGroup: 'one', http2: true }],
        targetGroups: [
          { name: 'one', protocol: 'h2c', healthCheck: { protocol: 'off' }, targets: [{ address: `${TARGET}:80` }] },
        ],
      })
      const { transport } = memory
      transport.unlisten(TARGET, 80)
      const resets: number[] = []
      transport.listen(TARGET, 80, (records, socket) => {
        const target = new Peer((handler) => transport.adopt(records, 0, socket, handler))
        target.send(Buffer.concat([settings(), SETTINGS_ACK]))
        target.onData = (_conn, buffer, length) => {
          const bytes = Buffer.from(buffer.subarray(0, length))
          const isFirst = bytes.subarray(0, PREFACE.length).equals(PREFACE)
          for (const { type, id } of framesOf(isFirst ? bytes.subarray(PREFACE.length) : bytes)) {
            if (type === HEADERS) target.send(answer(id, trailed, reset))
            if (type === RST_STREAM) resets.push(id)
          }
        }
      })
      const client = memory.connect(80)
      const fields = GET.map(
        ([name, value]): Field => [name, name === ':scheme' ? 'http' : name === ':method' && reset ? 'POST' : value],
      )
      // What ends with a reset is a request that is still on its way.
      const flags = END_HEADERS | (reset ? 0 : END_STREAM)
      const request = frame(HEADERS, flags, 1, encode(fields))
      await memory.send(
        client,
        Buffer.concat([PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, 0]), SETTINGS_ACK, request]),
      )
      const seen = (): ReturnType<typeof framesOf> =>
        framesOf(Buffer.from(client.received, 'latin1')).filter(({ id }) => id === 1)
      t.same(
        seen().map(({ type }) => type),
        [HEADERS],
        'a head, and no window for more',
      )
      await memory.send(client, frame(WINDOW_UPDATE, 0, 1, uint32(PIECES * PIECE.length)))
      await memory.settle()
      const frames = seen().filter(({ type }) => type !== WINDOW_UPDATE)
      const data = frames.filter(({ type }) => type === DATA)
      t.equal(
        data.reduce((sum, { payload }) => sum + payload.length, 0),
        PIECES * PIECE.length,
      )
      const ends = frames.filter(({ flags }) => (flags & END_STREAM) !== 0)
      t.same(
        ends.map(({ type }) => type),
        [trailed ? HEADERS : DATA],
      )
      if (trailed) t.equal(ends[0]!.payload.includes('content-type'), false)
      t.same(
        reset ? [] : frames.filter(({ type }) => type === RST_STREAM),
        [],
        'a request that was whole is not reset towards its client',
      )
      t.same(resets, [], 'nor is the stream of a target that has said all')
      t.same(memory.faults, [])
    })
  }
}
