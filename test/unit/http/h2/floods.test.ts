import t from 'tap'
import { DEFAULT_H2_LIMITS, type H2FailureReason, type H2Limits } from '../../../../src/http/h2/engine.js'
import { FLAG, FRAME } from '../../../../src/http/h2/frames.js'
import { HpackEncoder } from '../../../../src/http/h2/hpack-encoder.js'
import { END, encode, fieldList, frame, GET, headers, OK, PREFACE, Rig, SETTINGS_ACK, settings, uint32 } from './rig.js'

const { DATA, HEADERS, PRIORITY, RST_STREAM, PING, WINDOW_UPDATE, CONTINUATION } = FRAME
const block = encode(GET)
const zeros = (length: number): Buffer => Buffer.alloc(length)

interface Flood {
  readonly what: string
  readonly reason: H2FailureReason
  readonly limits: Partial<H2Limits>
  readonly settings?: { readonly maxStreams: number }
  /** Before the count begins. */
  readonly first?: readonly Buffer[]
  /** The nth time of it; the limit lets `allowed` through. */
  readonly once: (n: number) => Buffer
  readonly allowed: number
}

const idOf = (n: number): number => 2 * n + 1

const FLOODS: readonly Flood[] = [
  {
    what: 'streams opened and reset at once',
    reason: 'RAPID_RESET',
    limits: { maxResets: 20 },
    once: (n) => Buffer.concat([headers(idOf(n), GET), frame(RST_STREAM, 0, idOf(n), uint32(8))]),
    allowed: 20,
  },
  {
    what: 'streams that make us reset them',
    reason: 'RAPID_RESET',
    limits: { maxResets: 20 },
    once: (n) => Buffer.concat([headers(idOf(n), GET), frame(WINDOW_UPDATE, 0, idOf(n), uint32(0))]),
    allowed: 20,
  },
  {
    what: 'streams that depend on themselves',
    reason: 'RAPID_RESET',
    limits: { maxResets: 20 },
    once: (n) =>
      frame(
        HEADERS,
        FLAG.END_HEADERS | FLAG.PRIORITY,
        idOf(n),
        Buffer.concat([uint32(idOf(n)), Buffer.from([0]), headers(1, GET).subarray(9)]),
      ),
    allowed: 20,
  },
  {
    what: 'streams beyond the limit',
    reason: 'STREAMS_REFUSED',
    limits: { maxRefusals: 20 },
    settings: { maxStreams: 1 },
    first: [headers(1, GET)],
    once: (n) => headers(idOf(n + 1), GET),
    allowed: 20,
  },
  {
    what: 'SETTINGS',
    reason: 'SETTINGS_FLOOD',
    limits: { maxSettings: 20 },
    once: () => settings([5, 16_384]),
    // The handshake brought one, and an acknowledgement.
    allowed: 18,
  },
  {
    what: 'acknowledgements of SETTINGS',
    reason: 'SETTINGS_FLOOD',
    limits: { maxSettings: 20 },
    once: () => SETTINGS_ACK,
    allowed: 18,
  },
  {
    what: 'PING',
    reason: 'PING_FLOOD',
    limits: { maxPings: 20 },
    once: () => frame(PING, 0, 0, zeros(8)),
    allowed: 20,
  },
  {
    what: 'answers to no PING',
    reason: 'PING_FLOOD',
    limits: { maxPings: 20 },
    once: () => frame(PING, FLAG.ACK, 0, zeros(8)),
    allowed: 20,
  },
  {
    what: 'PRIORITY',
    reason: 'PRIORITY_FLOOD',
    limits: { maxPriorities: 20 },
    once: (n) => frame(PRIORITY, 0, idOf(n), zeros(5)),
    allowed: 20,
  },
  {
    what: 'PRIORITY_UPDATE',
    reason: 'PRIORITY_FLOOD',
    limits: { maxPriorities: 20 },
    once: () => frame(FRAME.PRIORITY_UPDATE, 0, 0, uint32(1)),
    allowed: 20,
  },
  {
    what: 'DATA without data',
    reason: 'EMPTY_FRAMES',
    limits: { maxUselessFrames: 20 },
    first: [headers(1, GET)],
    once: () => frame(DATA, 0, 1),
    allowed: 20,
  },
  {
    what: 'DATA of padding only',
    reason: 'EMPTY_FRAMES',
    limits: { maxUselessFrames: 20 },
    first: [headers(1, GET)],
    once: () => frame(DATA, FLAG.PADDED, 1, Buffer.from([3, 0, 0, 0])),
    allowed: 20,
  },
  {
    what: 'frames of unknown types',
    reason: 'EMPTY_FRAMES',
    limits: { maxUselessFrames: 20 },
    once: () => frame(0xbe, 0, 0, zeros(10)),
    allowed: 20,
  },
  {
    what: 'frames for a stream that we reset',
    reason: 'EMPTY_FRAMES',
    limits: { maxUselessFrames: 20 },
    first: [headers(1, GET), frame(WINDOW_UPDATE, 0, 1, uint32(0))],
    once: () => headers(1, GET),
    allowed: 20,
  },
  {
    what: 'GOAWAY',
    reason: 'EMPTY_FRAMES',
    limits: { maxUselessFrames: 20 },
    first: [headers(1, GET)],
    once: () => frame(FRAME.GOAWAY, 0, 0, zeros(8)),
    allowed: 20,
  },
  {
    what: 'WINDOW_UPDATE for nothing',
    reason: 'WINDOW_UPDATE_FLOOD',
    limits: { maxWindowUpdates: 20 },
    once: () => frame(WINDOW_UPDATE, 0, 0, uint32(1)),
    allowed: 20,
  },
  {
    what: 'WINDOW_UPDATE for a stream that is gone',
    reason: 'WINDOW_UPDATE_FLOOD',
    limits: { maxWindowUpdates: 20 },
    first: [headers(1, GET), frame(RST_STREAM, 0, 1, uint32(8))],
    once: () => frame(WINDOW_UPDATE, 0, 1, uint32(1)),
    allowed: 20,
  },
  {
    what: 'CONTINUATION frames without end',
    reason: 'CONTINUATION_FLOOD',
    limits: { maxContinuations: 20 },
    first: [frame(HEADERS, 0, 1, block)],
    once: () => frame(CONTINUATION, 0, 1, Buffer.from([0x82])),
    allowed: 20,
  },
  {
    what: 'CONTINUATION frames with nothing in them',
    reason: 'EMPTY_FRAMES',
    limits: { maxUselessFrames: 20, maxContinuations: 100 },
    first: [frame(HEADERS, 0, 1, block)],
    once: () => frame(CONTINUATION, 0, 1),
    allowed: 20,
  },
  {
    what: 'CONTINUATION frames of many bytes',
    reason: 'CONTINUATION_FLOOD',
    limits: { maxBlockBytes: 20_000, maxContinuations: 100 },
    first: [frame(HEADERS, 0, 1)],
    once: () => frame(CONTINUATION, 0, 1, zeros(1000)),
    allowed: 20,
  },
  {
    what: 'trailers that do not end',
    reason: 'RAPID_RESET',
    limits: { maxResets: 20 },
    once: (n) => Buffer.concat([headers(idOf(n), GET), headers(idOf(n), GET)]),
    allowed: 20,
  },
]

t.test('a flood of frames that cost and bring nothing ends the connection when it exceeds its limit', async (t) => {
  for (const { what, reason, limits, settings, first, once, allowed } of FLOODS) {
    const rig = new Rig({ limits, ...(settings && { settings }) })
    if (first) rig.give(...first)
    for (let n = 0; n < allowed; n++) rig.give(once(n))
    t.equal(rig.told.failure, undefined, `${what}: ${allowed} are let through`)
    rig.conn.take()
    rig.give(once(allowed))
    t.match(rig.told.failure, { reason, code: 11 }, `${what}: one more is not`)
    t.match(rig.said().at(-1), /^GOAWAY \d+ ENHANCE_YOUR_CALM$/, what)
    t.ok(rig.conn.ended, what)
  }
})

t.test('the same, spread over time, is let through', async (t) => {
  for (const { what, limits, settings, first, once, reason } of FLOODS) {
    // A header block is one, however long it takes.
    if (reason === 'CONTINUATION_FLOOD') continue
    const rig = new Rig({ limits, ...(settings && { settings }) })
    if (first) rig.give(...first)
    for (let n = 0; n < 100; n++) {
      rig.clock.advance(DEFAULT_H2_LIMITS.rateWindowMs / 15)
      rig.give(once(n))
    }
    t.equal(rig.told.failure, undefined, what)
  }
})

t.test('a header bomb ends the connection before it is decoded', async (t) => {
  const rig = new Rig({ settings: { maxHeaderListBytes: 8192 }, limits: { maxDecodedBytes: 65_536 } })
  const encoder = new HpackEncoder(4096)
  const filler = encode([...GET, ['x-filler', 'x'.repeat(2900)]], encoder)
  rig.give(frame(HEADERS, FLAG.END_HEADERS | END, 1, filler))
  t.equal(rig.told.failure, undefined)
  rig.give(frame(HEADERS, FLAG.END_HEADERS | END, 3, Buffer.alloc(16_000, 0xbe)))
  t.match(rig.told.failure, { reason: 'HEADER_BOMB', code: 11 })
})

t.test('answers to a peer that does not read are bounded', async (t) => {
  const rig = new Rig({ limits: { maxQueuedBytes: 5000, maxPings: 1e9 } })
  rig.conn.reads = false
  let pings = 0
  for (; !rig.connection.closed && pings < 1000; pings++) rig.give(frame(PING, 0, 0, zeros(8)))
  t.match(rig.told.failure, { reason: 'OUTPUT_FLOOD', code: 11 })
  t.ok(pings > 200 && pings < 400, `${pings} pings of 17 bytes`)
  t.ok(rig.conn.aborted, 'reset, since it would not read a GOAWAY')
})

t.test('a peer that reads again may go on', async (t) => {
  const rig = new Rig({ limits: { maxQueuedBytes: 5000, maxPings: 1e9 } })
  for (let round = 0; round < 20; round++) {
    rig.conn.reads = false
    for (let n = 0; n < 100; n++) rig.give(frame(PING, 0, 0, zeros(8)))
    rig.conn.reads = true
    rig.connection.onWritable()
  }
  t.equal(rig.told.failure, undefined)
})

t.test('windows that make frames tiny', async (t) => {
  const body = zeros(100_000)
  const serve = (limit: number): Rig => {
    const rig = new Rig({ limits: { maxTinyFrames: limit, maxWindowUpdates: 1e9 } })
    rig.give(settings([4, 0]), headers(1, GET, END))
    rig.told.streams[0]!.sendFields(fieldList(OK), false)
    t.notOk(rig.told.streams[0]!.sendData(body, 0, body.length, true))
    return rig
  }
  const rig = serve(20)
  for (let n = 0; n < 20; n++) rig.give(frame(WINDOW_UPDATE, 0, 1, uint32(255)))
  t.equal(rig.told.failure, undefined)
  rig.give(frame(WINDOW_UPDATE, 0, 1, uint32(255)))
  t.match(rig.told.failure, { reason: 'TINY_WINDOWS', code: 11 })

  const other = serve(20)
  for (let n = 0; n < 100; n++) other.give(frame(WINDOW_UPDATE, 0, 1, uint32(256)))
  t.equal(other.told.failure, undefined, 'of 256 bytes they are not')
})

t.test('window given back for data that was sent is no flood', async (t) => {
  const rig = new Rig({ limits: { maxWindowUpdates: 20 } })
  rig.give(headers(1, GET, END))
  const stream = rig.told.streams[0]!
  stream.sendFields(fieldList(OK), false)
  for (let n = 0; n < 500; n++) {
    t.ok(stream.sendData(zeros(100), 0, 100, false))
    rig.flush()
    rig.give(frame(WINDOW_UPDATE, 0, 0, uint32(100)), frame(WINDOW_UPDATE, 0, 1, uint32(100)))
  }
  t.equal(rig.told.failure, undefined)
})

t.test('time limits', async (t) => {
  const limits = {
    settingsTimeoutMs: 1000,
    pingTimeoutMs: 1000,
    blockTimeoutMs: 2000,
    stallTimeoutMs: 3000,
    lingerMs: 500,
  }
  const later = (rig: Rig, ms: number): void => {
    rig.clock.advance(ms)
    rig.connection.tick(rig.clock.nowMs)
  }
  const passes = (t: Tap, rig: Rig, ms: number, reason: H2FailureReason, code: number): void => {
    later(rig, ms - 1)
    t.equal(rig.told.failure, undefined, `nothing before ${ms} ms`)
    later(rig, 1)
    t.match(rig.told.failure, { reason, code })
  }

  t.test('no preface', async (t) => {
    const rig = new Rig({ raw: true, limits })
    rig.flush()
    passes(t, rig, 1000, 'SETTINGS_TIMEOUT', 4)
  })
  t.test('no acknowledgement', async (t) => {
    const rig = new Rig({ raw: true, limits })
    rig.give(PREFACE, settings())
    passes(t, rig, 1000, 'SETTINGS_TIMEOUT', 4)
  })
  t.test('no CONTINUATION', async (t) => {
    const rig = new Rig({ limits })
    rig.give(frame(HEADERS, 0, 1, block))
    passes(t, rig, 2000, 'SLOW_FRAME', 11)
  })
  t.test('CONTINUATION frames that keep coming', async (t) => {
    const rig = new Rig({ limits })
    rig.give(frame(HEADERS, 0, 1, block))
    for (let n = 0; n < 3; n++) {
      later(rig, 500)
      rig.give(frame(CONTINUATION, 0, 1, Buffer.from([0x82])))
    }
    passes(t, rig, 500, 'SLOW_FRAME', 11)
  })
  t.test('a frame byte by byte', async (t) => {
    const rig = new Rig({ limits })
    const slow = headers(1, GET)
    for (let n = 0; n < 19; n++) {
      rig.give(slow.subarray(n, n + 1))
      later(rig, 100)
    }
    passes(t, rig, 100, 'SLOW_FRAME', 11)
  })
  t.test('frames that end in time, each cut in two', async (t) => {
    const rig = new Rig({ limits })
    const ping = frame(PING, 0, 0, zeros(8))
    for (let n = 0; n < 10; n++) {
      rig.give(ping.subarray(5), ping.subarray(0, 5))
      if (n === 0) rig.give()
      later(rig, 500)
    }
    t.equal(rig.told.failure?.reason, 'PROTOCOL', 'what is left of the first makes no frame')
    const other = new Rig({ limits })
    other.give(ping.subarray(0, 5))
    for (let n = 0; n < 10; n++) {
      later(other, 500)
      other.give(ping.subarray(5), ping.subarray(0, 5))
    }
    t.equal(other.told.failure, undefined)
  })
  t.test('a stream whose window stays shut is reset, the others go on', async (t) => {
    const rig = new Rig({ limits })
    rig.give(settings([4, 10]), headers(1, GET, END), headers(3, GET, END))
    const [stuck, lively] = rig.told.streams
    for (const stream of [stuck!, lively!]) {
      stream.sendFields(fieldList(OK), false)
      stream.sendData(zeros(100), 0, 100, true)
    }
    rig.flush()
    later(rig, 2000)
    rig.give(frame(WINDOW_UPDATE, 0, 3, uint32(5)))
    later(rig, 999)
    rig.conn.take()
    t.notOk(stuck!.closed)
    later(rig, 1)
    t.same(rig.said(), ['RST_STREAM 1 ENHANCE_YOUR_CALM'])
    t.ok(stuck!.closed && stuck!.stalled)
    t.notOk(lively!.closed)
    t.match(rig.told.events.join(), 'reset 1 ENHANCE_YOUR_CALM')
  })
  t.test('a stream that waited for the socket is not held to have waited for its window', async (t) => {
    const rig = new Rig({ limits })
    rig.give(settings([4, 10]), headers(1, GET, END))
    rig.told.streams[0]!.sendFields(fieldList(OK), false)
    rig.told.streams[0]!.sendData(zeros(100), 0, 100, true)
    rig.conn.reads = false
    rig.give(frame(PING, 0, 0, zeros(8)))
    for (let n = 0; n < 5; n++) {
      rig.conn.bytesWritten++
      later(rig, 1000)
    }
    rig.conn.reads = true
    rig.connection.onWritable()
    later(rig, 2999)
    t.notOk(rig.told.streams[0]!.closed)
    later(rig, 1)
    t.ok(rig.told.streams[0]!.stalled)
  })
  t.test('a peer that reads nothing', async (t) => {
    const rig = new Rig({ limits })
    rig.conn.reads = false
    rig.give(frame(PING, 0, 0, zeros(8)))
    later(rig, 0)
    passes(t, rig, 3000, 'STALLED_CONNECTION', 11)
    t.ok(rig.conn.aborted)
  })
  t.test('no answer to our PING', async (t) => {
    const rig = new Rig({ limits })
    rig.connection.ping()
    const [ping] = rig.sent()
    rig.give(frame(PING, FLAG.ACK, 0, ping!.payload))
    later(rig, 2000)
    t.equal(rig.told.failure, undefined, 'answered')
    rig.connection.ping()
    rig.give(frame(PING, FLAG.ACK, 0, ping!.payload))
    passes(t, rig, 1000, 'PING_TIMEOUT', 0)
  })
  t.test('a peer that does not close after the end', async (t) => {
    const rig = new Rig({ limits })
    rig.connection.close()
    t.ok(rig.conn.ended)
    later(rig, 499)
    t.notOk(rig.conn.aborted)
    later(rig, 1)
    t.ok(rig.conn.aborted)
  })
})

type Tap = { equal: typeof t.equal; match: typeof t.match }
