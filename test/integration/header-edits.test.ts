import { once } from 'node:events'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startTestCastor, type Test } from './support/castor.js'
import { answerOf, ask, connectTo, Http2Target } from './support/http2-peers.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { startRouting } from './support/routing.js'
import { within } from './support/waiting.js'

const EDITS = {
  requestHeaders: {
    set: { 'X-Tier': 'gold', 'x-client': '${client_ip}', 'x-none': '${header.x-absent}' },
    add: { 'x-seen': '<${header.x-id}> ${query.q}' },
    remove: ['X-Debug'],
  },
  responseHeaders: {
    set: { 'cache-control': 'no-store', 'x-by': '${target_group} ${target} ${header.x-id}' },
    add: { 'x-note': 'castor' },
    remove: ['server', 'x-secret'],
  },
}
const SENT = ['X-Id: 7', 'X_TIER: mine', 'x-tier: mine', 'X-None: 1', 'X-Seen: before', 'x.debug: 1', 'X-Debug: 2']
const ANSWERED = ['Server: s', 'X_Secret: 1', 'Cache-Control: public', 'X-Note: target']
const REQUEST = { tier: ['gold'], client: ['127.0.0.1'], none: [], seen: ['before', '<7> a%20b'], debug: [] }

/** The lines of a head as HTTP/1.1 has it, by what their names are without punctuation. */
function valuesIn(head: readonly (readonly [string, string])[], name: string): string[] {
  return head.filter(([each]) => each.toLowerCase().replace(/[^a-z0-9]/g, '-') === name).map(([, value]) => value)
}

/** What the edits are about, of a head that came to a target. */
function requestSeen(head: readonly (readonly [string, string])[]) {
  return {
    tier: valuesIn(head, 'x-tier'),
    client: valuesIn(head, 'x-client'),
    none: valuesIn(head, 'x-none'),
    seen: valuesIn(head, 'x-seen'),
    debug: valuesIn(head, 'x-debug'),
  }
}

function answerSeen(head: readonly (readonly [string, string])[]) {
  return ['cache-control', 'x-by', 'x-note', 'server', 'x-secret'].map((name) => valuesIn(head, name).join(' | '))
}

const pairs = (headers: object): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((each): [string, string] => [name, String(each)]),
  )

async function target1(t: Test): Promise<RawTarget> {
  const target = await RawTarget.start({
    answer: (_, connection) =>
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${ANSWERED.map((l) => `${l}\r\n`).join('')}\r\nok`),
  })
  t.teardown(() => target.stop())
  return target
}

async function target2(t: Test, seen: [string, string][][]): Promise<Http2Target> {
  return await Http2Target.start(t, (stream, headers) => {
    seen.push(pairs(headers))
    stream.respond({ ':status': 200, ...Object.fromEntries(ANSWERED.map((line) => line.toLowerCase().split(': '))) })
    stream.end('ok')
  })
}

t.test('heads are edited from HTTP/1.1 and HTTP/2 clients to targets of either', async (t) => {
  const one = await target1(t)
  const heads: [string, string][][] = []
  const two = await target2(t, heads)
  for (const [protocol, address] of [
    ['http', one.address],
    ['h2c', two.address],
  ] as const) {
    const castor = await startTestCastor(t, [address], {
      listener: { http2: true, rules: [{ forward: 'app', ...EDITS }] },
      group: { protocol },
    })
    const answered = ['no-store', `app ${address} 7`, '', '', '']
    const whole = [...answered.slice(0, 2), 'target | castor', '', '']
    const plain = await request(castor.port, get('/?q=a%20b', SENT))
    t.same(answerSeen(plain.fields), whole, `HTTP/1.1 to ${protocol}`)
    const session = await connectTo(t, castor.port)
    const fields = Object.fromEntries(SENT.map((line) => line.toLowerCase().split(': ')))
    const streamed = await ask(session, { ':path': '/?q=a%20b', ...fields })
    t.equal(streamed.status, 200)
    t.same(
      answerSeen(pairs(streamed.headers)),
      [...whole.slice(0, 2), 'target, castor', '', ''],
      `HTTP/2 to ${protocol}`,
    )
  }
  t.equal(one.requests.length, 2)
  for (const { fields } of one.requests) t.same(requestSeen(fields), REQUEST, 'to HTTP/1.1')
  t.equal(heads.length, 2)
  for (const head of heads) t.same(requestSeen(head), { ...REQUEST, seen: ['before, <7> a%20b'] }, 'to HTTP/2')
})

t.test('a WebSocket handshake is edited both ways, from HTTP/1.1 and HTTP/2', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  const seen: unknown[] = []
  server.on('headers', (lines, { rawHeaders }) => {
    lines.push('Server: s', 'X-Note: target')
    seen.push(requestSeen(rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1]!] as const] : []))))
  })
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`
  const castor = await startTestCastor(t, [address], {
    listener: { http2: true, rules: [{ forward: 'app', ...EDITS }] },
  })
  const headers = Object.fromEntries(SENT.map((line) => line.split(': ')))
  const socket = new WebSocket(`ws://127.0.0.1:${castor.port}/?q=a%20b`, { headers })
  t.teardown(() => socket.terminate())
  const opened = within('open', once(socket, 'open'))
  const [upgrade] = (await within('101', once(socket, 'upgrade'))) as [{ rawHeaders: string[] }]
  const lines = upgrade.rawHeaders.flatMap((name, i) =>
    i % 2 === 0 ? [[name, upgrade.rawHeaders[i + 1]!] as const] : [],
  )
  t.same(answerSeen(lines), ['no-store', `app ${address} 7`, 'target | castor', '', ''])
  await opened
  socket.send('hello')
  const [data] = (await within('a message', once(socket, 'message'))) as [Buffer]
  t.equal(String(data), 'hello')

  const session = await connectTo(t, castor.port)
  if (session.remoteSettings.enableConnectProtocol !== true) await within('settings', once(session, 'remoteSettings'))
  const stream = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':authority': 'chat.example',
      ':path': '/?q=a%20b',
      'sec-websocket-version': '13',
      ...Object.fromEntries(SENT.map((line) => line.toLowerCase().split(': '))),
    },
    { endStream: false },
  )
  const ended = answerOf(stream)
  const [answer] = (await within('200', once(stream, 'response'))) as [object]
  t.same(answerSeen(pairs(answer)), ['no-store', `app ${address} 7`, 'target, castor', '', ''])
  stream.close()
  await ended
  t.same(seen, [REQUEST, REQUEST])
})

t.test('a removed field does not come back as a trailer, framed by chunks or by HTTP/2', async (t) => {
  const trailers: object[] = []
  const two = await Http2Target.start(t, (stream) => {
    stream.on('trailers', (fields: object) => trailers.push(fields))
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-length': 2 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-secret': '1', 'x-kept': '2' }))
      stream.end('ok')
    })
    stream.resume()
  })
  const castor = await startTestCastor(t, [two.address], {
    listener: { http2: true, rules: [{ forward: 'app', ...EDITS }] },
    group: { protocol: 'h2c' },
  })
  const chunked = await request(
    castor.port,
    `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX_Tier: mine\r\nX-Kept: 1\r\nX-Debug: 1\r\n\r\n`,
  )
  t.equal(chunked.status, 200)
  const session = await connectTo(t, castor.port)
  for (const length of [{}, { 'content-length': 2 }]) {
    const stream = session.request({ ':method': 'POST', ...length }, { endStream: false, waitForTrailers: true })
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ x_tier: 'mine', 'x-kept': '1', 'x-debug': '1', 'x-forwarded-for': '192.0.2.9' }),
    )
    stream.end('hi')
    const answer = await answerOf(stream)
    t.same(pairs(answer.trailers!), [['x-kept', '2']], 'the answer’s')
  }
  t.same(trailers.map(pairs), Array(3).fill([['x-kept', '1']]))
})

t.test('each target that is tried gets the head as edited', async (t) => {
  const first = await RawTarget.start({ answer: (_, connection) => connection.reset() })
  const second = await target1(t)
  t.teardown(() => first.stop())
  const castor = await startTestCastor(t, [first.address, second.address], {
    listener: { rules: [{ forward: 'app', ...EDITS }] },
    group: { outlierDetection: 'off', retries: { attempts: 1 } },
  })
  for (let n = 0; n < 4; n++) {
    const answer = await request(castor.port, get('/?q=a%20b', SENT))
    if (answer.status === 200) t.match(answer.header('x-by'), `app ${second.address} 7`, 'the target that answered')
  }
  t.ok(first.requests.length > 0 && second.requests.length > 0)
  for (const { fields } of [...first.requests, ...second.requests]) t.same(requestSeen(fields), REQUEST)
})

t.test('redirects and own answers are edited, errors and interim responses are not', async (t) => {
  const responseHeaders = { set: { 'x-a': '${rule}', 'content-language': 'en' }, add: { 'x-b': '[${target}]' } }
  const { port, targets } = await startRouting(
    t,
    ['a', 'gone'],
    [
      { name: 'to', match: { path: '/to' }, redirect: { path: '/x' }, responseHeaders },
      {
        name: 'own',
        match: { path: '/own' },
        respond: { body: 'b', headers: { X_A: 'old', 'x-c': '1', 'content-type': 'text/css' } },
        responseHeaders: { ...responseHeaders, remove: ['Content-Type'] },
      },
      { name: 'early', match: { path: '/early' }, forward: 'a', responseHeaders },
      { name: 'gone', match: { path: '/gone' }, forward: 'gone', responseHeaders },
    ],
  )
  targets.get('a')!.script = {
    answer: (_, connection) => connection.write(`HTTP/1.1 103 Early Hints\r\nx-a: interim\r\n\r\n${ok('a')}`),
  }
  targets.get('gone')!.script = { answer: (_, connection) => connection.reset() }
  const edited = async (path: string) => {
    const { status, fields, interims } = await request(port, get(path))
    return { status, a: valuesIn(fields, 'x-a'), b: valuesIn(fields, 'x-b'), interims: interims.length, fields }
  }
  t.match(await edited('/to'), { status: 302, a: ['to'], b: ['[]'] })
  const own = await edited('/own')
  t.match(own, { status: 200, a: ['own'], b: ['[]'] })
  t.same([valuesIn(own.fields, 'content-type'), valuesIn(own.fields, 'x-c')], [[], ['1']])
  const early = await request(port, get('/early'))
  t.same(valuesIn(early.fields, 'x-a'), ['early'])
  t.same(
    early.interims.map(({ fields }) => valuesIn(fields, 'x-a')),
    [['interim']],
  )
  t.match(await edited('/gone'), { status: 502, a: [], b: [] })
})

t.test('fields that variables make too large are 431, and the target hears nothing', async (t) => {
  const { port, targets } = await startRouting(
    t,
    ['a'],
    [
      { match: { path: '/up' }, forward: 'a', requestHeaders: { set: { b: '${header.a}${header.a}${header.a}' } } },
      { match: { path: '/down' }, forward: 'a', responseHeaders: { set: { b: '${header.a}${header.a}${header.a}' } } },
      { match: { path: '/own' }, respond: {}, responseHeaders: { set: { b: '${header.a}${header.a}${header.a}' } } },
    ],
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  for (const path of ['/up', '/down', '/own']) {
    t.equal((await client.exchange(get(path, [`A: ${'x'.repeat(12_000)}`]))).status, 431, path)
    t.equal((await client.exchange(get(path, ['A: x']))).status, 200, 'and the connection goes on')
  }
  t.equal(targets.get('a')!.requests.length, 2)
})

t.test('what the listener and stickiness say stays, whatever a rule removes', async (t) => {
  const { port } = await startRouting(
    t,
    ['a'],
    [{ forward: 'a', responseHeaders: { remove: ['set-cookie'], add: { 'Set-Cookie': 'own=1' } } }],
    { group: { stickiness: { type: 'cookie' } } },
  )
  const { fields } = await request(port, get())
  t.match(valuesIn(fields, 'set-cookie'), ['own=1', /^CASTOR-a=/])
})
