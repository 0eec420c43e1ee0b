import { once } from 'node:events'
import type { ClientHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import t from 'tap'
import type { Test } from './support/castor.js'
import { Groups } from './support/groups.js'
import { connectTo, Http2Target, NGHTTP2_CANCEL } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { answer, RawTarget } from './support/raw-target.js'
import { dial, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

/** Everything that a target can be blamed for counts at once. */
const STRICT = {
  retries: 'off',
  outlierDetection: { on: ['connect', 'reset', 'timeout', 'gateway', '5xx'], minRequests: 1_000 },
}
const HALF = ['Content-Length: 100']
const SWITCH = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=']

/** One request under way: each side can break it off. */
interface Course {
  leave(way: string): void
  breakTarget(): void
}

/** Ways to bring a request into a state. `blamed` is how many failures a target has that breaks it off there. */
interface State {
  readonly name: string
  readonly blamed: number
  /** In which its client can leave. */
  readonly ways: readonly string[]
  begin(t: Test): Promise<Course>
}

/** A target of HTTP/1.1 that does by path what is wanted, and the connections of requests that it has. */
const held: { reset(): void }[] = []
async function holdingTarget(): Promise<RawTarget> {
  const target = await RawTarget.start({
    onHead: ({ startLine }, connection) => {
      if (startLine.includes('/receive')) connection.write(answer('200 OK', HALF, 'half'))
      if (startLine.includes('/open')) connection.write(answer('101 Switching Protocols', SWITCH))
      held.push(connection)
      return false
    },
  })
  t.teardown(() => target.stop())
  return target
}

const multiplexing = await Http2Target.start(t, (stream, headers) => {
  if (headers[':path'] === '/receive') {
    stream.respond({ ':status': 200 })
    stream.write('half')
  }
  //  would end the stream in order first.
  held.push({ reset: () => void stream.destroy(new Error('broken off')) })
})
const bytes = await TcpTarget.start(t, (socket) => {
  held.push({ reset: () => void socket.resetAndDestroy() })
  socket.on('data', (data: Buffer) => {
    if (String(data) === 'receive') socket.write('half')
  })
})
const swallowing = await RawTarget.start({
  onHead: (_, { socket }) => {
    socket.pause()
    return false
  },
})
t.teardown(() => swallowing.stop())

const WEB = { listener: { http2: true } }
const groups = await Groups.start(t, {
  h1: { targets: [await holdingTarget()], group: STRICT },
  fromH2: { targets: [await holdingTarget()], group: STRICT, ...WEB },
  toH2: { targets: [multiplexing], group: { ...STRICT, protocol: 'h2c' } },
  websocket: { targets: [await holdingTarget()], group: STRICT },
  tcp: { targets: [bytes], listener: { protocol: 'tcp' }, group: { ...STRICT, protocol: 'tcp' } },
  stuck: { targets: [swallowing], listener: { idleTimeout: '1s' }, group: STRICT },
})

async function failures(name: string): Promise<number> {
  const [target] = await groups.targets(name)
  return (target as unknown as { failures: number }).failures
}

/** Nothing is under way any more. */
async function quiet(name: string): Promise<void> {
  const inFlight = async (): Promise<boolean> => {
    const text = await (await fetch(`http://127.0.0.1:${groups.balancer.running.admin.port}/metrics`)).text()
    const line = new RegExp(`^castor_target_in_flight\\{target_group="${name}"[^}]*\\} (\\d+)$`, 'm').exec(text)
    return line?.[1] === '0'
  }
  await until('the end of the request', inFlight)
}

async function arrival(): Promise<{ reset(): void }> {
  return until('the request at its target', () => held.pop())
}

function overHttp1(group: string, path: string, head: string, blamed: number, name: string): State {
  return {
    name,
    blamed,
    // While something goes to it, one that closes cannot be told from one that has only sent all it had.
    ways: path === '/send' || path === '/wait' ? ['reset', 'close'] : ['reset'],
    begin: async (t) => {
      const client = await RawClient.connect(groups.portOf(group))
      t.teardown(() => client.close())
      client.send(head)
      const target = await arrival()
      if (path !== '/wait' && path !== '/send') await within('what the target sends', client.reader.more())
      return {
        leave: (way) => (way === 'reset' ? client.reset() : client.close()),
        breakTarget: () => target.reset(),
      }
    },
  }
}

const post = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome`
const upgrade = (path: string): string =>
  get(path, ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='])

function overHttp1All(group: string): State[] {
  return [
    overHttp1(group, '/send', post('/send'), 1, 'sends its body'),
    // Not to be sent again behind a connection that was open before.
    overHttp1(group, '/wait', get('/wait', ['Content-Length: 0'], 'POST'), 1, 'waits for the answer'),
    overHttp1(group, '/receive', get('/receive'), 1, 'receives the answer'),
  ]
}

function overHttp2(path: string, name: string): State {
  return {
    name,
    blamed: 1,
    ways: ['reset of the stream', 'loss of the connection'],
    begin: async (t) => {
      const session = await connectTo(t, groups.portOf('fromH2'))
      const stream: ClientHttp2Stream = session.request({ ':method': path === '/send' ? 'POST' : 'GET', ':path': path })
      stream.on('error', () => {})
      if (path === '/send') stream.write('some')
      else stream.end()
      const target = await arrival()
      if (path === '/receive') await within('the answer', once(stream, 'data'))
      return {
        leave: (way) => (way.startsWith('reset') ? stream.close(NGHTTP2_CANCEL) : session.destroy()),
        breakTarget: () => target.reset(),
      }
    },
  }
}

function overTcp(says: string, blamed: number, name: string): State {
  return {
    name,
    blamed,
    ways: ['reset'],
    begin: async (t) => {
      const socket: Socket = await dial(groups.portOf('tcp'))
      t.teardown(() => socket.destroy())
      if (says !== '') socket.write(says)
      const target = await arrival()
      if (says === 'receive') await within('what the target sends', once(socket, 'data'))
      return {
        leave: () => void socket.resetAndDestroy(),
        breakTarget: () => target.reset(),
      }
    },
  }
}

const PROTOCOLS: readonly (readonly [group: string, title: string, states: readonly State[]])[] = [
  ['h1', 'HTTP/1.1', overHttp1All('h1')],
  [
    'fromH2',
    'HTTP/2',
    [
      overHttp2('/send', 'sends its body'),
      overHttp2('/wait', 'waits for the answer'),
      overHttp2('/receive', 'receives the answer'),
    ],
  ],
  ['toH2', 'HTTP/1.1 whose target speaks HTTP/2', overHttp1All('toH2')],
  [
    'websocket',
    'a WebSocket',
    [
      overHttp1('websocket', '/wait', upgrade('/wait'), 1, 'waits for its handshake'),
      // The handshake was the answer.
      overHttp1('websocket', '/open', upgrade('/open'), 0, 'is open'),
    ],
  ],
  [
    'tcp',
    'TCP',
    [
      overTcp('', 1, 'has said nothing'),
      overTcp('send', 1, 'has sent something'),
      // A reset behind an answer may be its target's way to say that it is done.
      overTcp('receive', 0, 'receives'),
    ],
  ],
]

for (const [group, title, states] of PROTOCOLS) {
  for (const { name, begin, blamed, ways } of states) {
    t.test(`${title}: a client that leaves while it ${name} is not held against its target`, async (t) => {
      const before = await failures(group)
      for (const way of ways) {
        const course = await begin(t)
        course.leave(way)
        await quiet(group)
        t.equal(await failures(group), before, way)
      }
    })

    t.test(`${title}: a target that breaks off while its client ${name} has ${blamed} failures more`, async (t) => {
      const before = await failures(group)
      const course = await begin(t)
      course.breakTarget()
      await quiet(group)
      t.equal(await failures(group), before + blamed)
    })
  }
}

t.test('a target that takes nothing of a body until time is up has failed', async (t) => {
  const client = await RawClient.connect(groups.portOf('stuck'))
  t.teardown(() => client.close())
  const size = 64 * 1024 * 1024
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
  client.send(Buffer.alloc(size))
  t.equal((await client.response('POST')).status, 504)
  t.equal(await failures('stuck'), 1)
})
