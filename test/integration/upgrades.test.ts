import { once } from 'node:events'
import t from 'tap'
import { type Balancer, startBalancer } from './support/balancer.js'
import { answerOf, connectTo, Http2Target } from './support/http2-peers.js'
import { type Fields, values } from './support/message.js'
import { get, RawClient, type RawResponse } from './support/raw-client.js'
import { answer, ok, RawTarget, type TargetConnection, type TargetRequest } from './support/raw-target.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

/** The listeners, and what each tunnels. */
const LISTENERS: Readonly<Record<string, object>> = {
  default: {},
  three: { upgrades: ['websocket', 'tcp', 'SPDY/3.1'] },
  named: { upgrades: ['tcp', 'foo', 'SPDY'] },
  all: { upgrades: ['any'] },
  word: { upgrades: 'any' },
}

const attach = (protocol: string, lines: readonly string[] = [], body = '', path = '/daemon'): string =>
  `${get(path, ['Connection: Upgrade', `Upgrade: ${protocol}`, ...lines], 'POST')}${body}`

const LIES: readonly (readonly [how: string, offered: string, lines: readonly string[]])[] = [
  ['to another protocol than was offered', 'tcp', ['Upgrade: other', 'Connection: Upgrade']],
  ['to h2c', 'tcp', ['Upgrade: h2c', 'Connection: Upgrade']],
  ['to WebSocket', 'tcp', ['Upgrade: websocket', 'Connection: Upgrade']],
  ['to nothing', 'tcp', ['Connection: Upgrade']],
  ['to two protocols, one of them not offered', 'tcp', ['Upgrade: tcp, other', 'Connection: Upgrade']],
  ['without Connection: upgrade', 'tcp', ['Upgrade: tcp']],
  ['to what was asked for and is not listed', 'other', ['Upgrade: other', 'Connection: Upgrade']],
]

const REQUIRED = '426 Upgrade Required'
const ANSWERS: readonly (readonly [
  what: string,
  status: string,
  lines: readonly string[],
  upgrade: readonly string[],
  connection: readonly string[],
])[] = [
  ['426 names the protocol', REQUIRED, ['Upgrade: HTTP/3.0', 'Connection: Upgrade'], ['HTTP/3.0'], ['upgrade']],
  ['426 of a WebSocket server', REQUIRED, ['Upgrade: websocket', 'Connection: upgrade'], ['websocket'], ['upgrade']],
  ['426 names several', REQUIRED, ['Upgrade: TLS/1.0,websocket'], ['TLS/1.0, websocket'], ['upgrade']],
  ['426 in two fields', REQUIRED, ['Upgrade: TLS/1.0', 'Upgrade: websocket'], ['TLS/1.0, websocket'], ['upgrade']],
  [
    '426 with h2c beside another',
    REQUIRED,
    ['Upgrade: h2c, websocket', 'Connection: upgrade'],
    ['websocket'],
    ['upgrade'],
  ],
  ['426 with h2c alone', REQUIRED, ['Upgrade: H2c', 'Connection: upgrade'], [], []],
  ['426 with what is no protocol', REQUIRED, ['Upgrade: "x y", a b', 'Connection: upgrade'], [], []],
  ['426 without Upgrade', REQUIRED, [], [], []],
  ['200 with an offer', '200 OK', ['Upgrade: h2,h2c', 'Connection: Upgrade'], [], []],
  ['400 with an offer', '400 Bad Request', ['Upgrade: websocket', 'Connection: Upgrade'], [], []],
]

const RAW_STREAM = 'Content-Type: application/vnd.docker.raw-stream'
const tunnels: TargetConnection[] = []

/** One target for all tests: what it does is in the path. */
function serve(request: TargetRequest, connection: TargetConnection): unknown {
  const [, what, number] = request.target.split('/')
  switch (what) {
    case 'daemon': {
      const protocol = `Upgrade: ${request.header('upgrade')}`
      connection.write(answer('101 UPGRADED', ['Connection: Upgrade', protocol, RAW_STREAM], 'banner\n'))
      tunnels.push(connection)
      // What comes from now on is no request.
      return new Promise(() => {})
    }
    case 'lie':
      return connection.write(answer('101 Switching Protocols', LIES[Number(number)]![2], 'smuggled'))
    case 'answer':
      return connection.write(ok('no', ANSWERS[Number(number)]![2], ANSWERS[Number(number)]![1]))
    case 'missing':
      return connection.write(ok('no such container', [], '404 Not Found'))
    default:
      return connection.write(ok('ok'))
  }
}

const target = await RawTarget.start({
  onHead: ({ startLine }, connection) => {
    if (!startLine.includes('/hasty')) return true
    connection.write(answer('101 UPGRADED', ['Connection: Upgrade', 'Upgrade: tcp']))
    return false
  },
  answer: serve,
})
t.teardown(() => target.stop())
const modern = await Http2Target.start(t, (stream, headers) => {
  stream.respond({ ':status': 200, 'x-upgrade': String('upgrade' in headers) }, { endStream: true })
})
const balancer: Balancer = await startBalancer(
  t,
  {
    workers: 1,
    listeners: [
      ...Object.entries(LISTENERS).map(([name, more]) => ({ name, targetGroup: 'old', http2: true, ...more })),
      { name: 'none', targetGroup: 'old', http2: true, upgrades: ['tcp'] },
      { name: 'modern', targetGroup: 'modern', upgrades: ['tcp'] },
    ].map((listener) => ({ protocol: 'http', listen: '127.0.0.1:0', ...listener })),
    targetGroups: [
      { name: 'old', protocol: 'http', targets: [{ address: target.address }] },
      { name: 'modern', protocol: 'h2c', targets: [{ address: modern.address }] },
    ],
  },
  { accessLog: true },
)

async function connected(t: { teardown(handler: () => unknown): unknown }, listener: string): Promise<RawClient> {
  const client = await RawClient.connect(balancer.portOf(listener))
  t.teardown(() => client.close())
  return client
}

/** The fields of the request that came last. */
const lastFields = (): Fields => target.requests.at(-1)!.fields

t.test('Docker’s attach: POST with a body, 101 UPGRADED, raw bytes both ways, each side ends by itself', async (t) => {
  const client = await connected(t, 'three')
  const body = '{"Detach":false,"Tty":true}'
  const lines = ['Content-Type: application/json', `Content-Length: ${body.length}`]
  const response = await client.exchange(attach('tcp', lines, body), 'POST')
  t.match(response, { status: 101, reason: 'UPGRADED' })
  t.equal(response.header('upgrade'), 'tcp')
  t.equal(response.header('connection')?.toLowerCase(), 'upgrade')
  t.equal(response.header('content-type'), 'application/vnd.docker.raw-stream')
  t.equal(String(await client.reader.bytes(7)), 'banner\n', 'what came with the 101')

  const tunnel = tunnels.at(-1)!
  const asked = tunnel.requests.at(-1)!
  t.equal(asked.text, body)
  t.equal(asked.header('upgrade'), 'tcp')
  t.equal(asked.header('connection')?.toLowerCase(), 'upgrade')
  // Bytes that are no text, and that would be a request or a chunk if anybody looked.
  const there = Buffer.from('\0\xffGET / HTTP/1.1\r\n\r\n0\r\n\r\n', 'latin1')
  client.send(there)
  t.ok((await within('bytes at the target', tunnel.reader.bytes(there.length))).equals(there))
  const back = Buffer.alloc(300_000, '\x01\x00\xfe')
  tunnel.write(back)
  t.ok((await within('bytes at the client', client.reader.bytes(back.length))).equals(back))

  // `docker run -i` without a terminal: standard input ends, and output goes on.
  client.half()
  await until('the end of input at the target', () => tunnel.ended === 'end')
  tunnel.write('last words')
  t.equal(String(await within('output behind the end of input', client.reader.bytes(10))), 'last words')
  tunnel.end()
  t.equal(await client.ending(), 'end')
  const [record] = await balancer.accessRecords(1)
  t.match(record, { status: 101, method: 'POST', reason: null })
})

t.test('Kubernetes’ exec: SPDY/3.1, without a body, and a reset of the target is one of the tunnel', async (t) => {
  const client = await connected(t, 'three')
  const response = await client.exchange(attach('SPDY/3.1', ['X-Stream-Protocol-Version: v4.channel.k8s.io']), 'POST')
  t.equal(response.status, 101)
  t.equal(response.header('upgrade'), 'SPDY/3.1')
  await client.reader.bytes(7)
  const tunnel = tunnels.at(-1)!
  t.equal(tunnel.requests.at(-1)!.header('x-stream-protocol-version'), 'v4.channel.k8s.io')
  client.send('\x80\x03\x00\x01')
  t.equal((await tunnel.reader.bytes(4)).toString('latin1'), '\x80\x03\x00\x01')
  tunnel.reset()
  t.equal(await client.ending(), 'reset')
})

interface Offer {
  readonly what: string
  readonly listener: string
  readonly lines: readonly string[]
  /** What the target is offered; none where the request goes on without. */
  readonly offered: readonly string[]
}

const OFFERS: readonly Offer[] = [
  { what: 'nothing but WebSocket by default', listener: 'default', lines: ['Upgrade: tcp'], offered: [] },
  { what: 'a protocol that is not listed', listener: 'three', lines: ['Upgrade: foo'], offered: [] },
  { what: 'another version of one that is', listener: 'three', lines: ['Upgrade: SPDY/2'], offered: [] },
  { what: 'any version of a name', listener: 'named', lines: ['Upgrade: SPDY/2'], offered: ['SPDY/2'] },
  { what: 'a name in other letters', listener: 'three', lines: ['Upgrade: TCP'], offered: ['TCP'] },
  { what: 'those that are listed', listener: 'named', lines: ['Upgrade: foo/2 ,bar, tcp'], offered: ['foo/2, tcp'] },
  { what: 'any', listener: 'all', lines: ['Upgrade: foo/2, bar'], offered: ['foo/2, bar'] },
  { what: 'any, as a word', listener: 'word', lines: ['Upgrade: foo'], offered: ['foo'] },
  { what: 'h2c', listener: 'all', lines: ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'], offered: [] },
  { what: 'h2c in other letters', listener: 'all', lines: ['Upgrade: H2C'], offered: [] },
  { what: 'h2c beside others', listener: 'all', lines: ['Upgrade: h2c, foo'], offered: ['foo'] },
  { what: 'HTTP itself', listener: 'all', lines: ['Upgrade: HTTP/2.0, h2, h2c-16'], offered: [] },
  { what: 'a POST to WebSocket', listener: 'all', lines: ['Upgrade: websocket'], offered: [] },
  { what: 'two Upgrade fields', listener: 'all', lines: ['Upgrade: foo', 'Upgrade: bar'], offered: [] },
  { what: 'what is no protocol', listener: 'all', lines: ['Upgrade: foo bar, "x", a/b/c, /'], offered: [] },
  { what: 'an empty field', listener: 'all', lines: ['Upgrade:'], offered: [] },
]

for (const { what, listener, lines, offered } of OFFERS) {
  const told = offered.length > 0 ? 'is offered to the target' : 'the request goes on without Upgrade'
  t.test(`upgrades: ${listener}: ${what}: ${told}`, async (t) => {
    const client = await connected(t, listener)
    const response = await client.exchange(get('/', ['Connection: Upgrade, HTTP2-Settings', ...lines], 'POST'), 'POST')
    t.equal(response.status, 200, 'a target need not switch')
    t.same(values(lastFields(), 'upgrade'), offered)
    t.same(values(lastFields(), 'connection'), offered.length > 0 ? ['upgrade'] : [])
    t.same(values(lastFields(), 'http2-settings'), [])
  })
}

t.test('Upgrade counts only in HTTP/1.1 and with Connection: upgrade', async (t) => {
  for (const head of [
    'POST / HTTP/1.0\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: test\r\nUpgrade: tcp\r\n\r\n',
  ]) {
    const client = await connected(t, 'all')
    t.equal((await client.exchange(head)).status, 200)
    t.same(values(lastFields(), 'upgrade'), [])
  }
})

for (const [number, [how, offered]] of LIES.entries()) {
  t.test(`a target that switches ${how} is answered for by 502`, async (t) => {
    const client = await connected(t, 'three')
    t.equal((await client.exchange(attach(offered, [], '', `/lie/${number}`), 'POST')).status, 502)
  })
}

t.test('a target that switches before the request is whole is answered for by 502', async (t) => {
  const client = await connected(t, 'three')
  const bytes = attach('tcp', ['Content-Length: 10'], 'half', '/hasty')
  t.equal((await client.exchange(bytes, 'POST')).status, 502)
})

t.test('a refused upgrade is an ordinary answer, and the connection goes on', async (t) => {
  const client = await connected(t, 'three')
  t.match(await client.exchange(attach('tcp', [], '', '/missing'), 'POST'), { status: 404, text: 'no such container' })
  t.match(await client.exchange(get('/')), { status: 200, text: 'ok' })
})

t.test('upgrades without websocket: neither HTTP/1.1 nor HTTP/2 can have one', async (t) => {
  const client = await connected(t, 'none')
  const key = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
  t.equal((await client.exchange(get('/', key))).status, 200)
  t.same(values(lastFields(), 'upgrade'), [])
  const session = await connectTo(t, balancer.portOf('none'))
  if (session.remoteSettings.maxHeaderListSize === undefined) await within('settings', once(session, 'remoteSettings'))
  t.notOk(session.remoteSettings.enableConnectProtocol, 'RFC 8441 3: not promised')
})

t.test('HTTP/2 clients have WebSocket alone: any other :protocol is 501', async (t) => {
  const session = await connectTo(t, balancer.portOf('all'))
  if (session.remoteSettings.enableConnectProtocol !== true) await within('settings', once(session, 'remoteSettings'))
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'tcp', ':scheme': 'http', ':authority': 'test', ':path': '/' },
    { endStream: true },
  )
  t.equal((await answerOf(stream)).status, 501)
})

t.test('a target of HTTP/2 gets the request without Upgrade', async (t) => {
  const client = await connected(t, 'modern')
  const response: RawResponse = await client.exchange(attach('tcp'), 'POST')
  t.equal(response.status, 200)
  t.equal(response.header('x-upgrade'), 'false')
})

for (const [number, [what, status, , upgrade, connection]] of ANSWERS.entries()) {
  const told = upgrade.length === 0 ? 'Upgrade is not passed on' : `the client gets Upgrade: ${upgrade[0]}`
  t.test(`RFC 9110 15.5.22: ${what}: ${told}`, async (t) => {
    const client = await connected(t, 'default')
    const response = await client.exchange(get(`/answer/${number}`))
    t.equal(response.status, Number(status.slice(0, 3)))
    t.same(values(response.fields, 'upgrade'), upgrade)
    t.same(values(response.fields, 'connection'), connection)
  })
}

t.test('a 426 that ends the connection says both in one Connection field, also to HTTP/1.0', async (t) => {
  for (const [version, option, connection] of [
    ['1.1', 'close', 'close, upgrade'],
    ['1.0', 'keep-alive', 'keep-alive, upgrade'],
  ] as const) {
    const client = await connected(t, 'default')
    const head = `GET /answer/1 HTTP/${version}\r\nHost: test\r\nConnection: ${option}\r\n\r\n`
    const { fields } = await client.exchange(head)
    t.same(values(fields, 'upgrade'), ['websocket'])
    t.same(values(fields, 'connection'), [connection])
  }
})

t.test('RFC 9113 8.2.2: an HTTP/2 client gets a 426 without fields that concern the connection', async (t) => {
  const session = await connectTo(t, balancer.portOf('default'))
  const { status, headers } = await answerOf(session.request({ ':path': '/answer/1' }))
  t.equal(status, 426)
  for (const name of ['upgrade', 'connection', 'keep-alive']) t.notOk(name in headers, name)
})
