import t from 'tap'
import { castorBefore } from './support/castor.js'
import { get, RawClient } from './support/raw-client.js'
import { answer } from './support/raw-target.js'
import { eventually, timed } from './support/waiting.js'

// Nearly all of their time is waiting: they wait together.
t.jobs = 5

/** Whoever stops in the middle is waited for this long; timers look about once a second. */
const IDLE = { listener: { idleTimeout: '1s' }, accessLog: true } as const
const inTime = (ms: number): boolean => ms > 800 && ms < 3_500

t.test('a client that stops in the middle of its body is answered 408', { buffered: true }, async (t) => {
  const { castor, target, port } = await castorBefore(t, {}, IDLE)
  const client = await RawClient.connect(port)
  client.send(`${get('/', ['Content-Length: 10'], 'POST')}half`)
  const { ms, value: response } = await timed(client.response('POST'))
  t.equal(response.status, 408)
  t.equal(response.header('connection'), 'close')
  t.ok(inTime(ms), `after ${Math.round(ms)} ms`)
  await target.connections[0]!.ending(1_000)
  t.equal(target.requests.length, 0)
  t.match(await castor.accessRecords(1), [{ status: 408, reason: 'BODY_TOO_SLOW' }])
  client.close()
})

t.test('a target that stops taking a body is answered for with 504', { buffered: true }, async (t) => {
  const { castor, port } = await castorBefore(
    t,
    {
      onHead: (_, connection) => {
        connection.socket.pause()
        return false
      },
    },
    IDLE,
  )
  const client = await RawClient.connect(port)
  client.send(get('/', [`Content-Length: ${64 * 1024 * 1024}`], 'POST'))
  client.send(Buffer.alloc(64 * 1024 * 1024))
  const { ms, value: response } = await timed(client.response('POST'))
  t.equal(response.status, 504)
  t.ok(inTime(ms), `after ${Math.round(ms)} ms`)
  t.match(await castor.accessRecords(1), [{ status: 504, reason: 'RESPONSE_TIMEOUT' }])
  client.close()
})

t.test('a target that stops in the middle of its response is cut off', { buffered: true }, async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    { answer: (_, connection) => connection.write(answer('200 OK', ['Content-Length: 10'], 'half')) },
    IDLE,
  )
  const client = await RawClient.connect(port)
  client.send(get())
  const { ms } = await timed(t.rejects(client.response(), { message: /^cut short/ }))
  t.ok(inTime(ms), `after ${Math.round(ms)} ms`)
  await target.connections[0]!.ending(1_000)
  t.match(await castor.accessRecords(1), [{ status: 200, reason: 'IDLE_TIMEOUT' }])
  client.close()
})

t.test('a client that stops reading its response is cut off', { buffered: true }, async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    {
      answer: (_, connection) => {
        connection.write(answer('200 OK', [`Content-Length: ${64 * 1024 * 1024}`]))
        connection.write(Buffer.alloc(64 * 1024 * 1024))
      },
    },
    IDLE,
  )
  const client = await RawClient.connect(port)
  client.send(get())
  await eventually('it has begun', () => client.reader.total > 0)
  client.socket.pause()
  const [record] = await castor.accessRecords(1)
  t.match(record, { status: 200, reason: 'IDLE_TIMEOUT' })
  t.ok(inTime(Number(record!.request_ms)), `after ${record!.request_ms} ms`)
  await target.connections[0]!.ending(1_000)
  client.close()
})
