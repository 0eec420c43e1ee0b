import { once } from 'node:events'
import type { ServerHttp2Stream } from 'node:http2'
import t from 'tap'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, GET, headers } from '../unit/http/h2/rig.js'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { ask, connectTo, Http2Target } from './support/http2-peers.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

t.test('a balancer that stops says GOAWAY, finishes what it has and loses no request', async (t) => {
  const waiting: ServerHttp2Stream[] = []
  const target = await Http2Target.start(t, (stream, headers) => {
    if (headers[':path'] === '/wait') {
      waiting.push(stream)
      return
    }
    stream.respond({ ':status': 200 })
    stream.end('x')
  })
  const castor = await startChild(t, {
    ...onePair('http', [target.address], { listener: { http2: true }, group: { protocol: 'h2c' } }),
    shutdownTimeout: '8s',
  })
  const session = await connectTo(t, castor.port())
  const slow = [1, 2, 3].map(() => ask(session, { ':path': '/wait' }))
  await until('three requests at the target', () => waiting.length === 3)
  // Requests go on until the client hears of the end; each that was sent must be answered. Frame by frame, since Node's
  // client turns away by itself what it had not sent yet.
  const client = await RawHttp2Client.open(t, castor.port())
  let last = -1
  const told = (): boolean => client.frames.some(({ type }) => type === FRAME.GOAWAY)
  castor.child.kill('SIGTERM')
  await until('GOAWAY', () => {
    if (told()) return true
    last += 2
    client.send(headers(last, GET, END))
    return false
  })
  t.ok(last > 0, `${last} is the last stream`)
  for (let id = 1; id <= last; id += 2) await client.answered(id)
  t.notOk(client.frames.some(({ type }) => type === FRAME.RST_STREAM))
  await until('its end', () => client.closed)
  for (const stream of waiting) {
    stream.respond({ ':status': 200 })
    stream.end('in the end')
  }
  const late = await Promise.all(slow)
  t.same(
    late.map(({ status, body }) => [status, body.toString()]),
    [1, 2, 3].map(() => [200, 'in the end']),
  )
  t.equal(await castor.ended(), 0)
})

t.test('what is not done in time is told so, and idle connections end at once', async (t) => {
  const target = await Http2Target.start(t, () => {})
  const castor = await startChild(t, {
    ...onePair('http', [target.address], { listener: { http2: true }, group: { protocol: 'h2c' } }),
    shutdownTimeout: '1s',
  })
  const idle = await connectTo(t, castor.port())
  const session = await connectTo(t, castor.port())
  const slow = ask(session)
  await until('the request at the target', () => target.openSessions === 1)
  const closed = once(idle, 'close')
  castor.child.kill('SIGTERM')
  await within('the end of the idle connection', closed)
  t.equal((await slow).status, 503)
  t.equal(await castor.ended(), 0)
})
