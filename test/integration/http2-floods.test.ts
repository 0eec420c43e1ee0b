import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { H2_ERROR } from '../../src/http/h2/engine.js'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, frame, GET, headers, PREFACE, uint32 } from '../unit/http/h2/rig.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { ask, connectTo } from './support/http2-peers.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

async function before(
  t: Test,
  script: Script = {},
  options: object = {},
): Promise<{ castor: TestCastor; port: number }> {
  const target = await RawTarget.start(script)
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], { listener: { http2: true }, ...options })
  return { castor, port: castor.port }
}

t.test('a connection without streams is closed after its idle time, one with a stream is not', async (t) => {
  const { port } = await before(t, { answer: () => {} }, { listener: { http2: true, idleTimeout: '1s' } })
  const idle = await RawHttp2Client.open(t, port)
  t.equal(await idle.goAway(), H2_ERROR.NO_ERROR)
  await until('its end', () => idle.closed)
})

t.test('a connection that says nothing, or half a preface, is closed', async (t) => {
  const { port } = await before(
    t,
    {},
    { protection: { headerTimeout: '1s' }, listener: { http2: true, idleTimeout: '2s' } },
  )
  for (const bytes of ['', PREFACE.subarray(0, 10), PREFACE]) {
    const client = await RawHttp2Client.open(t, port).catch(() => undefined)
    client?.socket.destroy()
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write(bytes)
    await within(`the end after ${bytes.length} bytes`, once(socket, 'close'), 8_000)
  }
  t.pass('all were')
})

t.test('floods end the connection and are counted', async (t) => {
  const { castor, port } = await before(t, { answer: () => {} }, { listener: { http2: { maxPings: 500 } } })
  const CASES: readonly (readonly [what: string, code: number, frames: () => Buffer[]])[] = [
    [
      'rapid reset',
      H2_ERROR.ENHANCE_YOUR_CALM,
      () =>
        Array.from({ length: 700 }, (_, i) =>
          Buffer.concat([headers(1 + i * 2, GET, END), frame(FRAME.RST_STREAM, 0, 1 + i * 2, uint32(8))]),
        ),
    ],
    [
      'PING',
      H2_ERROR.ENHANCE_YOUR_CALM,
      () => Array.from({ length: 1_200 }, () => frame(FRAME.PING, 0, 0, Buffer.alloc(8))),
    ],
    ['SETTINGS', H2_ERROR.ENHANCE_YOUR_CALM, () => Array.from({ length: 200 }, () => frame(FRAME.SETTINGS, 0, 0))],
    [
      'CONTINUATION',
      H2_ERROR.ENHANCE_YOUR_CALM,
      () => [
        frame(FRAME.HEADERS, END, 1, Buffer.alloc(0)),
        ...Array.from({ length: 200 }, () => frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(0))),
      ],
    ],
    ['a frame that breaks the protocol', H2_ERROR.PROTOCOL_ERROR, () => [frame(FRAME.DATA, 0, 0, Buffer.alloc(1))]],
  ]
  for (const [i, [what, code, frames]] of CASES.entries()) {
    // Each from a source of its own: what one has spent is gone for those after it.
    const client = await RawHttp2Client.openFrom(t, `127.0.0.${10 + i}`, port)
    client.send(...frames())
    t.equal(await client.goAway(what), code, what)
    await until(`${what}: the end of the connection`, () => client.closed)
  }
  const metrics = await castor.metrics()
  t.equal(metrics.get('castor_client_errors_total{listener="web",reason="HTTP2_FLOOD"}'), 4)
  t.equal(metrics.get('castor_client_errors_total{listener="web",reason="HTTP2_PROTOCOL"}'), 1)
  t.equal(castor.log.filter((line) => line.includes('ended for a fault of its client')).length, CASES.length)
  t.equal((await ask(await connectTo(t, port), { ':authority': '@' })).status, 400, 'others are served')
})

t.test('clients that break connections at will do not fill the log', async (t) => {
  const { castor, port } = await before(t)
  const spoilt = 60
  const clients = await Promise.all(Array.from({ length: spoilt }, () => RawHttp2Client.open(t, port)))
  for (const client of clients) client.send(frame(FRAME.DATA, 0, 0, Buffer.alloc(1)))
  const counted = 'castor_client_errors_total{listener="web",reason="HTTP2_PROTOCOL"}'
  await until('all of them counted', async () => (await castor.metrics()).get(counted) === spoilt)
  const lines = castor.log.filter((line) => line.includes('ended for a fault of its client'))
  t.ok(lines.length >= 1 && lines.length < spoilt, `${lines.length} lines`)
})
