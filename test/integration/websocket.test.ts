import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws'
import { type CastorOptions, castorBefore, startTestCastor, type TestCastor } from './support/castor.js'
import { values } from './support/message.js'
import { get, RawClient } from './support/raw-client.js'
import { answer, ok, type TargetConnection } from './support/raw-target.js'
import { settled } from './support/until.js'
import { eventually, timed, within } from './support/waiting.js'

const MIB = 1024 * 1024

interface Setting {
  readonly castor: TestCastor
  readonly server: WebSocketServer
  connect(path?: string, options?: ClientOptions): Promise<WebSocket>
}

/** A balancer before a `ws` server that sends back what it gets. */
async function before(t: Test, options: CastorOptions = {}): Promise<Setting> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true, maxPayload: 16 * MIB })
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    socket.on('error', () => {})
  })
  const castor = await startTestCastor(t, [`127.0.0.1:${(server.address() as { port: number }).port}`], options)
  return {
    castor,
    server,
    async connect(path = '/', wsOptions = {}) {
      const socket = new WebSocket(`ws://127.0.0.1:${castor.port}${path}`, { maxPayload: 16 * MIB, ...wsOptions })
      t.teardown(() => socket.terminate())
      await within('open', once(socket, 'open'))
      socket.on('error', () => {})
      return socket
    },
  }
}

const message = async (socket: WebSocket): Promise<[data: Buffer, isBinary: boolean]> =>
  (await within('a message', once(socket, 'message'), 10_000)) as [Buffer, boolean]

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

t.test('text and binary come back as they went, from nothing to 5 MiB', async (t) => {
  const { connect } = await before(t)
  for (const perMessageDeflate of [false, true]) {
    const socket = await connect('/', { perMessageDeflate })
    for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000, 5 * MIB]) {
      // Random bytes at the front so that a mix-up shows; the rest alike, for the compressing side's sake.
      const bytes = Buffer.concat([randomBytes(Math.min(size, 1_000)), Buffer.alloc(Math.max(0, size - 1_000), 'x')])
      socket.send(bytes)
      const [data, isBinary] = await message(socket)
      t.ok(isBinary && digest(data) === digest(bytes), `${size} bytes, deflate ${perMessageDeflate}`)
      const text = 'ä'.repeat(size >> 1)
      socket.send(text)
      const [back, binary] = await message(socket)
      t.ok(!binary && String(back) === text, `text of ${size} bytes, deflate ${perMessageDeflate}`)
    }
  }
})

t.test('two hundred at once do not mix', async (t) => {
  const { connect, server, castor } = await before(t, { workers: 2 })
  const sockets = await Promise.all(Array.from({ length: 200 }, (_, i) => connect(`/${i}`)))
  await Promise.all(
    sockets.map(async (socket, i) => {
      for (let round = 0; round < 5; round++) {
        const text = `${i}:${round}:${'x'.repeat(i * 10)}`
        socket.send(text)
        const [data] = await message(socket)
        if (String(data) !== text) t.fail(`socket ${i} got what was not its own: ${String(data).slice(0, 20)}`)
      }
    }),
  )
  t.equal(server.clients.size, 200)
  t.equal((await castor.metrics()).get('castor_connections_active{listener="web"}'), 200)
  const closed = sockets.map((socket) => once(socket, 'close'))
  for (const socket of sockets) socket.close()
  await Promise.all(closed)
  await eventually('the server is rid of them too', () => server.clients.size === 0)
})

t.test('close codes and reasons go both ways', async (t) => {
  const { connect, server } = await before(t)
  const cases: [code: number, reason: string][] = [
    [1000, ''],
    [1000, 'done'],
    [1001, 'going away'],
    [1011, 'trouble'],
    [3000, 'x'.repeat(123)],
    [4999, 'ä'],
  ]
  for (const [code, reason] of cases) {
    const accepted = once(server, 'connection')
    const socket = await connect()
    const [there] = (await accepted) as [WebSocket]
    const farEnd = once(there, 'close')
    const nearEnd = once(socket, 'close')
    socket.close(code, reason)
    const [seen, why] = (await within('the close at the target', farEnd)) as [number, Buffer]
    t.same([seen, String(why)], [code, reason], 'from the client')
    t.equal((await within('the close back', nearEnd))[0], code)

    const again = once(server, 'connection')
    const other = await connect()
    const [origin] = (await again) as [WebSocket]
    const closed = once(other, 'close')
    origin.close(code, reason)
    const [got, because] = (await within('the close at the client', closed)) as [number, Buffer]
    t.same([got, String(because)], [code, reason], 'from the target')
  }
})

t.test('an end without a close frame reaches the other side', async (t) => {
  const { connect, server } = await before(t)
  const accepted = once(server, 'connection')
  const socket = await connect()
  const [there] = (await accepted) as [WebSocket]
  const gone = once(there, 'close')
  socket.terminate()
  t.equal((await within('the target sees it', gone))[0], 1006)
  const again = once(server, 'connection')
  const other = await connect()
  const [origin] = (await again) as [WebSocket]
  const lost = once(other, 'close')
  origin.terminate()
  t.equal((await within('the client sees it', lost))[0], 1006)
})

t.test('ping and pong go both ways', async (t) => {
  const { connect, server } = await before(t)
  const accepted = once(server, 'connection')
  const socket = await connect()
  const [there] = (await accepted) as [WebSocket]
  const pong = once(socket, 'pong')
  socket.ping('from the client')
  t.equal(String((await within('pong', pong))[0]), 'from the client')
  const back = once(there, 'pong')
  there.ping('from the target')
  t.equal(String((await within('pong', back))[0]), 'from the target')
})

const UPGRADE = get('/chat', [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Protocol: a, b',
  'Sec-WebSocket-Extensions: permessage-deflate',
])
const SWITCHED = answer('101 Switching Protocols', [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  'Sec-WebSocket-Protocol: b',
])

/** A target that switches protocols and sends back what it gets, capital letters and all. */
const switching = (early = ''): { onHead(head: unknown, connection: TargetConnection): false } => ({
  onHead: (_, connection) => {
    connection.write(SWITCHED + early)
    connection.socket.on('data', (data) => connection.write(`<${data}>`))
    connection.socket.on('end', () => connection.end('bye'))
    return false
  },
})

t.test('the handshake reaches the target, and its answer the client', async (t) => {
  let seen: string[][] = []
  const { port } = await castorBefore(t, {
    onHead: (head, connection) => {
      seen = ['connection', 'upgrade', 'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol'].map(
        (name) => values(head.fields, name),
      )
      connection.write(SWITCHED)
      return false
    },
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  const response = await client.exchange(UPGRADE)
  t.same(seen, [['upgrade'], ['websocket'], ['dGhlIHNhbXBsZSBub25jZQ=='], ['13'], ['a, b']])
  t.equal(response.status, 101)
  t.equal(response.header('connection')?.toLowerCase(), 'upgrade')
  t.equal(response.header('upgrade'), 'websocket')
  t.equal(response.header('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  t.equal(response.header('sec-websocket-protocol'), 'b')
})

t.test('bytes right behind the upgrade request or behind the 101 are not lost', async (t) => {
  const { port } = await castorBefore(t, switching('early from the target.'))
  for (const used of [false, true]) {
    const client = await RawClient.connect(port)
    client.send(`${UPGRADE}early from the client`)
    if (used) client.send(', and more')
    t.equal((await client.response()).status, 101)
    t.equal(String(await client.reader.bytes(22)), 'early from the target.')
    await eventually('the early bytes are back', () => client.reader.has('early from the client'))
    if (used) await eventually('what followed as well', () => client.reader.has('and more'))
    client.close()
  }
})

t.test('an upgrade works on a connection that carried requests before, also pipelined behind one', async (t) => {
  const { port } = await castorBefore(t, {
    onHead: (head, connection) => (head.startLine.includes('/chat') ? switching().onHead(head, connection) : undefined),
  })
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  t.equal((await client.exchange(get('/first'))).text, '/first')
  client.send(`${get('/second')}${UPGRADE}hello`)
  t.equal((await client.response()).text, '/second')
  t.equal((await client.response()).status, 101)
  t.equal(String(await client.reader.bytes(7)), '<hello>')
})

t.test('half-close goes through the tunnel', async (t) => {
  const { target, port } = await castorBefore(t, switching())
  const client = await RawClient.connect(port)
  await client.exchange(UPGRADE)
  client.send('last')
  client.half()
  t.equal(String(await within('what comes after it', client.reader.rest())), '<last>bye')
  t.equal(await target.connections[0]!.ending(), 'end')
})

t.test('a client that ends its side before the 101 has that told to the target behind it', async (t) => {
  let accept = (): void => {}
  const { target, port } = await castorBefore(t, {
    onHead: (head, connection) => {
      accept = () => switching().onHead(head, connection)
      return false
    },
  })
  const client = await RawClient.connect(port)
  client.send(UPGRADE)
  client.half()
  await eventually('the upgrade is at the target', () => (target.connections[0]?.reader.total ?? 0) > 0)
  await eventually('the balancer knows of the end', () => client.reader.total > 0)
  accept()
  t.equal((await client.response()).status, 101)
  t.equal(String(await within('the answer to the end', client.reader.rest())), 'bye')
})

t.test('a refused upgrade is an ordinary response', async (t) => {
  const { castor, target, port } = await castorBefore(
    t,
    {
      answer: (request, connection) =>
        connection.write(request.target === '/chat' ? ok('not you', [], '403 Forbidden') : ok('fine')),
    },
    { accessLog: true },
  )
  const client = await RawClient.connect(port)
  t.teardown(() => client.close())
  t.match(await client.exchange(UPGRADE), { status: 403, text: 'not you' })
  t.equal((await client.exchange(get())).text, 'fine', 'on the same connection')
  t.equal(target.connections.length, 1)
  t.match(await castor.accessRecords(2), [
    { status: 403, reason: null },
    { status: 200, reason: null },
  ])
})

t.test('upgrades to anything else are not passed on', async (t) => {
  const { target, port } = await castorBefore(t)
  const cases = [
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'],
    ['Connection: Upgrade', 'Upgrade: websocket, h2c'],
    ['Connection: Upgrade', 'Upgrade: TLS/1.2'],
    ['Upgrade: websocket'],
  ]
  for (const lines of cases) t.equal((await once200(port, get('/', lines))).status, 200, lines.join())
  t.equal(
    (await once200(port, `${get('/', [...cases[3]!, 'Connection: Upgrade', 'Content-Length: 2'], 'POST')}hi`)).status,
    200,
  )
  for (const { fields } of target.requests) {
    for (const name of ['connection', 'upgrade', 'http2-settings']) t.same(values(fields, name), [], name)
  }
})

const once200 = async (port: number, bytes: string) => {
  const client = await RawClient.connect(port)
  const response = await client.exchange(bytes)
  client.close()
  return response
}

t.test('a switch to something the client did not ask for is refused', async (t) => {
  const { port } = await castorBefore(t, {
    onHead: (_, connection) => {
      connection.write(answer('101 Switching Protocols', ['Upgrade: h2c', 'Connection: Upgrade']))
      return false
    },
  })
  t.equal((await once200(port, UPGRADE)).status, 502)
})

t.test('websocketIdleTimeout closes both sides, and traffic of either puts it off', async (t) => {
  const { castor, target, port } = await castorBefore(t, switching(), {
    listener: { idleTimeout: '60s', websocketIdleTimeout: '1s' },
    accessLog: true,
  })
  const client = await RawClient.connect(port)
  await client.exchange(UPGRADE)
  const silent = timed(client.ending())
  const busy = await RawClient.connect(port)
  await busy.exchange(UPGRADE)
  const traffic = setInterval(() => busy.send('x'), 100)
  t.teardown(() => clearInterval(traffic))
  const { ms } = await silent
  t.ok(ms > 900 && ms < 2_500, `closed after ${Math.round(ms)} ms`)
  await target.connections[0]!.ending(500)
  t.match(await castor.accessRecords(1), [{ status: 101, reason: 'IDLE_TIMEOUT' }])
  t.equal(target.connections[1]!.ended, undefined, 'the busy one lives')
  clearInterval(traffic)
  busy.close()
})

const BLOCK = randomBytes(256 * 1024)
const BLOCKS = 256

/** Sends all blocks as they are taken, then ends. */
function pour(to: Socket, onSent: (count: number) => void): void {
  let sent = 0
  const more = (): void => {
    while (sent < BLOCKS) {
      onSent(++sent)
      if (!to.write(BLOCK)) {
        to.once('drain', more)
        return
      }
    }
    to.end()
  }
  more()
}

/** What arrives until the end, as one hash; reading begins when this is called. */
async function swallow(from: Socket): Promise<string> {
  const hash = createHash('sha256')
  from.on('data', (data) => hash.update(data))
  const end = within('the end of it', once(from, 'end'), 20_000)
  from.resume()
  await end
  return hash.digest('hex')
}

for (const [who, other] of [
  ['client', 'target'],
  ['target', 'client'],
]) {
  t.test(`a ${who} that does not read holds the ${other} back, and nothing is lost`, async (t) => {
    const all = createHash('sha256')
    for (let i = 0; i < BLOCKS; i++) all.update(BLOCK)
    let far: Socket | undefined
    const { port } = await castorBefore(t, {
      onHead: (_, connection) => {
        connection.write(SWITCHED)
        far = connection.socket
        return false
      },
    })
    const client = await RawClient.connect(port)
    client.send(UPGRADE)
    t.equal((await client.response()).status, 101)
    const [from, to] = who === 'client' ? [far!, client.socket] : [client.socket, far!]
    to.pause()
    to.removeAllListeners('data')
    let sent = 0
    pour(from, (count) => {
      sent = count
    })
    await settled('what was sent', () => sent)
    t.ok(sent < BLOCKS / 2, `${sent} of ${BLOCKS} blocks were taken while nobody read`)
    t.equal(await swallow(to), all.digest('hex'))
    client.close()
  })
}
