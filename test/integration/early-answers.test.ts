import t from 'tap'
import { castorBefore, startTestCastor, type Test } from './support/castor.js'
import { answerOf, connectTo, Http2Target } from './support/http2-peers.js'
import { get, RawClient, type RawResponse } from './support/raw-client.js'
import { ok, type Script, type TargetConnection } from './support/raw-target.js'
import { eventually, timed, within } from './support/waiting.js'

// Nearly all of their time is waiting: they wait together.
t.jobs = 4
const MIB = 1024 * 1024
const BODY_BYTES = 30 * MIB

/** As many clients do: sends all of the body before it looks for an answer. */
async function uploadThenRead(t: Test, port: number, lines: readonly string[] = []): Promise<RawResponse> {
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  client.socket.pause()
  client.send(get('/', [`Content-Length: ${BODY_BYTES}`, ...lines], 'POST'))
  const sent = new Promise<void>((resolve, reject) => {
    client.socket.once('error', reject)
    client.socket.write(Buffer.alloc(BODY_BYTES), (error) => (error == null ? resolve() : reject(error)))
  })
  await within('the whole body being taken', sent, 10_000)
  client.socket.resume()
  return client.response('POST')
}

function answersEarly(then: (connection: TargetConnection) => unknown): Script {
  return {
    onHead: (_, connection) => {
      connection.write(ok('who are you?', [], '401 Unauthorized'))
      then(connection)
      return false
    },
  }
}

t.test(
  'a target that answers early and reads on gets the rest, and the client its answer',
  { buffered: true },
  async (t) => {
    let taken = 0
    const reads = async ({ reader }: TargetConnection): Promise<void> => {
      while (taken < BODY_BYTES && (await reader.more())) taken += (await reader.bytes(reader.waiting)).length
    }
    const { castor, target, port } = await castorBefore(t, answersEarly(reads), { accessLog: true })
    const response = await uploadThenRead(t, port)
    t.match(response, { status: 401, text: 'who are you?' })
    await eventually('the target has all of it', () => taken === BODY_BYTES)
    t.match(await castor.accessRecords(1), [{ status: 401, reason: null }])
    await target.connections[0]!.ending()
  },
)

for (const [how, then] of [
  ['ends', (connection: TargetConnection) => connection.end()],
  ['resets', (connection: TargetConnection) => setImmediate(() => connection.reset())],
  ['stops reading', (connection: TargetConnection) => connection.socket.pause()],
] as const) {
  t.test(`a target that answers early and ${how} costs the client nothing`, { buffered: true }, async (t) => {
    const { port } = await castorBefore(t, answersEarly(then))
    t.match(await uploadThenRead(t, port), { status: 401, text: 'who are you?' })
  })
}

t.test('Castor’s own early refusals are read as well', { buffered: true }, async (t) => {
  const castor = await startTestCastor(t, ['127.0.0.1:1'], { group: { retries: { attempts: 0 } } })
  t.equal((await uploadThenRead(t, castor.port)).status, 502)
  t.equal((await uploadThenRead(t, castor.port, [`X-Large: ${'x'.repeat(40_000)}`])).status, 431)
  t.equal((await uploadThenRead(t, castor.port, ['Expect: something'])).status, 417)
})

t.test('the rest of a refused body is awaited for the idle time-out at the most', { buffered: true }, async (t) => {
  const { target, port } = await castorBefore(
    t,
    answersEarly((connection) => connection.end()),
    { listener: { idleTimeout: '1s' } },
  )
  const client = await RawClient.connect(port)
  client.send(get('/', [`Content-Length: ${BODY_BYTES}`], 'POST'))
  client.send('some')
  const closed = new Promise((resolve) => client.socket.once('close', resolve))
  // From the beginning: a body that stands still while the target is slow to answer is a 408.
  const sending = setInterval(() => client.send('more'), 100)
  t.teardown(() => clearInterval(sending))
  t.equal((await client.response('POST')).status, 401)
  const { ms } = await timed(within('the end', closed))
  t.ok(ms < 3_500, `after ${Math.round(ms)} ms`)
  await target.connections[0]!.ending()
})

t.test('by HTTP/2 an early answer is whole, whatever becomes of the upload', { buffered: true }, async (t) => {
  for (const then of [(connection: TargetConnection) => connection.end(), () => {}]) {
    const { port } = await castorBefore(t, answersEarly(then), { listener: { http2: true } })
    const session = await connectTo(t, port)
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    stream.end(Buffer.alloc(4 * MIB))
    const answer = await answerOf(stream)
    t.equal(answer.status, 401)
    t.equal(String(answer.body), 'who are you?')
    t.equal(answer.code, 0, 'NO_ERROR')
    t.notOk(session.closed)
  }
})

t.test('from a target that speaks HTTP/2 too', { buffered: true }, async (t) => {
  let taken = 0
  const target = await Http2Target.start(t, (stream, headers) => {
    stream.respond({ ':status': 401 })
    stream.end('who are you?')
    if (headers['x-read'] === 'no') stream.close(0)
    else stream.on('data', (data: Buffer) => (taken += data.length))
  })
  const castor = await startTestCastor(t, [target.address], { group: { protocol: 'h2c' } })
  t.equal((await uploadThenRead(t, castor.port)).status, 401)
  await eventually('the target has all of it', () => taken === BODY_BYTES)
  t.equal((await uploadThenRead(t, castor.port, ['X-Read: no'])).status, 401)
})
