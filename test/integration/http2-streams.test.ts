import { once } from 'node:events'
import t from 'tap'
import { H2_ERROR } from '../../src/http/h2/engine.js'
import { FRAME } from '../../src/http/h2/frames.js'
import { END, type Field, frame, GET, headers } from '../unit/http/h2/rig.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { answerOf, ask, connectTo, Http2Target, NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } from './support/http2-peers.js'
import { RawHttp2Client } from './support/http2-raw.js'
import { answer, ok, RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

// Nearly all of their time is waiting: they wait together.
t.jobs = 4
const H2C = { listener: { http2: true }, accessLog: true } as const

async function before(
  t: Test,
  script: Script = {},
  options: object = {},
): Promise<{ castor: TestCastor; target: RawTarget; port: number }> {
  const target = await RawTarget.start(script)
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], { ...H2C, ...options })
  return { castor, target, port: castor.port }
}

const POST: readonly Field[] = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const)

t.test('a malformed request is reset, and costs the other streams nothing', { buffered: true }, async (t) => {
  const release: (() => void)[] = []
  const { castor, target, port } = await before(t, {
    answer: (_, connection) => void release.push(() => connection.write(ok('fine'))),
  })
  const client = await RawHttp2Client.open(t, port)
  client.send(headers(1, GET, END))
  await until('the good request at the target', () => target.requests.length === 1)
  const CASES: readonly (readonly [what: string, frames: (id: number) => Buffer[]])[] = [
    ['a name in upper case', (id) => [headers(id, [...GET, ['X-Foo', '1']], END)]],
    ['a connection-specific field', (id) => [headers(id, [...GET, ['connection', 'close']], END)]],
    ['no path', (id) => [headers(id, GET.slice(0, 3), END)]],
    ['a line end in a value', (id) => [headers(id, [...GET, ['x', 'a\r\nb: c']], END)]],
    [
      'more content than said',
      (id) => [headers(id, [...POST, ['content-length', '1']]), frame(FRAME.DATA, END, id, Buffer.from('ab'))],
    ],
    [
      'less content than said',
      (id) => [headers(id, [...POST, ['content-length', '9']]), frame(FRAME.DATA, END, id, Buffer.from('ab'))],
    ],
    ['a pseudo-header field among trailers', (id) => [headers(id, POST), headers(id, [[':path', '/']], END)]],
  ]
  for (const [i, [what, frames]] of CASES.entries()) {
    const id = 3 + i * 2
    client.send(...frames(id))
    t.equal(await client.resetOf(id), H2_ERROR.PROTOCOL_ERROR, what)
  }
  for (const answer of release) answer()
  await client.answered(1)
  t.notOk(client.closed)
  const records = await castor.accessRecords(CASES.length + 1)
  t.equal(records.filter(({ status, reason }) => status === 400 && reason === 'BAD_REQUEST').length, 4)
  t.equal(records.filter(({ status }) => status === 200).length, 1)
})

t.test('a host with sub-delims goes to the target as the client wrote it', { buffered: true }, async (t) => {
  const { target, port } = await before(t)
  const session = await connectTo(t, port)
  t.equal((await ask(session, { ':authority': "a,b;c='d':8080" })).status, 200)
  t.equal(target.requests[0]!.header('host'), "a,b;c='d':8080")
})

t.test('what can be answered is answered: 400, 405, 414, 431', { buffered: true }, async (t) => {
  const { castor, port } = await before(t)
  const session = await connectTo(t, port)
  const CASES: readonly (readonly [what: string, fields: Record<string, string>, status: number, reason: string])[] = [
    ['a bad host', { ':authority': 'a_b@c' }, 400, 'BAD_REQUEST'],
    ['a long target', { ':path': `/${'x'.repeat(9_000)}` }, 414, 'TARGET_LINE_TOO_LONG'],
    [
      'a large head',
      { 'x-large': 'x'.repeat(15_000), 'x-larger': 'y'.repeat(15_000), z: 'z'.repeat(6_000) },
      431,
      'HEADER_TOO_LARGE',
    ],
  ]
  for (const [what, fields, status] of CASES) t.equal((await ask(session, fields)).status, status, what)
  const records = await castor.accessRecords(CASES.length)
  t.same(
    records.map(({ status, reason }) => [status, reason]),
    CASES.map(([, , status, reason]) => [status, reason]),
  )
  const connect = session.request({ ':method': 'CONNECT', ':authority': 'a.example:443' })
  t.equal((await answerOf(connect)).status, 405)
})

t.test('a response that is cut is reset, never ended', { buffered: true }, async (t) => {
  const heads = {
    'of known length': answer('200 OK', ['Content-Length: 1000'], 'half'),
    chunked: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  }
  for (const [what, head] of Object.entries(heads)) {
    for (const how of ['end', 'reset'] as const) {
      const { castor, target, port } = await before(t, { answer: (_, connection) => void connection.write(head) })
      const session = await connectTo(t, port)
      const stream = session.request({ ':path': '/' })
      const end = answerOf(stream)
      await within('a part', once(stream, 'data'))
      target.connections[0]![how]()
      const { status, code } = await end
      t.same([status, code], [200, NGHTTP2_INTERNAL_ERROR], `${what}, ${how}`)
      t.match(await castor.accessRecords(1), [{ status: 200, reason: 'TARGET_CUT' }])
    }
  }
})

t.test('so is one that a target of HTTP/2 cuts', { buffered: true }, async (t) => {
  const target = await Http2Target.start(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('half')
    setImmediate(() => stream.session?.destroy())
  })
  const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c' } })
  const { status, code } = await ask(await connectTo(t, castor.port))
  t.equal(code, NGHTTP2_INTERNAL_ERROR)
  t.ok(status === 200 || status === 0)
})

t.test('a client that resets its stream cancels the request at its target', { buffered: true }, async (t) => {
  const { castor, target, port } = await before(t, { answer: () => {} })
  const session = await connectTo(t, port)
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  await until('the request at the target', () => target.requests.length === 1)
  stream.close(NGHTTP2_CANCEL)
  await target.connections[0]!.ending()
  t.match(await castor.accessRecords(1), [{ status: 499, reason: 'CLIENT_RESET' }])
  t.notOk(session.destroyed)

  let cancelled = 0
  let begun = 0
  const modern = await Http2Target.start(t, (upstream) => {
    begun++
    upstream.on('aborted', () => cancelled++)
  })
  const second = await startTestCastor(t, [modern.address], { ...H2C, group: { protocol: 'h2c' } })
  const other = (await connectTo(t, second.port)).request({ ':path': '/' })
  other.on('error', () => {})
  await until('the stream at the target', () => begun === 1)
  other.close(NGHTTP2_CANCEL)
  await until('the stream at the target is reset', () => cancelled === 1)
  t.equal(modern.openSessions, 1, 'its connection stays')
})

t.test('a client that goes away without a word cancels what it asked for', { buffered: true }, async (t) => {
  const { castor, target, port } = await before(t, {
    answer: ({ target: path }, connection) => path === '/stalled' && connection.write(ok('x'.repeat(300_000))),
  })
  const noWindow = [4, 0] as const
  const stalled = GET.map(([name, value]) => [name, name === ':path' ? '/stalled' : value] as const)
  for (const [turn, atOnce] of [true, false].entries()) {
    const client = await RawHttp2Client.open(t, port, noWindow)
    client.send(headers(1, GET, END), headers(3, stalled, END))
    await client.answered(3)
    await until('both requests at the target', () => target.requests.length === 2 + turn * 2)
    // Everything was read: its system says no more than that it will send nothing.
    if (atOnce) {
      client.socket.destroy()
    } else {
      client.socket.end()
      await client.frame('PING', ({ type }) => type === FRAME.PING)
      client.socket.destroy()
    }
    for (const connection of target.connections) await connection.ending()
    const records = await castor.accessRecords(2 + turn * 2)
    for (const { reason } of records) t.match(reason, /^CLIENT_/)
  }
})

t.test('failures are told per stream: 502, 503 and 504', { buffered: true }, async (t) => {
  const nowhere = await startTestCastor(t, ['127.0.0.1:1'], H2C)
  t.equal((await ask(await connectTo(t, nowhere.port))).status, 502)
  const weightless = await startTestCastor(t, [{ address: '127.0.0.1:1', weight: 0 }], H2C)
  const unavailable = await ask(await connectTo(t, weightless.port))
  t.equal(unavailable.status, 503)
  t.ok(unavailable.headers['retry-after'])
  const { port } = await before(t, { answer: () => {} }, { group: { timeouts: { connect: '1s', response: '1s' } } })
  t.equal((await ask(await connectTo(t, port))).status, 504)
  const plain = await RawTarget.start({})
  t.teardown(() => plain.stop())
  const mistaken = await startTestCastor(t, [plain.address], { ...H2C, group: { protocol: 'h2c' } })
  t.equal((await ask(await connectTo(t, mistaken.port))).status, 502, 'a target that speaks HTTP/1.1 only')
})

t.test('a body that comes too slowly is answered 408', { buffered: true }, async (t) => {
  const { castor, port } = await before(t, {}, { listener: { http2: true, idleTimeout: '1s' } })
  const session = await connectTo(t, port)
  const stream = session.request({ ':method': 'POST', ':path': '/', 'content-length': 100 }, { endStream: false })
  stream.write('half')
  const answered = await answerOf(stream)
  t.equal(answered.status, 408)
  t.match(await castor.accessRecords(1), [{ status: 408, reason: 'BODY_TOO_SLOW' }])
})

t.test('a request that a target turns away unread is sent again', { buffered: true }, async (t) => {
  let turnedAway = 0
  const target = await Http2Target.start(t, (stream, fields) => {
    if (turnedAway < 2) {
      turnedAway++
      stream.close(H2_ERROR.REFUSED_STREAM)
      return
    }
    stream.respond({ ':status': 200, 'x-method': fields[':method'] })
    stream.pipe(stream)
  })
  const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c' } })
  const session = await connectTo(t, castor.port)
  const answered = await ask(session, { ':method': 'POST' }, 'with a body')
  t.same([answered.status, answered.body.toString(), turnedAway], [200, 'with a body', 2])
})

t.test(
  'a target that goes away finishes what it has, and new requests find a new connection',
  { buffered: true },
  async (t) => {
    const release: (() => void)[] = []
    const target = await Http2Target.start(t, (stream, fields) => {
      const done = (): void => {
        stream.respond({ ':status': 200 })
        stream.end('done')
      }
      if (fields[':path'] === '/wait') release.push(done)
      else done()
    })
    const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c' } })
    const session = await connectTo(t, castor.port)
    const waiting = ask(session, { ':path': '/wait' })
    await until('it at the target', () => release.length === 1)
    target.sessions[0]!.goaway(0, 1)
    for (let i = 0; i < 5; i++) t.equal((await ask(session, { ':path': '/' })).status, 200)
    t.ok(target.sessions.length >= 2)
    release[0]!()
    t.equal((await waiting).status, 200)
  },
)

t.test('a target that speaks no proper HTTP/2 is answered for with 502', { buffered: true }, async (t) => {
  const target = await Http2Target.start(t, (stream) => {
    stream.respond({ ':status': 200, 'content-length': '3' })
    stream.end('more than three')
  })
  const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c' } })
  const { code } = await ask(await connectTo(t, castor.port))
  t.equal(code, NGHTTP2_INTERNAL_ERROR)
})
