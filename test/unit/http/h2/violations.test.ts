import t, { type Test } from 'tap'
import { FLAG, FRAME, SETTING } from '../../../../src/http/h2/frames.js'
import {
  END,
  encode,
  fieldList,
  frame,
  GET,
  headers,
  OK,
  PREFACE,
  Rig,
  type RigOptions,
  SETTINGS_ACK,
  settings,
  uint32,
} from './rig.js'

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } = FRAME
const { END_HEADERS, PADDED, ACK } = FLAG

/** What has to come of it: an error of the connection, of stream 1, or nothing at all. */
type Outcome = { readonly connection: string } | { readonly stream: string } | 'fine'
const dies = (connection: string): Outcome => ({ connection })
const resets = (stream: string): Outcome => ({ stream })

const open = headers(1, GET)
const whole = headers(1, GET, END)
const block = encode(GET)
const some = Buffer.from('data')
const zeros = (length: number): Buffer => Buffer.alloc(length)
const dependency = (id: number): Buffer => Buffer.concat([uint32(id), Buffer.from([16])])
const increment = (id: number, by: number): Buffer => frame(WINDOW_UPDATE, 0, id, uint32(by))
const reset = (id: number): Buffer => frame(RST_STREAM, 0, id, uint32(8))
const PROTOCOL = dies('PROTOCOL_ERROR')
const SIZE = dies('FRAME_SIZE_ERROR')
const FLOW = dies('FLOW_CONTROL_ERROR')
const CLOSED = dies('STREAM_CLOSED')

type Case = readonly [what: string, input: readonly Buffer[], expected: Outcome]

/** Towards a server, after the SETTINGS of both sides. */
const SERVER: readonly Case[] = [
  // 4.1, 4.2
  ['a reserved bit set in a stream id', [frame(HEADERS, END_HEADERS | END, 0x8000_0001, block)], 'fine'],
  ['flags that mean nothing on PING', [frame(PING, 0xfe, 0, zeros(8))], 'fine'],
  ['a frame of an unknown type', [frame(0xbe, 0xff, 0, zeros(100)), frame(0xbe, 0, 1, zeros(1))], 'fine'],
  ['an empty frame of an unknown type', [frame(0xbe, 0, 77)], 'fine'],
  ['DATA of the largest size', [open, frame(DATA, END, 1, zeros(16_384))], 'fine'],
  ['DATA one byte larger', [open, frame(DATA, END, 1, zeros(16_385))], SIZE],
  ['HEADERS too large', [frame(HEADERS, END_HEADERS, 1, zeros(16_385))], SIZE],
  ['an unknown frame too large', [frame(0xbe, 0, 0, zeros(16_385))], SIZE],
  ['SETTINGS too large', [frame(SETTINGS, 0, 0, zeros(16_386))], SIZE],
  // 4.3
  ['a malformed header block', [frame(HEADERS, END_HEADERS, 1, Buffer.from([0x80]))], dies('COMPRESSION_ERROR')],
  ['a header block cut off', [frame(HEADERS, END_HEADERS, 1, Buffer.from([0x41]))], dies('COMPRESSION_ERROR')],
  [
    'a malformed header block for a stream that was reset',
    [open, frame(DATA, 0, 1, zeros(1)), increment(1, 0), frame(HEADERS, END_HEADERS, 1, Buffer.from([0x80]))],
    dies('COMPRESSION_ERROR'),
  ],
  // 5.1: idle
  ['DATA on an idle stream', [frame(DATA, 0, 1, some)], PROTOCOL],
  ['RST_STREAM on an idle stream', [frame(RST_STREAM, 0, 1, uint32(8))], PROTOCOL],
  ['WINDOW_UPDATE on an idle stream', [increment(1, 1)], PROTOCOL],
  ['CONTINUATION on an idle stream', [frame(CONTINUATION, END_HEADERS, 1, block)], PROTOCOL],
  ['PRIORITY on an idle stream', [frame(PRIORITY, 0, 1, dependency(0))], 'fine'],
  ['DATA on an even stream', [frame(DATA, 0, 2, some)], PROTOCOL],
  ['RST_STREAM on an even stream', [frame(RST_STREAM, 0, 2, uint32(8))], PROTOCOL],
  // 5.1: half-closed (remote)
  ['DATA after the end', [whole, frame(DATA, 0, 1, some)], resets('STREAM_CLOSED')],
  ['HEADERS after the end', [whole, headers(1, GET, END)], resets('STREAM_CLOSED')],
  ['DATA after the end by DATA', [open, frame(DATA, END, 1, some), frame(DATA, 0, 1, some)], resets('STREAM_CLOSED')],
  ['CONTINUATION after the end', [whole, frame(CONTINUATION, END_HEADERS, 1, block)], PROTOCOL],
  ['WINDOW_UPDATE after the end', [whole, increment(1, 1)], 'fine'],
  ['PRIORITY after the end', [whole, frame(PRIORITY, 0, 1, dependency(0))], 'fine'],
  ['RST_STREAM after the end', [whole, frame(RST_STREAM, 0, 1, uint32(8))], 'fine'],
  // 5.1: closed
  ['DATA after RST_STREAM', [open, frame(RST_STREAM, 0, 1, uint32(8)), frame(DATA, 0, 1, some)], CLOSED],
  ['HEADERS after RST_STREAM', [open, frame(RST_STREAM, 0, 1, uint32(8)), whole], CLOSED],
  ['RST_STREAM twice', [open, frame(RST_STREAM, 0, 1, uint32(8)), frame(RST_STREAM, 0, 1, uint32(8))], 'fine'],
  [
    'PRIORITY after RST_STREAM',
    [open, frame(RST_STREAM, 0, 1, uint32(8)), frame(PRIORITY, 0, 1, dependency(0))],
    'fine',
  ],
  ['WINDOW_UPDATE after RST_STREAM', [open, frame(RST_STREAM, 0, 1, uint32(8)), increment(1, 1)], 'fine'],
  ['DATA after our RST_STREAM', [open, increment(1, 0), frame(DATA, END, 1, some)], resets('PROTOCOL_ERROR')],
  ['trailers after our RST_STREAM', [open, increment(1, 0), headers(1, [['a', 'b']], END)], resets('PROTOCOL_ERROR')],
  // 5.1.1
  ['HEADERS on an even stream', [headers(2, GET, END)], PROTOCOL],
  ['HEADERS on a lower stream', [headers(5, GET, END), headers(3, GET, END)], PROTOCOL],
  ['HEADERS on a lower stream that was used', [whole, reset(1), headers(5, GET, END), whole], CLOSED],
  ['DATA on a stream that was skipped', [headers(5, GET, END), frame(DATA, END, 3, some)], CLOSED],
  ['the highest stream id', [headers(2 ** 31 - 1, GET, END)], 'fine'],
  // 5.3.1 of RFC 7540
  [
    'HEADERS that depend on themselves',
    [frame(HEADERS, END_HEADERS | FLAG.PRIORITY | END, 1, Buffer.concat([dependency(1), block]))],
    resets('PROTOCOL_ERROR'),
  ],
  [
    'HEADERS with a priority',
    [frame(HEADERS, END_HEADERS | FLAG.PRIORITY | END, 1, Buffer.concat([dependency(0x8000_0003), block]))],
    'fine',
  ],
  ['PRIORITY that depends on itself', [open, frame(PRIORITY, 0, 1, dependency(1))], resets('PROTOCOL_ERROR')],
  ['PRIORITY of an idle stream on itself', [frame(PRIORITY, 0, 1, dependency(1))], 'fine'],
  // 6.1
  ['DATA on stream 0', [frame(DATA, 0, 0, some)], PROTOCOL],
  ['DATA with padding', [open, frame(DATA, PADDED | END, 1, Buffer.from([2, 1, 0, 0]))], 'fine'],
  ['DATA of padding only', [open, frame(DATA, PADDED | END, 1, Buffer.from([2, 0, 0]))], 'fine'],
  ['DATA with more padding than payload', [open, frame(DATA, PADDED | END, 1, Buffer.from([4, 1, 0, 0]))], PROTOCOL],
  ['DATA with as much padding as payload', [open, frame(DATA, PADDED | END, 1, Buffer.from([3, 0, 0]))], PROTOCOL],
  ['DATA without its padding length', [open, frame(DATA, PADDED | END, 1)], PROTOCOL],
  // 6.2
  ['HEADERS on stream 0', [frame(HEADERS, END_HEADERS | END, 0, block)], PROTOCOL],
  [
    'HEADERS with padding',
    [frame(HEADERS, END_HEADERS | END | PADDED, 1, Buffer.concat([Buffer.from([2]), block, zeros(2)]))],
    'fine',
  ],
  [
    'HEADERS with more padding than payload',
    [frame(HEADERS, END_HEADERS | PADDED, 1, Buffer.from([4, 0x82, 0x86]))],
    PROTOCOL,
  ],
  ['HEADERS without their padding length', [frame(HEADERS, END_HEADERS | PADDED, 1)], SIZE],
  ['HEADERS without their priority', [frame(HEADERS, END_HEADERS | FLAG.PRIORITY, 1, zeros(4))], SIZE],
  [
    'HEADERS with padding where the block should be',
    [frame(HEADERS, END_HEADERS | FLAG.PRIORITY | PADDED, 1, Buffer.concat([Buffer.from([1]), dependency(0)]))],
    PROTOCOL,
  ],
  // 6.3
  ['PRIORITY on stream 0', [frame(PRIORITY, 0, 0, dependency(1))], PROTOCOL],
  ['PRIORITY of 4 bytes on an open stream', [open, frame(PRIORITY, 0, 1, zeros(4))], resets('FRAME_SIZE_ERROR')],
  ['PRIORITY of 6 bytes on an idle stream', [frame(PRIORITY, 0, 1, zeros(6))], SIZE],
  // 6.4
  ['RST_STREAM on stream 0', [frame(RST_STREAM, 0, 0, uint32(8))], PROTOCOL],
  ['RST_STREAM of 3 bytes', [open, frame(RST_STREAM, 0, 1, zeros(3))], SIZE],
  ['RST_STREAM of 5 bytes', [open, frame(RST_STREAM, 0, 1, zeros(5))], SIZE],
  ['RST_STREAM of an unknown code', [open, frame(RST_STREAM, 0, 1, uint32(0xff))], 'fine'],
  // 6.5
  ['SETTINGS on a stream', [frame(SETTINGS, 0, 1, zeros(6))], PROTOCOL],
  ['SETTINGS of 5 bytes', [frame(SETTINGS, 0, 0, zeros(5))], SIZE],
  ['an acknowledgement with a payload', [frame(SETTINGS, ACK, 0, zeros(6))], SIZE],
  ['an acknowledgement nobody waits for', [SETTINGS_ACK], 'fine'],
  ['ENABLE_PUSH 2', [settings([SETTING.ENABLE_PUSH, 2])], PROTOCOL],
  ['ENABLE_PUSH 1', [settings([SETTING.ENABLE_PUSH, 1])], 'fine'],
  ['INITIAL_WINDOW_SIZE of 2^31', [settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31])], FLOW],
  ['INITIAL_WINDOW_SIZE of 2^31 − 1', [settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31 - 1])], 'fine'],
  ['MAX_FRAME_SIZE of 16,383', [settings([SETTING.MAX_FRAME_SIZE, 16_383])], PROTOCOL],
  ['MAX_FRAME_SIZE of 2^24', [settings([SETTING.MAX_FRAME_SIZE, 2 ** 24])], PROTOCOL],
  ['MAX_FRAME_SIZE of 2^24 − 1', [settings([SETTING.MAX_FRAME_SIZE, 2 ** 24 - 1])], 'fine'],
  ['ENABLE_CONNECT_PROTOCOL 2', [settings([SETTING.ENABLE_CONNECT_PROTOCOL, 2])], PROTOCOL],
  ['ENABLE_CONNECT_PROTOCOL taken back', [settings([8, 1]), settings([8, 0])], PROTOCOL],
  ['an unknown setting', [settings([0xff, 0xffff_ffff])], 'fine'],
  [
    'a setting twice in a frame',
    [settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31 - 1], [SETTING.INITIAL_WINDOW_SIZE, 1])],
    'fine',
  ],
  ['a good setting before a bad one', [settings([SETTING.INITIAL_WINDOW_SIZE, 1], [SETTING.ENABLE_PUSH, 2])], PROTOCOL],
  // 6.6
  [
    'PUSH_PROMISE from a client',
    [open, frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), block]))],
    PROTOCOL,
  ],
  // 6.7
  ['PING on a stream', [frame(PING, 0, 1, zeros(8))], PROTOCOL],
  ['PING of 6 bytes', [frame(PING, 0, 0, zeros(6))], SIZE],
  ['PING of 9 bytes', [frame(PING, 0, 0, zeros(9))], SIZE],
  ['an answer to no PING', [frame(PING, ACK, 0, Buffer.from('nobodyas'))], 'fine'],
  // 6.8
  ['GOAWAY on a stream', [frame(GOAWAY, 0, 1, zeros(8))], PROTOCOL],
  ['GOAWAY of 7 bytes', [frame(GOAWAY, 0, 0, zeros(7))], SIZE],
  ['GOAWAY with words', [open, frame(GOAWAY, 0, 0, Buffer.concat([zeros(8), some]))], 'fine'],
  // 6.9
  ['WINDOW_UPDATE of 3 bytes', [frame(WINDOW_UPDATE, 0, 0, zeros(3))], SIZE],
  ['WINDOW_UPDATE of 0 for the connection', [increment(0, 0)], PROTOCOL],
  ['WINDOW_UPDATE of 0 for a stream', [open, increment(1, 0)], resets('PROTOCOL_ERROR')],
  ['a connection window of 2^31 − 1', [increment(0, 2 ** 31 - 1 - 65_535)], 'fine'],
  ['a connection window beyond 2^31 − 1', [increment(0, 2 ** 31 - 65_535)], FLOW],
  ['a connection window beyond, bit by bit', [increment(0, 2 ** 30), increment(0, 2 ** 30)], FLOW],
  ['a stream window beyond 2^31 − 1', [open, increment(1, 2 ** 31 - 65_535)], resets('FLOW_CONTROL_ERROR')],
  [
    'a stream window beyond by SETTINGS',
    [open, increment(1, 2 ** 31 - 1 - 65_535), settings([SETTING.INITIAL_WINDOW_SIZE, 65_536])],
    FLOW,
  ],
  ['a reserved bit set in an increment', [frame(WINDOW_UPDATE, 0, 0, uint32(0x8000_0001))], 'fine'],
  // 6.10
  ['CONTINUATION after a whole block', [open, frame(CONTINUATION, END_HEADERS, 1, block)], PROTOCOL],
  [
    'CONTINUATION of another stream',
    [frame(HEADERS, 0, 1, block), frame(CONTINUATION, END_HEADERS, 3, block)],
    PROTOCOL,
  ],
  ['CONTINUATION on stream 0', [frame(HEADERS, 0, 1, block), frame(CONTINUATION, END_HEADERS, 0, block)], PROTOCOL],
  ['DATA within a block', [frame(HEADERS, 0, 1, block), frame(DATA, 0, 1, some)], PROTOCOL],
  ['HEADERS within a block', [frame(HEADERS, 0, 1, block), frame(HEADERS, END_HEADERS, 3, block)], PROTOCOL],
  ['PING within a block', [frame(HEADERS, 0, 1, block), frame(PING, 0, 0, zeros(8))], PROTOCOL],
  ['an unknown frame within a block', [frame(HEADERS, 0, 1, block), frame(0xbe, 0, 0)], PROTOCOL],
  [
    'a block in three parts',
    [
      frame(HEADERS, END, 1, block.subarray(0, 1)),
      frame(CONTINUATION, 0, 1, block.subarray(1, 3)),
      frame(CONTINUATION, END_HEADERS, 1, block.subarray(3)),
    ],
    'fine',
  ],
  // 8.1
  ['trailers', [open, frame(DATA, 0, 1, some), headers(1, [['a', 'b']], END)], 'fine'],
  ['trailers that do not end', [open, headers(1, [['a', 'b']])], resets('PROTOCOL_ERROR')],
  // RFC 9218
  ['PRIORITY_UPDATE', [frame(FRAME.PRIORITY_UPDATE, 0, 0, Buffer.concat([uint32(1), Buffer.from('u=1')]))], 'fine'],
  ['PRIORITY_UPDATE on a stream', [frame(FRAME.PRIORITY_UPDATE, 0, 1, uint32(1))], PROTOCOL],
]

/** Towards a server, from the first byte. */
const OPENING: readonly Case[] = [
  ['preface and SETTINGS', [PREFACE, settings()], 'fine'],
  ['another preface', [Buffer.from('GET / HTTP/1.1\r\n\r\n')], PROTOCOL],
  ['a preface that is wrong at its end', [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r!')], PROTOCOL],
  ['a first frame that is not SETTINGS', [PREFACE, frame(PING, 0, 0, zeros(8))], PROTOCOL],
  ['HEADERS before SETTINGS', [PREFACE, whole], PROTOCOL],
  ['an acknowledgement before SETTINGS', [PREFACE, SETTINGS_ACK], PROTOCOL],
  ['an unknown frame before SETTINGS', [PREFACE, frame(0xbe, 0, 0)], PROTOCOL],
]

const answered = headers(1, OK)

/** Towards a client that has sent a request without a body on stream 1. */
const CLIENT: readonly Case[] = [
  ['a whole response', [answered, frame(DATA, END, 1, some)], 'fine'],
  ['interim responses', [headers(1, [[':status', '100']]), headers(1, [[':status', '103']]), answered], 'fine'],
  ['an interim response that ends', [headers(1, [[':status', '103']], END)], resets('PROTOCOL_ERROR')],
  ['a second head', [answered, headers(1, OK)], resets('PROTOCOL_ERROR')],
  ['trailers', [answered, headers(1, [['a', 'b']], END)], 'fine'],
  ['DATA before the head', [frame(DATA, 0, 1, some)], resets('PROTOCOL_ERROR')],
  [
    'DATA after an interim response',
    [headers(1, [[':status', '100']]), frame(DATA, 0, 1, some)],
    resets('PROTOCOL_ERROR'),
  ],
  ['HEADERS on an even stream', [headers(2, OK)], PROTOCOL],
  ['HEADERS on a stream that was not opened', [headers(3, OK)], PROTOCOL],
  ['DATA on a stream that was not opened', [frame(DATA, 0, 3, some)], PROTOCOL],
  ['PUSH_PROMISE', [frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), block]))], PROTOCOL],
  ['ENABLE_PUSH 1', [settings([SETTING.ENABLE_PUSH, 1])], PROTOCOL],
  ['ENABLE_PUSH 0', [settings([SETTING.ENABLE_PUSH, 0])], 'fine'],
  ['DATA after the whole response', [headers(1, OK, END), frame(DATA, 0, 1, some)], CLOSED],
  ['WINDOW_UPDATE after the whole response', [headers(1, OK, END), increment(1, 5)], 'fine'],
  ['RST_STREAM with NO_ERROR', [answered, frame(RST_STREAM, 0, 1, uint32(0))], 'fine'],
]

function check(t: Test, cases: readonly Case[], options: RigOptions, begin?: (rig: Rig) => void): void {
  for (const [what, input, expected] of cases) {
    for (const size of [Number.POSITIVE_INFINITY, 1]) {
      const rig = new Rig(options)
      begin?.(rig)
      rig.conn.take()
      if (size === 1) rig.giveInPieces(1, ...input)
      else rig.give(...input)
      const said = rig.said()
      const name = size === 1 ? `${what}, byte by byte` : what
      const found = {
        connection: said.find((words) => /GOAWAY/.test(words) && !/NO_ERROR/.test(words))?.replace(/GOAWAY \d+ /, ''),
        stream: said.find((words) => /RST_STREAM 1/.test(words))?.replace('RST_STREAM 1 ', ''),
        failure: rig.told.failure?.reason,
        ended: rig.conn.ended,
      }
      if (expected === 'fine') {
        t.match(found, { connection: undefined, stream: undefined, failure: undefined }, name)
      } else if ('connection' in expected) {
        t.match(found, { connection: expected.connection, failure: 'PROTOCOL', ended: true }, name)
        t.ok(rig.connection.closed, `${name}: it is closed`)
        t.equal(rig.connection.streams, 0, `${name}: no stream is left`)
        rig.give(Buffer.from('more'))
        t.same(rig.said(), [], `${name}: nothing is said to what comes then`)
      } else {
        t.match(found, { connection: undefined, stream: expected.stream, ended: false }, name)
        t.notOk(rig.connection.closed, `${name}: the connection lives`)
        rig.give(frame(PING, 0, 0, zeros(8)))
        t.same(rig.said(), ['PING ack'], `${name}: and answers`)
      }
    }
  }
}

t.test('what RFC 9113 forbids ends the connection or the stream, with the error it names', async (t) => {
  t.ok(SERVER.length + OPENING.length + CLIENT.length > 110)
  t.test('towards a server', async (t) => check(t, SERVER, {}))
  t.test('at the start', async (t) => check(t, OPENING, { raw: true }))
  t.test('towards a client', async (t) => {
    check(t, CLIENT, { role: 'client' }, (rig) => {
      rig.request()
      rig.flush()
    })
  })
})

t.test('flow control', async (t) => {
  t.test('more DATA than the stream has window for is an error of the stream', async (t) => {
    const rig = new Rig({ settings: { streamWindowBytes: 20_000 } })
    rig.told.consumes = false
    rig.give(open, frame(DATA, 0, 1, zeros(16_384)), frame(DATA, 0, 1, zeros(3616)))
    t.same(rig.said(), [], 'as much as there is')
    rig.give(frame(DATA, 0, 1, zeros(1)))
    t.same(rig.said(), ['RST_STREAM 1 FLOW_CONTROL_ERROR'])
    t.match(rig.told.events.at(-2), 'reset 1 FLOW_CONTROL_ERROR')
  })
  t.test('padding counts', async (t) => {
    const rig = new Rig({ settings: { streamWindowBytes: 20_000 } })
    rig.told.consumes = false
    const padded = Buffer.concat([Buffer.from([255]), zeros(10_000)])
    rig.give(open, frame(DATA, PADDED, 1, padded), frame(DATA, PADDED, 1, padded))
    t.same(rig.said(), ['RST_STREAM 1 FLOW_CONTROL_ERROR'])
  })
  t.test('padding is given back without anybody consuming it', async (t) => {
    const rig = new Rig({ settings: { streamWindowBytes: 400, connectionWindowBytes: 1_000_000 } })
    rig.give(open, frame(DATA, PADDED, 1, Buffer.concat([Buffer.from([199]), zeros(199)])))
    t.same(rig.said(), ['WINDOW_UPDATE 1 200'])
  })
  t.test('the window of the connection is given back while streams keep theirs', async (t) => {
    const rig = new Rig({ settings: { streamWindowBytes: 100_000, connectionWindowBytes: 65_535 } })
    rig.told.consumes = false
    const ids = [1, 3, 5, 7]
    rig.give(...ids.map((id) => headers(id, GET)), ...ids.map((id) => frame(DATA, 0, id, zeros(16_384))))
    t.same(rig.said(), ['WINDOW_UPDATE 0 32768', 'WINDOW_UPDATE 0 32768'])
  })
  t.test('before it has acknowledged ours, the peer may count with 65,535', async (t) => {
    const rig = new Rig({ raw: true, settings: { streamWindowBytes: 100 } })
    rig.told.consumes = false
    rig.give(PREFACE, settings(), open, frame(DATA, 0, 1, zeros(16_384)))
    t.equal(rig.told.failure, undefined)
    t.notMatch(rig.said().join(), /RST_STREAM/)
    rig.give(SETTINGS_ACK, frame(DATA, 0, 1, zeros(1)))
    t.same(rig.said(), ['RST_STREAM 1 FLOW_CONTROL_ERROR'], 'and after that with what was announced')
  })
})

t.test('streams', async (t) => {
  t.test('those beyond the limit are refused, their fields are decoded, the others go on', async (t) => {
    const rig = new Rig({ settings: { maxStreams: 2 } })
    const indexed = frame(HEADERS, END_HEADERS, 5, Buffer.from('4001610162', 'hex'))
    rig.give(headers(1, GET), headers(3, GET), indexed, frame(DATA, END, 5, some))
    t.same(rig.said(), ['RST_STREAM 5 REFUSED_STREAM'])
    rig.give(frame(RST_STREAM, 0, 1, uint32(8)), frame(HEADERS, END_HEADERS | END, 7, Buffer.from([0xbe])))
    t.same(rig.told.fields.at(-1), [['a', 'b']])
  })
  t.test('fields too large are told to the layer above, which answers', async (t) => {
    const rig = new Rig({ settings: { maxHeaderListBytes: 200 } })
    rig.give(headers(1, [...GET, ['a', 'x'.repeat(100)]]))
    t.same(rig.told.events, ['stream 1', 'too large 1'])
    rig.told.streams[0]!.sendFields(fieldList([[':status', '431']]), true)
    rig.told.streams[0]!.abandonInput()
    t.same(rig.said(), ['HEADERS 1 431 end', 'RST_STREAM 1 NO_ERROR'])
    rig.give(frame(DATA, END, 1, some), headers(3, GET, END))
    t.same(rig.told.events.slice(2), ['idle', 'stream 3', 'fields 3 end', 'end 3'])
  })
})
