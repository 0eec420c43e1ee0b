import { once } from 'node:events'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startTestCastor } from './support/castor.js'
import { ask, connectTo, Http2Target } from './support/http2-peers.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { startRouting } from './support/routing.js'
import { within } from './support/waiting.js'

const asking = (target: string, host = 'shop.example'): string => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`

t.test('path, host and query are rewritten from clients to targets of HTTP/1.1 and HTTP/2', async (t) => {
  const seen: string[] = []
  const one = await RawTarget.start({
    answer: ({ target, header }, connection) => {
      seen.push(`${header('host')} ${target} ${header('x-forwarded-host')}`)
      connection.write(ok())
    },
  })
  t.teardown(() => one.stop())
  const two = await Http2Target.start(t, (stream, headers) => {
    seen.push(`${headers[':authority']} ${headers[':path']} ${headers['x-forwarded-host']}`)
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  for (const [protocol, address] of [
    ['http', one.address],
    ['h2c', two.address],
  ] as const) {
    const { port } = await startTestCastor(t, [address], {
      listener: {
        http2: true,
        rules: [
          { match: { path: '/api/*' }, forward: 'app', rewrite: { path: '/v2/*', host: 'app.internal:8080' } },
          {
            match: { pathRegex: '^/user/([0-9]+)$' },
            forward: 'app',
            rewrite: { path: '/u', query: 'id=${1}&${query}' },
          },
        ],
      },
      group: { protocol },
    })
    const session = await connectTo(t, port)
    for (const [target, expected] of [
      ['/api/a/../b//c?q=1', 'app.internal:8080 /v2/b/c?q=1 shop.example'],
      ['/api//evil.example/', 'app.internal:8080 /v2/evil.example/ shop.example'],
      ['/user/%37?x', 'shop.example /u?id=7&x shop.example'],
      ['/raw//%61', 'shop.example /raw//%61 shop.example'],
    ] as const) {
      seen.length = 0
      t.equal((await request(port, asking(target))).status, 200, target)
      t.equal((await ask(session, { ':path': target, ':authority': 'shop.example' })).status, 200, target)
      t.same(seen, [expected, expected], `${target} to ${protocol}`)
    }
  }
})

t.test('a WebSocket handshake goes to the rewritten path', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  server.on('connection', (socket, { url }) => socket.send(url ?? ''))
  const { port } = await startTestCastor(t, [`127.0.0.1:${(server.address() as { port: number }).port}`], {
    listener: { rules: [{ match: { path: '/chat/*' }, forward: 'app', rewrite: { path: '/*' } }] },
  })
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat/room?1`)
  t.teardown(() => socket.terminate())
  const [data] = (await within('a message', once(socket, 'message'))) as [Buffer]
  t.equal(String(data), '/room?1')
})

t.test('with responses, Location and cookies come back as they are for the client, beside header edits', async (t) => {
  const lines = [
    'Location: http://app.internal/v2/next?q',
    'Set-Cookie: a=b; Path=/v2/; Domain=app.internal',
    'Set-Cookie: c=d',
  ]
  const one = await RawTarget.start({ answer: (_, connection) => connection.write(ok('', lines, '302 Found')) })
  t.teardown(() => one.stop())
  const rule = { forward: 'app', rewrite: { path: '/v2/*', host: 'app.internal', responses: true } }
  const { port } = await startTestCastor(t, [one.address], {
    listener: {
      http2: true,
      rules: [
        { match: { path: '/api/*' }, ...rule },
        {
          match: { path: '/bare/*' },
          ...rule,
          responseHeaders: { remove: ['location'], set: { 'set-cookie': 'e=f' } },
        },
        { match: { path: '/kept/*' }, forward: 'app', rewrite: { path: '/v2/*', host: 'app.internal' } },
      ],
    },
  })
  const session = await connectTo(t, port)
  const cookies = ['c=d', 'a=b; Path=/api/; Domain=shop.example']
  const back = await request(port, asking('/api/a', 'shop.example:99'))
  t.equal(back.header('location'), 'http://shop.example:99/api/next?q')
  t.same(
    back.fields.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value),
    cookies,
  )
  const streamed = await ask(session, { ':path': '/api/a', ':authority': 'shop.example:99' })
  t.equal(streamed.headers.location, 'http://shop.example:99/api/next?q')
  t.same(streamed.headers['set-cookie'], cookies)
  const bare = await request(port, asking('/bare/a'))
  t.same([bare.header('location'), bare.header('set-cookie')], [undefined, 'e=f'])
  const kept = await request(port, asking('/kept/a'))
  t.equal(kept.header('location'), 'http://app.internal/v2/next?q')
})

t.test('what makes no target is refused, and no target hears of it', async (t) => {
  const { port, targets, balancer } = await startRouting(
    t,
    ['a'],
    [
      { match: { path: '/q' }, forward: 'a', rewrite: { path: '/x/${query.p}/y' } },
      { match: { path: '/h' }, forward: 'a', rewrite: { host: '${header.x-host}' } },
      { match: { path: '/long/*' }, forward: 'a', rewrite: { path: '/${path}${path}' } },
      { match: { path: '/*' }, forward: 'a', rewrite: { path: '/v/*' } },
    ],
    { accessLog: true },
  )
  for (const [bytes, status] of [
    [get('/q?p=%2e%2e'), 400],
    [get('/q?p=..'), 400],
    [get('/h', ['X-Host: a b']), 400],
    [get(`/long/${'a'.repeat(5_000)}`), 414],
  ] as const)
    t.equal((await request(port, bytes)).status, status, bytes.slice(0, 40))
  t.equal(targets.get('a')!.requests.length, 0)
  t.equal((await request(port, get('/h', ['X-Host: a.b']))).status, 200)
  t.equal((await request(port, 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n', 'OPTIONS')).status, 200)
  t.same(
    targets.get('a')!.requests.map(({ target }) => target),
    ['/h', '*'],
  )
  const reasons = (await balancer.accessRecords(6)).map(({ reason }) => reason)
  t.same(reasons, ['BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', 'TARGET_LINE_TOO_LONG', null, null])
})
