import t from 'tap'
import type { Test } from './support/castor.js'
import { ask, connectTo, Http2Target } from './support/http2-peers.js'
import type { Metrics } from './support/metrics.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, type RawTarget, type Script } from './support/raw-target.js'
import { startReloading, startTarget } from './support/reloading.js'
import { type Routing, type RoutingOptions, startRouting } from './support/routing.js'
import { until } from './support/until.js'

interface Mirroring extends Routing {
  readonly main: RawTarget
  readonly shadow: RawTarget
  /** Of the mirror: sent, dropped, failed. */
  counts(): Promise<number[]>
  /** A request is on its way to `main`. */
  inFlight(): Promise<unknown>
}

const countsIn = (metrics: Metrics): number[] =>
  ['sent', 'dropped', 'failed'].map((result) =>
    metrics.sum('castor_mirrored_requests_total', 'target_group="shadow"', `result="${result}"`),
  )

/** Everything goes to `main`, and copies as `mirror` says to `shadow`. */
async function startMirroring(
  t: Test,
  mirror: unknown,
  options: RoutingOptions = {},
  script?: Script,
): Promise<Mirroring> {
  const routing = await startRouting(
    t,
    ['main', 'shadow'],
    [{ match: { path: '/*' }, forward: 'main', mirror }],
    options,
  )
  const shadow = routing.targets.get('shadow')!
  if (script !== undefined) shadow.script = script
  const counts = async (): Promise<number[]> => countsIn(await routing.balancer.metrics())
  const inFlight = (): Promise<unknown> =>
    until('a request', async () => {
      const metrics = await routing.balancer.metrics()
      return metrics.sum('castor_target_in_flight', 'target_group="main"') === 1
    })
  return { ...routing, inFlight, main: routing.targets.get('main')!, shadow, counts }
}

const post = (body: string, lines: readonly string[] = []): string =>
  `POST /p?q=%20 HTTP/1.1\r\nHost: h\r\n${lines.map((line) => `${line}\r\n`).join('')}Content-Length: ${body.length}\r\n\r\n${body}`

const described = ({ method, target, fields, body }: RawTarget['requests'][number]) => ({
  method,
  target,
  fields,
  body: body.toString('latin1'),
})

t.test('the mirror gets the request as its target does, and nobody gets the mirror’s answer', async (t) => {
  const { port, main, shadow, counts, inFlight, balancer } = await startMirroring(
    t,
    'shadow',
    { accessLog: true },
    {
      answer: (_, connection) => connection.write(ok('not for you', ['Set-Cookie: a=b'], '500 Shadow')),
    },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const chunked =
    'POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailing: 1\r\n\r\n'
  const requests = [
    get('/a/../b?c', ['X-Forwarded-For: 1.2.3.4', 'Cookie: d=e']),
    post('hello', ['X: y']),
    chunked,
    get('/last'),
  ]
  for (const [index, bytes] of requests.entries()) {
    const answer = await client.exchange(bytes)
    t.match(answer, { status: 200, text: 'main' })
    t.equal(answer.header('set-cookie'), undefined)
    await shadow.received(index + 1)
  }
  client.send(post('in pieces').slice(0, -4))
  await inFlight()
  client.send('eces')
  t.equal((await client.response()).text, 'main')
  await shadow.received(5)
  t.same(shadow.requests.map(described), main.requests.map(described))
  t.match(shadow.requests[0]!.header('x-forwarded-for'), '127.0.0.1')
  await until('the counts', async () => (await counts())[0] === 5)
  t.same(await counts(), [5, 0, 0])
  const records = await balancer.accessRecords(5)
  t.same(
    records.map(({ status, target_group }) => [status, target_group]),
    Array(5).fill([200, 'main']),
  )
  t.equal((await balancer.metrics()).sum('castor_requests_total'), 5)
})

t.test('a share of the requests is copied, evenly spread', async (t) => {
  const { port, shadow, counts } = await startMirroring(t, { targetGroup: 'shadow', percent: 30 })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 20; i++) await client.exchange(get(`/${i}`))
  await until('the copies', async () => (await counts())[0] === 6)
  t.equal(shadow.requests.length, 6)
  t.same(await counts(), [6, 0, 0])
})

t.test('larger bodies, upgrades and requests that end too soon are not copied, and counted', async (t) => {
  const { port, shadow, counts, inFlight } = await startMirroring(t, { targetGroup: 'shadow', maxBody: '10B' })
  t.equal((await request(port, post('0123456789a'), 'POST')).text, 'main')
  const chunked =
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n6789ab\r\n0\r\n\r\n'
  t.equal((await request(port, chunked, 'POST')).text, 'main')
  const upgrade = get('/', ['Connection: Upgrade', 'Upgrade: websocket'])
  t.equal((await request(port, upgrade)).text, 'main')
  const cut = await RawClient.connect(port)
  cut.send(post('0123').slice(0, -1))
  await inFlight()
  cut.reset()
  await until('four of them', async () => (await counts())[1] === 4)
  t.equal((await request(port, post('0123456789'), 'POST')).text, 'main', 'as much as it may be')
  await shadow.received(1)
  await until('the last', async () => (await counts())[0] === 1)
  t.same(await counts(), [1, 4, 0])
  t.equal(shadow.requests.length, 1)
})

const FAULTS: readonly [string, Script | 'dead', 'sent' | 'failed'][] = [
  ['is dead', 'dead', 'failed'],
  ['never answers', { answer: () => undefined }, 'failed'],
  ['never reads', { onConnection: ({ socket }) => void socket.pause(), onHead: () => false }, 'failed'],
  ['answers nonsense', { answer: (_, connection) => connection.write('nonsense\r\n\r\n') }, 'failed'],
  ['closes at once', { onConnection: (connection) => connection.reset() }, 'failed'],
  [
    'switches protocols',
    { answer: (_, to) => to.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n') },
    'failed',
  ],
  [
    'answers without an end',
    {
      answer: (_, { socket }) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n')
        const more = (): void => {
          while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024)));
        }
        socket.on('drain', more)
        more()
      },
    },
    'sent',
  ],
  [
    'stops in the middle of its answer',
    { answer: (_, to) => to.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx') },
    'sent',
  ],
]

t.test('a mirror that fails in whatever way is not noticed by any client', async (t) => {
  const addresses = await Promise.all(
    FAULTS.map(async ([, script]) => {
      const target = await startTarget(t)
      const { address } = target
      if (script === 'dead') await target.stop()
      else target.script = script
      return address
    }),
  )
  const { port, balancer } = await startRouting(t, ['main'], [], {
    listener: {
      rules: FAULTS.map((_, index) => ({ match: { path: `/${index}` }, forward: 'main', mirror: `mirror-${index}` })),
    },
    groups: addresses.map((address, index) => ({
      name: `mirror-${index}`,
      protocol: 'http',
      targets: [{ address }],
      healthCheck: { protocol: 'off' },
      timeouts: { connect: '1s', response: '1s' },
    })),
    accessLog: true,
  })
  const body = 'x'.repeat(60_000)
  await Promise.all(
    FAULTS.map(async ([fault], index) => {
      const client = await RawClient.connect(port)
      t.teardown(() => client.close())
      for (let i = 0; i < 5; i++) {
        const answer = await client.exchange(post(body).replace('/p?q=%20', `/${index}`), 'POST')
        t.match(answer, { status: 200, text: 'main' }, fault)
      }
    }),
  )
  for (const [index, [fault, , result]] of FAULTS.entries()) {
    const counts = (metrics: Metrics): number[] =>
      ['sent', 'dropped', 'failed'].map((what) =>
        metrics.sum('castor_mirrored_requests_total', `target_group="mirror-${index}"`, `result="${what}"`),
      )
    const found = await until(`every copy being over: ${fault}`, async () => {
      const seen = counts(await balancer.metrics())
      return seen.reduce((sum, count) => sum + count, 0) === 5 && seen
    })
    t.same(found, result === 'sent' ? [5, 0, 0] : [0, 0, 5], fault)
  }
  const records = await balancer.accessRecords(5 * FAULTS.length)
  t.ok(records.every(({ status, reason }) => status === 200 && reason === null))
  const metrics = await balancer.metrics()
  t.equal(metrics.sum('castor_target_failures_total', 'target_group="main"'), 0)
  t.equal(metrics.sum('castor_server_errors_total'), 0)
  t.equal(metrics.sum('castor_retries_total'), 0)
  t.equal(metrics.sum('castor_target_in_flight'), 0)
})

t.test('so many copies are under way at once, and no more', async (t) => {
  const { port, shadow, counts } = await startMirroring(t, 'shadow', {}, { answer: () => undefined })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 0; i < 200; i++) t.equal((await client.exchange(get(`/${i}`))).text, 'main')
  await until('the rest being dropped', async () => (await counts())[1] === 72)
  await shadow.received(128)
  for (const connection of shadow.connections) connection.write(ok('late'))
  await until('the others being answered', async () => (await counts())[0] === 128)
  t.same(await counts(), [128, 72, 0])
  t.equal((await client.exchange(get('/more'))).text, 'main')
  await shadow.received(129)
})

t.test('connections to the mirror are used again', async (t) => {
  const { port, shadow, counts } = await startMirroring(t, 'shadow')
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (let i = 1; i <= 5; i++) {
    await client.exchange(get(`/${i}`))
    await until('its copy', async () => (await counts())[0] === i)
  }
  t.equal(shadow.connections.length, 1)
})

t.test('HTTP/2 clients are mirrored, and so is to targets that speak it', async (t) => {
  const seen: string[] = []
  const h2 = await Http2Target.start(t, (stream, headers) => {
    let body = ''
    stream.setEncoding('latin1')
    stream.on('data', (data: string) => {
      body += data
    })
    stream.on('end', () => {
      seen.push(`${headers[':method']} ${headers[':path']} ${headers['x-a']} ${body}`)
      stream.respond({ ':status': 500 })
      stream.end('nobody sees it')
    })
  })
  const { port, shadow, balancer } = await startMirroring(t, 'shadow', {
    listener: {
      http2: true,
      rules: [
        { match: { path: '/h1/*' }, forward: 'main', mirror: 'shadow' },
        { match: { path: '/*' }, forward: 'main', mirror: 'h2' },
      ],
    },
    groups: [{ name: 'h2', protocol: 'h2c', targets: [{ address: h2.address }], healthCheck: { protocol: 'off' } }],
  })
  const client = await connectTo(t, port)
  const send = (path: string) => ask(client, { ':method': 'POST', ':path': path, 'x-a': 'b' }, 'a body')
  const answers = await Promise.all([send('/h1/x'), send('/x'), ask(client, { ':path': '/get' })])
  t.same(
    answers.map(({ status, body }) => [status, String(body)]),
    Array(3).fill([200, 'main']),
  )
  await shadow.received(1)
  t.match(described(shadow.requests[0]!), { method: 'POST', target: '/h1/x', body: 'a body' })
  await until('both at the other', () => seen.length === 2)
  t.same(seen.sort(), ['GET /get undefined ', 'POST /x b a body'])
  await until('the counts', async () => {
    const metrics = await balancer.metrics()
    return metrics.sum('castor_mirrored_requests_total', 'target_group="h2"', 'result="sent"') === 2
  })
})

t.test('a reload takes the mirror away while copies are with it', async (t) => {
  const [main, shadow] = [await startTarget(t), await startTarget(t)]
  shadow.script = { answer: () => undefined }
  const group = (name: string, { address }: RawTarget) => ({
    name,
    protocol: 'http',
    targets: [{ address }],
    draining: '0s',
  })
  const config = (mirrored: boolean) => ({
    workers: 1,
    listeners: [
      {
        name: 'in',
        protocol: 'http',
        listen: '127.0.0.1:0',
        targetGroup: 'main',
        rules: [{ match: { path: '/*' }, forward: 'main', ...(mirrored ? { mirror: 'shadow' } : {}) }],
      },
    ],
    targetGroups: mirrored ? [group('main', main), group('shadow', shadow)] : [group('main', main)],
  })
  const { castor, reload } = await startReloading(t, config(true))
  const client = await RawClient.connect(castor.port())
  t.teardown(() => client.close())
  for (let i = 0; i < 3; i++) t.equal((await client.exchange(get('/'))).status, 200)
  await shadow.received(3)
  t.match(await reload(config(false)), { code: 200 })
  await Promise.all(shadow.connections.map((connection) => connection.ending()))
  for (let i = 0; i < 3; i++) t.equal((await client.exchange(get('/'))).status, 200)
  t.equal(shadow.requests.length, 3)
  t.equal((await castor.metrics()).all('castor_mirrored_requests_total').length, 0)
})

t.test('a stop does not wait for copies', async (t) => {
  const { port, shadow, balancer } = await startMirroring(
    t,
    'shadow',
    { more: { shutdownTimeout: '60s' } },
    { answer: () => undefined },
  )
  t.equal((await request(port, get('/'))).text, 'main')
  await shadow.received(1)
  await balancer.running.stop()
  t.pass('it is over')
})
