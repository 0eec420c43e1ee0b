import t from 'tap'
import { answerOf, connectTo, Http2Target } from './support/http2-peers.js'
import { pluginFolder, writePlugin } from './support/plugins.js'
import { get, RawClient, request } from './support/raw-client.js'
import { startRouting } from './support/routing.js'
import { eventually, within } from './support/waiting.js'

/** Holds every answer for a turn or two of the loop, and longer where the request says so. */
const HOLDS = `{
  name: 'holds',
  deadlineMs: 20_000,
  setup: () => ({ aborted: 0 }),
  onRequest: (request, { state }) => request.path === '/aborted' ? { status: 200, body: String(state.aborted) } : undefined,
  async onResponseHead(response, request, { state }) {
    request.signal.addEventListener('abort', () => state.aborted++)
    await new Promise((resolve) => setTimeout(resolve, request.header('x-hold') === 'long' ? 15_000 : 20))
    response.setHeader('x-held', response.status)
  },
  onLog: (entry) => ({ status: entry.status, sent: entry.sentBytes > 0 }),
}`

t.test('an answer that a plug-in holds comes whole, however its target ends it', async (t) => {
  const module = writePlugin(pluginFolder(t), HOLDS)
  const { port, targets } = await startRouting(t, ['app'], [], {
    more: { plugins: [module] },
    listener: { http2: true },
  })
  const target = targets.get('app')!
  const large = 'y'.repeat(300_000)
  const answers: readonly (readonly [string, string, string, boolean])[] = [
    ['with a length', `content-length: ${large.length}\r\n\r\n${large}`, large, false],
    ['in chunks', `transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, 'hello', false],
    ['until the end', `\r\n${large}`, large, true],
    ['with a length, and ended', 'content-length: 3\r\n\r\nabc', 'abc', true],
    ['empty', 'content-length: 0\r\n\r\n', '', false],
  ]
  const session = await connectTo(t, port)
  for (const [what, bytes, body, ends] of answers) {
    target.script = {
      answer(_asked, connection) {
        connection.write(`HTTP/1.1 200 OK\r\n${bytes}`)
        if (ends) connection.end()
      },
    }
    const answer = await request(port, get('/'))
    t.equal(answer.header('x-held'), '200', what)
    t.ok(answer.text === body, `${what}: ${answer.text.length} bytes`)
    const stream = session.request({ ':path': '/' })
    stream.end()
    const streamed = await answerOf(stream)
    t.equal(streamed.headers['x-held'], '200', `h2 ${what}`)
    t.ok(streamed.body.toString() === body, `h2 ${what}`)
  }
  target.script = {
    answer: (_asked, connection) => {
      connection.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab')
      connection.end()
    },
  }
  const client = await RawClient.connect(port)
  client.send(get('/'))
  await t.rejects(client.response(), 'one that is cut is seen to be cut')
  client.close()
  session.destroy()
})

t.test('targets of HTTP/2 and WebSockets go on behind a plug-in', async (t) => {
  const module = writePlugin(pluginFolder(t), HOLDS)
  const peer = await Http2Target.start(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('one ')
    setImmediate(() => stream.end('z'.repeat(200_000)))
  })
  const { port, targets, balancer } = await startRouting(t, ['app'], [{ match: { path: '/h2' }, forward: 'two' }], {
    more: { plugins: [module] },
    groups: [{ name: 'two', protocol: 'h2c', targets: [{ address: peer.address }] }],
    accessLog: true,
  })
  const answer = await request(port, get('/h2'))
  t.equal(answer.header('x-held'), '200')
  t.equal(answer.text.length, 200_004)
  targets.get('app')!.script = {
    onHead(_head, connection) {
      connection.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nearly')
      connection.socket.pipe(connection.socket)
      return false
    },
  }
  const socket = await RawClient.connect(port)
  const lines = [
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  socket.send(get('/', lines))
  const switched = await socket.response()
  t.equal(switched.status, 101)
  t.equal(switched.header('x-held'), '101')
  t.equal((await within('what came early', socket.reader.bytes(5))).toString(), 'early')
  socket.close()
  const log = await balancer.accessRecords(2)
  t.match(log.at(-1), { status: 101, plugins: { holds: { status: 101 } } })
})

t.test('a client that leaves, a target that goes and a stop end what a plug-in holds', async (t) => {
  const module = writePlugin(pluginFolder(t), HOLDS)
  const { port, targets, balancer } = await startRouting(t, ['app'], [], {
    more: { plugins: [module] },
    accessLog: true,
  })
  const aborted = async (): Promise<number> => Number((await request(port, get('/aborted'))).text)
  const held = async (count: number): Promise<void> =>
    eventually(`${count} are held`, async () => {
      const metrics = await balancer.metrics()
      return metrics.sum('castor_plugin_calls_total', 'phase="onResponseHead"') >= count
    })
  const leaves = await RawClient.connect(port)
  leaves.send(get('/', ['x-hold: long']))
  await held(1)
  leaves.reset()
  await eventually('its signal is aborted', async () => (await aborted()) === 1)
  const cut = await RawClient.connect(port)
  cut.send(get('/', ['x-hold: long']))
  await held(2)
  targets.get('app')!.connections.at(-1)!.reset()
  t.equal((await cut.response()).status, 502)
  cut.close()
  const stays = await RawClient.connect(port)
  stays.send(get('/', ['x-hold: long']))
  await held(3)
  const stopped = balancer.running.stop()
  const answer = await stays.response('GET', 10_000)
  t.equal(answer.status, 503)
  stays.close()
  await stopped
})

t.test('a long answer of a plug-in comes whole to a client that reads slowly', async (t) => {
  const module = writePlugin(
    pluginFolder(t),
    `{ name: 'long', async onRequest() { await null; return { status: 200, body: 'w'.repeat(8_000_000) } } }`,
  )
  const { port } = await startRouting(t, ['app'], [], { more: { plugins: [module] }, listener: { http2: true } })
  const slow = await RawClient.connect(port)
  slow.socket.pause()
  slow.send(get('/'))
  const session = await connectTo(t, port)
  const stream = session.request({ ':path': '/' })
  stream.end()
  t.equal((await answerOf(stream)).body.length, 8_000_000)
  slow.socket.resume()
  t.equal((await slow.response()).text.length, 8_000_000)
  t.equal((await slow.exchange(get('/'))).text.length, 8_000_000)
  slow.close()
  session.destroy()
})
