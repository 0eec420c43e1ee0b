import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { request as http1Request } from 'node:http'
import { promisify } from 'node:util'
import t from 'tap'
import { startTestCastor } from './support/castor.js'
import { ask, connectTo, Http2Target, sendBack } from './support/http2-peers.js'
import { ok, RawTarget } from './support/raw-target.js'

const run = promisify(execFile)
const MIB = 1024 * 1024
const H2C = { listener: { http2: true } }

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Both kinds of targets, by the name of their group's protocol. */
const KINDS = ['http', 'h2c'] as const

async function echoing(t: Parameters<typeof startTestCastor>[0], kind: (typeof KINDS)[number]): Promise<string> {
  if (kind === 'h2c') return (await Http2Target.start(t, sendBack)).address
  const target = await RawTarget.start({
    answer: (request, connection) =>
      void connection.write(
        Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${request.body.length}\r\n\r\n`), request.body]),
      ),
  })
  t.teardown(() => target.stop())
  return target.address
}

for (const kind of KINDS) {
  t.test(`curl with prior knowledge before an ${kind} group`, async (t) => {
    const castor = await startTestCastor(t, [await echoing(t, kind)], {
      ...H2C,
      group: { protocol: kind },
      accessLog: true,
    })
    const { stdout } = await run('curl', [
      ...['-s', '-m', '10', '--http2-prior-knowledge', '-w', ' %{http_version} %{http_code}'],
      ...['-d', 'what is said', `${castor.url}/a`],
    ])
    t.equal(stdout, 'what is said 2 200')
    const [record] = await castor.accessRecords(1)
    t.match(record, { protocol: 'HTTP/2.0', method: 'POST', uri: '/a', status: 200, target_status: 200, reason: null })
    t.equal(record!.host, `127.0.0.1:${castor.port}`)
  })

  t.test(`bodies of many sizes go both ways whole before an ${kind} group`, async (t) => {
    const castor = await startTestCastor(t, [await echoing(t, kind)], { ...H2C, group: { protocol: kind } })
    const session = await connectTo(t, castor.port)
    for (const size of [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000, 5 * MIB]) {
      const body = randomBytes(size)
      const answer = await ask(session, { ':method': 'POST', ':path': '/' }, body)
      t.equal(answer.status, 200, `${size} bytes`)
      t.equal(digest(answer.body), digest(body), `${size} bytes come back`)
      const known = await ask(session, { ':method': 'POST', 'content-length': size }, body)
      t.equal(digest(known.body), digest(body), `${size} bytes of known length come back`)
    }
  })

  t.test(`h2load with 100 streams before an ${kind} group`, async (t) => {
    const address =
      kind === 'h2c'
        ? (await Http2Target.start(t)).address
        : await RawTarget.start({}).then((target) => {
            t.teardown(() => target.stop())
            return target.address
          })
    const castor = await startTestCastor(t, [address], { ...H2C, group: { protocol: kind } })
    const { stdout } = await run('h2load', ['-n', '2000', '-c', '2', '-m', '100', `${castor.url}/`])
    t.match(stdout, / 2000 succeeded, 0 failed, 0 errored, 0 timeout/)
    t.match(stdout, /status codes: 2000 2xx/)
    const metrics = await castor.metrics()
    t.equal(metrics.get('castor_connections_total{listener="web"}'), 2, 'streams are no connections')
    t.equal(metrics.get('castor_requests_total{listener="web",target_group="app",code="200"}'), 2000)
  })
}

t.test('nghttp takes what it is given', async (t) => {
  const castor = await startTestCastor(t, [(await Http2Target.start(t)).address], {
    ...H2C,
    group: { protocol: 'h2c' },
  })
  const { stdout } = await run('nghttp', [`${castor.url}/n`])
  t.equal(stdout, 'hello /n')
})

t.test('a client of HTTP/1.1 is served on the same port, also when its first bytes look alike', async (t) => {
  const target = await RawTarget.start({ answer: (request, connection) => void connection.write(ok(request.method)) })
  t.teardown(() => target.stop())
  const castor = await startTestCastor(t, [target.address], H2C)
  for (const method of ['GET', 'PRIVATE', 'P']) {
    const { stdout } = await run('curl', ['-s', '-m', '5', '--http1.1', '-X', method, castor.url])
    t.equal(stdout, method)
  }
})

t.test('a client of HTTP/1.1 reaches a target of HTTP/2, trailers and interim responses included', async (t) => {
  const target = await Http2Target.start(t, (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>' })
    stream.respond({ ':status': 200, trailer: 'x-sum' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }))
    stream.end('content')
  })
  const castor = await startTestCastor(t, [target.address], { group: { protocol: 'h2c' } })
  const seen = await new Promise((resolve, reject) => {
    const early: unknown[] = []
    const request = http1Request({ port: castor.port, host: '127.0.0.1', headers: { te: 'trailers' } }, (response) => {
      let text = ''
      response.on('data', (data) => {
        text += String(data)
      })
      response.on('end', () => resolve({ early, status: response.statusCode, text, trailers: response.trailers }))
    })
    request.on('information', ({ statusCode, headers }) => early.push([statusCode, headers.link]))
    request.on('error', reject)
    request.end()
  })
  t.same(seen, { early: [[103, '</style.css>']], status: 200, text: 'content', trailers: { 'x-sum': '42' } })
})

t.test('requests share connections to their target, and those close when the balancer drains', async (t) => {
  const target = await Http2Target.start(t)
  const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c' } })
  const session = await connectTo(t, castor.port)
  const answers = await Promise.all(Array.from({ length: 90 }, (_, i) => ask(session, { ':path': `/${i}` })))
  t.same(
    answers.map(({ body }) => body.toString()),
    answers.map((_, i) => `hello /${i}`),
  )
  t.equal(target.sessions.length, 1)
  const metrics = await castor.metrics()
  const [connections] = [...metrics].filter(([name]) => name.startsWith('castor_target_connections_active'))
  t.equal(connections![1], 1)
})

t.test('a target that takes few streams gets more connections', async (t) => {
  const waiting: (() => void)[] = []
  const target = await Http2Target.start(
    t,
    (stream) => {
      waiting.push(() => {
        stream.respond({ ':status': 200 })
        stream.end('x')
      })
      if (waiting.length === 30) for (const answer of waiting) answer()
    },
    { maxConcurrentStreams: 10 },
  )
  const castor = await startTestCastor(t, [target.address], { ...H2C, group: { protocol: 'h2c' } })
  const session = await connectTo(t, castor.port)
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask(session)))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal(target.sessions.length, 3)
})

t.test('sticky cookies and forwarded headers are those of HTTP/1.1', async (t) => {
  const target = await Http2Target.start(t, (stream, headers) => {
    stream.respond({ ':status': 200 })
    stream.end(JSON.stringify(headers))
  })
  const castor = await startTestCastor(t, [target.address], {
    ...H2C,
    group: { protocol: 'h2c', stickiness: { type: 'cookie', name: 'CASTOR' } },
  })
  const session = await connectTo(t, castor.port)
  const answer = await ask(session, { cookie: 'a=1; b=2', 'x-forwarded-for': '9.9.9.9', te: 'trailers' })
  t.match(answer.headers['set-cookie']![0], /^CASTOR=/)
  const seen = JSON.parse(answer.body.toString())
  t.match(seen, { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', te: 'trailers', ':scheme': 'http' })
  t.equal(seen.cookie, 'a=1; b=2')
  t.match(seen['x-request-id'], /^[0-9a-f]{32}$/)
})
