import t from 'tap'
import { H2_ERROR } from '../../src/http/h2/engine.js'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, type Field, frame, GET, headers, uint32 } from '../unit/http/h2/rig.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { ask, connectTo, Http2Target, sayHello } from './support/http2-peers.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

const POST: readonly Field[] = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const)
const reset = (id: number): Buffer => frame(FRAME.RST_STREAM, 0, id, uint32(H2_ERROR.CANCEL))
const taken = (id: number): Buffer => Buffer.concat([headers(id, GET, END), reset(id)])
const idOf = (n: number): number => 1 + n * 2
const STREAMS = 50

/** All frames of a kind for `STREAMS` streams, in the order in which a client might send them. */
const each = (make: (id: number) => readonly Buffer[]): Buffer[] =>
  Array.from({ length: STREAMS }, (_, n) => Buffer.concat(make(idOf(n))))

/** What comes in one read and leaves nothing to serve. */
const TAKEN_BACK: readonly (readonly [what: string, frames: Buffer[]])[] = [
  ['reset at once', each((id) => [headers(id, GET, END), reset(id)])],
  ['opened all, then reset all', [...each((id) => [headers(id, GET, END)]), ...each((id) => [reset(id)])]],
  [
    'reset behind a part of the body',
    each((id) => [headers(id, POST), frame(FRAME.DATA, 0, id, Buffer.alloc(9)), reset(id)]),
  ],
  ['a WINDOW_UPDATE of nothing', each((id) => [headers(id, GET, END), frame(FRAME.WINDOW_UPDATE, 0, id, uint32(0))])],
  ['DATA behind the end', each((id) => [headers(id, GET, END), frame(FRAME.DATA, END, id, Buffer.alloc(9))])],
  ['a second head', each((id) => [headers(id, POST), headers(id, POST)])],
  [
    'more DATA than was said',
    each((id) => [headers(id, [...POST, ['content-length', '3']]), frame(FRAME.DATA, END, id, Buffer.alloc(9))]),
  ],
  [
    'less DATA than was said',
    each((id) => [headers(id, [...POST, ['content-length', '9']]), frame(FRAME.DATA, END, id, Buffer.alloc(3))]),
  ],
  ['a connection that ends in a fault', [...each((id) => [headers(id, GET, END)]), frame(FRAME.DATA, 0, 0)]],
]

async function beforeH1(
  t: Test,
  listener: object = {},
  options: object = {},
): Promise<{ castor: TestCastor; target: RawTarget }> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], {
    listener: { http2: { maxResets: 100_000, ...listener }, ...options },
    accessLog: true,
  })
  return { castor, target }
}

t.test('a stream that is taken back or spoilt in the read it came with never reaches a target', async (t) => {
  const { castor, target } = await beforeH1(t)
  const streams: string[] = []
  const modern = await Http2Target.start(t, (stream, headers) => {
    streams.push(String(headers[':path']))
    sayHello(stream, headers)
  })
  const other = await startTestCastor(t, [modern.address], {
    listener: { http2: { maxResets: 100_000 } },
    group: { protocol: 'h2c' },
  })
  for (const [what, frames] of TAKEN_BACK) {
    for (const { port } of [castor, other]) {
      const client = await RawHttp2Client.open(t, port)
      client.send(...frames)
      await client.caughtUp()
      client.socket.destroy()
    }
    t.equal((await ask(await connectTo(t, castor.port))).status, 200)
    t.equal((await ask(await connectTo(t, other.port))).status, 200)
    t.equal(target.requests.length, 1, `${what}: the request behind it, and no other`)
    t.equal(target.connections.length, 1, `${what}: nothing was dialled for it`)
    t.same(streams, ['/'], `${what}: the same over HTTP/2`)
    target.requests.length = 0
    streams.length = 0
  }
  const records = await castor.accessRecords(8 * STREAMS)
  t.equal(records.filter(({ status, reason }) => status === 499 && reason === 'CLIENT_RESET').length > 0, true)
})

t.test('resets are one budget for all connections of a source, however often it comes back', async (t) => {
  const { castor, target } = await beforeH1(t, { maxResets: 100 })
  const { port } = castor
  const burst = (first: number, count: number): Buffer[] =>
    Array.from({ length: count }, (_, n) => taken(idOf(first + n)))
  const attacker = '127.0.0.2'
  for (let visit = 0; visit < 2; visit++) {
    const client = await RawHttp2Client.openFrom(t, attacker, port)
    client.send(...burst(0, 40))
    await client.caughtUp()
    client.socket.destroy()
  }
  // Two at once share what is left.
  const [one, two] = [
    await RawHttp2Client.openFrom(t, attacker, port),
    await RawHttp2Client.openFrom(t, attacker, port),
  ]
  one.send(...burst(0, 15))
  await one.caughtUp()
  two.send(...burst(0, 15))
  t.equal(await two.goAway(), H2_ERROR.ENHANCE_YOUR_CALM)
  await until('the end', () => two.closed)
  const next = await RawHttp2Client.openFrom(t, attacker, port)
  t.equal(await next.goAway(), H2_ERROR.ENHANCE_YOUR_CALM, 'and one that comes after it is not served')
  await until('its end', () => next.closed)
  t.equal(target.requests.length, 0)
  t.equal((await ask(await connectTo(t, port))).status, 200, 'other sources are')
})

t.test('who leaves with requests under way has spent as many resets', async (t) => {
  const { castor } = await beforeH1(t, { maxResets: 100 })
  castor.log.length = 0
  const attacker = '127.0.0.3'
  let refused = false
  for (let visit = 0; visit < 8 && !refused; visit++) {
    const client = await RawHttp2Client.openFrom(t, attacker, castor.port)
    client.send(...Array.from({ length: 40 }, (_, n) => headers(idOf(n), POST)))
    await client.caughtUp()
    refused = client.frames.some(({ type }) => type === FRAME.GOAWAY)
    client.socket.resetAndDestroy()
    await until(
      'the end of the connection',
      async () => (await castor.metrics()).get('castor_connections_active{listener="web"}') === 0,
    )
  }
  t.ok(refused)
})

t.test('requests that are answered pay for those that are taken back', async (t) => {
  const { castor } = await beforeH1(t, { maxResets: 20 })
  const client = await RawHttp2Client.openFrom(t, '127.0.0.4', castor.port)
  for (let n = 0; n < 60; n++) {
    client.send(headers(idOf(2 * n), GET, END))
    await client.answered(idOf(2 * n))
    client.send(taken(idOf(2 * n + 1)))
  }
  await client.caughtUp()
  t.notOk(client.closed)
})

t.test('a proxy that is trusted has no budget for its source, since its clients are many', async (t) => {
  const { castor } = await beforeH1(t, { maxResets: 50 }, { trustForwardedFrom: ['127.0.0.5/32'] })
  for (let visit = 0; visit < 4; visit++) {
    const client = await RawHttp2Client.openFrom(t, '127.0.0.5', castor.port)
    client.send(...Array.from({ length: 40 }, (_, n) => taken(idOf(n))))
    await client.caughtUp()
    t.notOk(client.frames.some(({ type }) => type === FRAME.GOAWAY))
    client.socket.destroy()
  }
})

t.test('what a connection spent of other limits is not renewed by coming back', async (t) => {
  const { castor } = await beforeH1(t, { maxPings: 100 })
  const source = '127.0.0.6'
  const pings = Array.from({ length: 70 }, () => frame(FRAME.PING, 0, 0, Buffer.alloc(8)))
  let ended = 0
  for (let visit = 0; visit < 4; visit++) {
    const client = await RawHttp2Client.openFrom(t, source, castor.port)
    client.send(...pings)
    await client.caughtUp()
    if (client.frames.some(({ type }) => type === FRAME.GOAWAY)) ended++
    client.socket.resetAndDestroy()
    await until(
      'the end of the connection',
      async () => (await castor.metrics()).get('castor_connections_active{listener="web"}') === 0,
    )
  }
  t.equal(ended, 3)
})
