import type { Socket } from 'node:net'
import t from 'tap'
import { Groups } from './support/groups.js'
import { Http2Target } from './support/http2-peers.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget, type Script } from './support/raw-target.js'
import { dial, echo, endingOf, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

const HOSTILE = '127.0.0.66'
const OTHERS = ['127.0.0.2', '127.0.0.3']
/** As soon as anything counts, it would eject. */
const EAGER = { minRequests: 5, consecutiveFailures: 3, failurePercent: 10, ejectFor: '60s' }

/** Targets where `/bad` goes wrong as the script says, and everything else is answered. */
async function targetsWhere(bad: NonNullable<Script['answer']>, count = 3): Promise<RawTarget[]> {
  const targets = await Promise.all(
    Array.from({ length: count }, () =>
      RawTarget.start({
        answer: (request, connection) =>
          request.target === '/bad' ? bad(request, connection) : connection.write(ok('fine')),
      }),
    ),
  )
  for (const target of targets) t.teardown(() => target.stop())
  return targets
}

const WAYS: Readonly<Record<string, NonNullable<Script['answer']>>> = {
  'that is always unavailable': (_, connection) => connection.write(ok('', [], '503 Unavailable')),
  'that always times out behind its gateway': (_, connection) => connection.write(ok('', [], '504 Late')),
  'that is never answered': () => {},
  'that makes targets reset': (_, connection) => connection.reset(),
  'that is answered with nonsense': (_, connection) => connection.write('nonsense\r\n\r\n'),
  'that is cut in the middle': (_, connection) => connection.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
}
const names = Object.keys(WAYS)
const nameOf = (way: string): string => `way-${names.indexOf(way)}`
const ways = await Promise.all(
  names.map(async (way) => {
    const timeouts = { response: way.includes('never') ? '200ms' : '10s' }
    const scene = {
      targets: await targetsWhere(WAYS[way]!),
      group: { outlierDetection: EAGER, retries: 'off', timeouts },
    }
    return [nameOf(way), scene] as const
  }),
)
const silent = await targetsWhere(() => {}, 2)
const several = await targetsWhere((_, connection) => connection.write(ok('fine')))
several[0]!.script = { answer: (_, connection) => connection.reset() }
let held = 0
const sockets: Socket[] = []
const multiplexing = await Promise.all(
  [0, 1].map(() =>
    Http2Target.start(t, (stream, headers) => {
      if (headers[':path'] !== '/bad') stream.respond({ ':status': 200 }, { endStream: true })
      else held++
    }),
  ),
)
for (const { server } of multiplexing) server.on('connection', (socket: Socket) => sockets.push(socket))
const bytes = await Promise.all(
  [0, 1].map(() =>
    TcpTarget.start(t, (socket) => {
      socket.once('data', (data) => {
        if (String(data) === 'bad') socket.resetAndDestroy()
        else echo(socket)
      })
    }),
  ),
)
const eager = { outlierDetection: EAGER, retries: 'off' }

const groups = await Groups.start(t, {
  ...Object.fromEntries(ways),
  page: {
    targets: await targetsWhere((_, connection) => connection.write(ok('', [], '500 Oops')), 4),
    group: { outlierDetection: {} },
  },
  steered: {
    targets: await targetsWhere((_, connection) => connection.write(ok('', [], '503 Unavailable')), 2),
    group: eager,
  },
  several: { targets: several, group: eager },
  silent: { targets: silent, group: eager },
  multiplexing: {
    targets: multiplexing,
    group: { retries: 'off', protocol: 'h2c', outlierDetection: { ...EAGER, failurePercent: 50 } },
  },
  bytes: { targets: bytes, listener: { protocol: 'tcp' }, group: { ...eager, protocol: 'tcp' } },
})

/** So many requests of one source, on four connections, or as many as it takes. */
async function asks(group: string, from: string, path: string, count: number): Promise<number[]> {
  const statuses: number[] = []
  let left = count
  const one = async (): Promise<void> => {
    while (left > 0) {
      const client = await RawClient.connect(groups.portOf(group), '127.0.0.1', from)
      for (let open = true; open && left-- > 0; ) {
        const answer = await client.exchange(get(path)).catch(() => undefined)
        if (answer !== undefined) statuses.push(answer.status)
        open = answer !== undefined && answer.header('connection') !== 'close'
      }
      client.close()
    }
  }
  await Promise.all(Array.from({ length: 4 }, one))
  return statuses
}

for (const way of names) {
  t.test(`one client that asks for a page ${way} ejects nobody, alone or beside others`, async (t) => {
    await asks(nameOf(way), HOSTILE, '/bad', 40)
    t.equal(await groups.ejected(nameOf(way)), 0, 'alone')
    await Promise.all([
      asks(nameOf(way), HOSTILE, '/bad', 40),
      ...OTHERS.map((other) =>
        asks(nameOf(way), other, '/', 12).then((got) => t.same(new Set(got), new Set([200]), other)),
      ),
    ])
    t.equal(await groups.ejected(nameOf(way)), 0, 'beside others')
  })
}

t.test('a failing page beside good ones ejects nobody, from whomever the requests come', async (t) => {
  for (let round = 0; round < 2; round++) {
    await Promise.all([asks('page', HOSTILE, '/bad', 24), asks('page', OTHERS[0]!, '/', 50)])
    t.equal(await groups.ejected('page'), 0)
  }
})

t.test('a client that steers its failures to one target ejects it for nobody but itself', async (t) => {
  const client = await RawClient.connect(groups.portOf('steered'), '127.0.0.1', HOSTILE)
  t.teardown(() => client.close())
  // In turn, so that every second request meets the same target.
  for (let i = 0; i < 12; i++) for (const path of ['/bad', '/']) await client.exchange(get(path))
  t.equal(await groups.ejected('steered'), 1, 'alone, its word is all that there is')
  t.same(await asks('steered', OTHERS[0]!, '/', 1), [200])
  t.equal(await groups.ejected('steered'), 0, 'the first request of anybody else ends that')
  for (let i = 0; i < 40; i++) for (const path of ['/bad', '/']) await client.exchange(get(path))
  t.equal(await groups.ejected('steered'), 0, 'and it cannot bring it about again')
})

t.test('what several clients meet at one target, and at no other, ejects it', async (t) => {
  await until('its ejection', async () => {
    for (const other of OTHERS) await asks('several', other, '/', 6)
    return (await groups.ejected('several')) === 1
  })
  t.equal((await groups.health('several'))[0], 'ejected')
})

t.test('clients that go away, however they do, are held against no target', async (t) => {
  const arrived = (): number => silent.reduce((sum, { requests }) => sum + requests.length, 0)
  for (const from of OTHERS) {
    for (const leave of ['close', 'reset', 'half'] as const) {
      for (let i = 0; i < 3; i++) {
        const before = arrived()
        const client = await RawClient.connect(groups.portOf('silent'), '127.0.0.1', from)
        client.send(get('/bad'))
        await until('the request', () => arrived() > before)
        client[leave]()
        client.close()
      }
    }
  }
  await until('the end of all', async () =>
    (await groups.targets('silent')).every((target) => target.connections === 0),
  )
  t.equal(await groups.ejected('silent'), 0)
  t.same(
    (await groups.targets('silent')).map((target) => (target as unknown as { failures: number }).failures),
    [0, 0],
  )
})

t.test('the loss of a connection that many clients share counts once', async (t) => {
  const clients = await Promise.all(
    Array.from({ length: 16 }, (_, i) => RawClient.connect(groups.portOf('multiplexing'), '127.0.0.1', OTHERS[i % 2])),
  )
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  for (const client of clients) t.equal((await client.exchange(get('/'))).status, 200)
  const statuses: number[] = []
  const answers = clients.map(async (client) => statuses.push((await client.exchange(get('/bad'))).status))
  // What was sent on a connection that had been open before is sent again, once, and lost again.
  while (statuses.length < clients.length) {
    await until('all requests at the targets', () => held + statuses.length === clients.length)
    held = 0
    for (const socket of sockets.splice(0)) socket.resetAndDestroy()
    await until('their loss', () => held + statuses.length === clients.length)
  }
  await Promise.all(answers)
  t.same(new Set(statuses), new Set([502]))
  t.equal(await groups.ejected('multiplexing'), 0)
})

t.test('a tcp client that makes targets reset, or resets by itself, ejects nobody', async (t) => {
  for (let i = 0; i < 24; i++) {
    const hostile = await dial(groups.portOf('bytes'), { localAddress: HOSTILE })
    const gone = endingOf(hostile)
    hostile.write('bad')
    await gone
    const impatient = await dial(groups.portOf('bytes'), { localAddress: OTHERS[i % 2]! })
    impatient.resetAndDestroy()
  }
  t.equal(await groups.ejected('bytes'), 0)
})
