import t from 'tap'
import { castorBefore } from './support/castor.js'
import { answerOf, connectTo } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { ok } from './support/raw-target.js'
import { timed } from './support/waiting.js'

// Nearly all of their time is waiting: they wait together.
t.jobs = 6

/** Grace is what the idle time-out leaves of it. */
const OPTIONS = {
  listener: { http2: true, idleTimeout: '2s' },
  protection: { bodyMinRate: '10KiB/s' },
  accessLog: true,
}
const echoLength = {
  answer: (request: { text: string }, connection: { write(text: string): void }) =>
    connection.write(ok(String(request.text.length))),
}
/** Longer than any window in which a rate could have been taken without regard to what came before. */
const LONG_MS = 6_200
const STEP_MS = 400

/** Calls `send` now and then, for so long. */
async function trickle(send: () => void, forMs = LONG_MS): Promise<void> {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    send()
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
}

t.test('bytes that were sent early pay for a slow rest of the upload', { buffered: true }, async (t) => {
  const { port } = await castorBefore(t, echoLength, OPTIONS)
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const early = 200 * 1024
  client.send(get('/', ['Transfer-Encoding: chunked'], 'POST'))
  client.send(`${early.toString(16)}\r\n${'x'.repeat(early)}\r\n`)
  let sent = early
  await trickle(() => {
    client.send('1\r\nx\r\n')
    sent++
  })
  client.send('0\r\n\r\n')
  const response = await client.response('POST')
  t.equal(response.status, 200)
  t.equal(response.text, String(sent))
})

t.test('uploads that share a connection pay for each other', { buffered: true }, async (t) => {
  const { port } = await castorBefore(t, echoLength, OPTIONS)
  const session = await connectTo(t, port)
  const slow = session.request({ ':method': 'POST', ':path': '/slow' })
  const fast = session.request({ ':method': 'POST', ':path': '/fast' })
  const answers = Promise.all([answerOf(slow, 15_000), answerOf(fast, 15_000)])
  await trickle(() => {
    slow.write('x')
    fast.write(Buffer.alloc(8 * 1024))
  })
  slow.end()
  fast.end()
  t.same(
    (await answers).map(({ status }) => status),
    [200, 200],
  )
})

for (const type of ['application/grpc', 'application/connect+proto', 'application/x-ndjson', 'Text/Event-Stream']) {
  t.test(`a dialogue is under the idle time-out alone: ${type}`, { buffered: true }, async (t) => {
    const { port } = await castorBefore(t, echoLength, OPTIONS)
    const client = await RawClient.connect(port)
    t.teardown(() => client.close())
    const session = await connectTo(t, port)
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-type': type })
    const answer = answerOf(stream, 15_000)
    client.send(get('/', ['Transfer-Encoding: chunked', `Content-Type: ${type}`], 'POST'))
    await trickle(() => {
      client.send('1\r\nx\r\n')
      stream.write('x')
    })
    client.send('0\r\n\r\n')
    stream.end()
    t.equal((await client.response('POST')).status, 200)
    t.equal((await answer).status, 200)
  })
}

t.test('a body that trickles is given up, by HTTP/1.1 and by HTTP/2', { buffered: true }, async (t) => {
  const { castor, port } = await castorBefore(t, echoLength, OPTIONS)
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const session = await connectTo(t, port)
  const streams = [1, 2, 3].map((i) => session.request({ ':method': 'POST', ':path': `/${i}` }))
  const answers = Promise.all(streams.map((stream) => answerOf(stream, 15_000)))
  client.send(get('/', ['Content-Length: 1000000'], 'POST'))
  const response = timed(client.response('POST', 15_000))
  const all = Promise.all([response, answers])
  let over = false
  all.finally(() => {
    over = true
  })
  while (!over) {
    client.send('x')
    for (const stream of streams) if (!stream.closed && !stream.destroyed) stream.write('x')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const [{ ms, value }, byHttp2] = await all
  t.equal(value.status, 408)
  t.ok(ms > 1_800, `after ${Math.round(ms)} ms`)
  for (const { status } of byHttp2) t.equal(status, 408)
  for (const record of await castor.accessRecords(4)) t.match(record, { status: 408, reason: 'BODY_TOO_SLOW' })
})
