import t from 'tap'
import { ALERT, APPLICATION_DATA } from '../tls-peer/record-keys.js'
import { RecordPeer } from '../tls-peer/record-peer.js'
import { CutShort } from './support/byte-reader.js'
import { castorBefore } from './support/castor.js'
import { connectTo } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { answer, ok } from './support/raw-target.js'
import { authorityFor, secured } from './support/tls.js'
import { until } from './support/until.js'
import { never, timed } from './support/waiting.js'

// Nearly all of their time is waiting: they wait together.
t.jobs = 4

const EVENTS = answer('200 OK', ['Content-Type: text/event-stream', 'Transfer-Encoding: chunked'], '5\r\nhello\r\n')
const http10 = get('/').replace('HTTP/1.1', 'HTTP/1.0')

t.test('a client that leaves a quiet stream is noticed, by FIN alone', { buffered: true }, async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(EVENTS) },
    { accessLog: true },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(get('/events'))
  await until('the first event', () => client.reader.has('hello'))
  client.half()
  const { ms } = await timed(target.connections[0]!.ending())
  t.ok(ms > 500 && ms < 4_000, `after ${Math.round(ms)} ms`)
  t.match(await castor.accessRecords(1), [{ status: 200, reason: 'CLIENT_CLOSED' }])
})

t.test('the same by close_notify, whether the connection ends or not', { buffered: true }, async (t) => {
  const front = authorityFor(t).issue('front', { names: ['front.example'] })
  const { target, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(EVENTS) },
    { listener: secured([front]) },
  )
  for (const [index, ends] of [false, true].entries()) {
    const client = await RecordPeer.connect(port, { version: 'TLSv1.3' })
    t.teardown(() => client.close())
    client.send(client.keys.seal(APPLICATION_DATA, Buffer.from(get('/events'))))
    await until('the first event', () => client.opened.some(({ content }) => content.includes('hello')))
    client.send(client.keys.seal(ALERT, Buffer.of(1, 0)))
    if (ends) client.socket.end()
    const { ms } = await timed(target.connections[index]!.ending())
    t.ok(ms > 500 && ms < 4_000, `after ${Math.round(ms)} ms`)
  }
})

t.test('halfClose: keep lets it wait', { buffered: true }, async (t) => {
  const { target, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(EVENTS) },
    { listener: { halfClose: 'keep' } },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(get('/events'))
  await until('the first event', () => client.reader.has('hello'))
  client.half()
  await never('its target being left', () => target.connections[0]!.ended !== undefined, 3_000)
  target.connections[0]!.write('5\r\nagain\r\n0\r\n\r\n')
  t.equal((await client.response()).text, 'helloagain')
})

t.test('a client that only half-closed goes on getting an answer that flows', { buffered: true }, async (t) => {
  const { target, port } = await castorBefore(t, { answer: (_, connection) => connection.write(EVENTS) })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(get('/events'))
  client.half()
  await target.received(1)
  for (let i = 0; i < 12; i++) {
    await new Promise((resolve) => setTimeout(resolve, 250))
    target.connections[0]!.write('1\r\nx\r\n')
  }
  target.connections[0]!.write('0\r\n\r\n')
  t.equal((await client.response()).text, `hello${'x'.repeat(12)}`)
})

t.test('an HTTP/1.0 client that leaves while it waits is noticed', { buffered: true }, async (t) => {
  const { target, port } = await castorBefore(t, { answer: () => {} })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.send(http10)
  client.half()
  await target.received(1)
  const { ms } = await timed(target.connections[0]!.ending())
  t.ok(ms < 4_000, `after ${Math.round(ms)} ms`)
})

t.test(
  'an HTTP/1.0 client that half-closes gets an answer that is not long in coming',
  { buffered: true },
  async (t) => {
    const { port } = await castorBefore(t, {
      answer: (_, connection) => setTimeout(() => connection.write(ok('here')), 300),
    })
    const client = await RawClient.connect(port)
    t.teardown(() => client.close())
    client.send(http10)
    client.half()
    t.equal((await client.response()).text, 'here')
  },
)

t.test('an HTTP/2 client that leaves is noticed', { buffered: true }, async (t) => {
  const { target, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(EVENTS) },
    { listener: { http2: true } },
  )
  const session = await connectTo(t, port)
  const stream = session.request({ ':path': '/events' })
  stream.on('error', () => {})
  await new Promise((resolve) => stream.once('data', resolve))
  session.destroy()
  await target.connections[0]!.ending()
})

t.test(
  'an HTTP/1.0 client gets what had come of an answer that its target cut, and a reset',
  { buffered: true },
  async (t) => {
    const part = 'x'.repeat(300_000)
    const { port } = await castorBefore(t, {
      answer: (_, connection) =>
        connection.end(
          answer('200 OK', ['Transfer-Encoding: chunked'], `${part.length.toString(16)}\r\n${part}\r\n5\r\nhe`),
        ),
    })
    const client = await RawClient.connect(port)
    t.teardown(() => client.close())
    client.socket.pause()
    client.send(http10)
    setTimeout(() => client.socket.resume(), 500)
    const fault = await client.response('GET', 8_000).then(
      () => undefined,
      (error: unknown) => error,
    )
    t.type(fault, CutShort)
    t.match((fault as CutShort).got.toString('latin1').slice(-2), 'he')
    t.equal((fault as CutShort).got.length, part.length + 2)
    t.equal(await client.ending(), 'reset')
  },
)
