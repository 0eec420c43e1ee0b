import { once } from 'node:events'
import t from 'tap'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { ask, connectTo, Http2Target } from './support/http2-peers.js'
import { until } from './support/until.js'

const MIB = 1024 * 1024

/** Answers `/endless` for as long as it is taken, and anything else at once. */
function generous(
  stream: import('node:http2').ServerHttp2Stream,
  headers: import('node:http2').IncomingHttpHeaders,
): void {
  if (headers[':path'] !== '/endless') {
    stream.respond({ ':status': 200 })
    stream.end('x')
    return
  }
  const chunk = Buffer.alloc(64 * 1024)
  stream.respond({ ':status': 200 })
  const more = (): void => {
    while (!stream.destroyed && stream.write(chunk));
  }
  stream.on('drain', more)
  more()
}

t.test('streams that nobody reads hold up no other, and hold no memory', async (t) => {
  const target = await Http2Target.start(t, generous)
  const castor = await startChild(
    t,
    onePair('http', [target.address], { listener: { http2: true }, group: { protocol: 'h2c' } }),
  )
  const session = await connectTo(t, castor.port())
  // Code and buffers that any traffic needs are there before counting begins.
  for (let i = 0; i < 500; i++) await ask(session)
  const before = castor.residentBytes
  const stalled = Array.from({ length: 100 }, () => {
    const stream = session.request({ ':path': '/endless' })
    stream.on('error', () => {})
    stream.pause()
    return stream
  })
  await Promise.all(stalled.map((stream) => once(stream, 'response')))
  const startMs = performance.now()
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.ok(performance.now() - startMs < 5_000, 'the others are answered')
  // Each may hold its window from the target, 128 KiB, and as much again on its way out: not the endless rest.
  const grown = castor.residentBytes - before
  t.ok(grown < 64 * MIB, `${Math.round(grown / MIB)} MiB more for 100 stalled streams`)
  for (const stream of stalled) stream.close()
  await until('an answer after all', async () => (await ask(session)).status === 200)
})

t.test('uploads that their target does not take hold up no other, and hold no memory', async (t) => {
  const target = await Http2Target.start(t, (stream, headers) => {
    if (headers[':path'] === '/upload') stream.pause()
    else generous(stream, headers)
  })
  const castor = await startChild(
    t,
    onePair('http', [target.address], { listener: { http2: true }, group: { protocol: 'h2c' } }),
  )
  // Node's own bound on what a session holds would refuse the answers.
  const session = await connectTo(t, castor.port(), { maxSessionMemory: 500 })
  for (let i = 0; i < 500; i++) await ask(session)
  const before = castor.residentBytes
  const chunk = Buffer.alloc(MIB)
  const uploads = Array.from({ length: 50 }, () => {
    const stream = session.request({ ':method': 'POST', ':path': '/upload' }, { endStream: false })
    stream.on('error', () => {})
    stream.write(chunk)
    return stream
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  const grown = castor.residentBytes - before
  t.ok(grown < 48 * MIB, `${Math.round(grown / MIB)} MiB more for 50 stalled uploads`)
  for (const stream of uploads) stream.close()
})
