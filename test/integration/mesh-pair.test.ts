import { execFileSync } from 'node:child_process'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { type ChildCastor, MAIN } from './support/child-castor.js'
import {
  addressesOf,
  comingFrom,
  joined,
  numbered,
  operate,
  problems,
  requestFrom,
  shownCluster,
  startMember,
  targetOf,
} from './support/mesh-pair.js'
import { get } from './support/raw-client.js'
import { RedisServer } from './support/redis.js'
import { TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

const TARGETS = 4

t.test('two hosts', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const targets = await numbered(t, TARGETS)
  const tcpTargets = await Promise.all(
    Array.from({ length: TARGETS }, (_, index) => TcpTarget.start(t, (socket) => socket.end(`${index}\r\n`))),
  )
  const groups = [
    { name: 'address', protocol: 'http', targets: addressesOf(targets), stickiness: { type: 'source-ip' } },
    { name: 'raw', protocol: 'tcp', targets: addressesOf(tcpTargets), stickiness: { type: 'source-ip' } },
    {
      name: 'learned',
      protocol: 'http',
      targets: addressesOf(targets),
      stickiness: { type: 'app-cookie', name: 'SID' },
    },
    { name: 'inserted', protocol: 'http', targets: addressesOf(targets), stickiness: { type: 'cookie' } },
  ]
  const start = (node: string): Promise<ChildCastor> => startMember(t, node, redis.url, groups)
  let [a, b] = await Promise.all([start('a'), start('b')])
  await Promise.all([joined(a, 1), joined(b, 1)])

  /** Where the other host sends what the first has bound, once it has heard of it. */
  const sessionsOf = async (castor: ChildCastor): Promise<number> =>
    (await castor.metrics()).sum('castor_cluster_entries_received_total')

  const tcpHome = async (address: string, port: number): Promise<string> => {
    const client = await comingFrom(address, port)
    const line = await client.reader.line()
    client.close()
    return line
  }

  t.test('a client bound by its address goes to the same target on both, over http and tcp', async (t) => {
    const clients = Array.from({ length: 12 }, (_, n) => `198.51.100.${n + 1}`)
    const before = await sessionsOf(b)
    const homes = new Map<string, string>()
    for (const client of clients) homes.set(client, (await requestFrom(client, a.port('address'), get('/'))).text)
    const raw = new Map<string, string>()
    for (const client of clients) raw.set(client, await tcpHome(client, a.port('raw')))
    t.ok(new Set(homes.values()).size > 1)
    await until('the other host to know', async () => (await sessionsOf(b)) >= before + clients.length * 2)
    for (const client of clients) {
      t.equal((await requestFrom(client, b.port('address'), get('/'))).text, homes.get(client))
      t.equal(await tcpHome(client, b.port('raw')), raw.get(client))
    }
  })

  t.test('a session of the application that one host saw begin is followed by the other', async (t) => {
    const homes = new Map<string, string>()
    const before = await sessionsOf(a)
    for (let n = 0; n < 8; n++) {
      const login = await requestFrom('192.0.2.1', b.port('learned'), get('/login'))
      homes.set(/SID=(\w+)/.exec(login.header('set-cookie')!)![1]!, login.text)
    }
    await until('the other host to know', async () => (await sessionsOf(a)) >= before + 8)
    for (const [sid, home] of homes) {
      t.equal((await requestFrom('192.0.2.2', a.port('learned'), get('/', [`Cookie: SID=${sid}`]))).text, home)
    }
  })

  t.test('a cookie that one host inserted is valid on the other, without a word between them', async (t) => {
    for (let n = 0; n < 6; n++) {
      const first = await requestFrom('192.0.2.1', a.port('inserted'), get('/'))
      const cookie = first.header('set-cookie')!.split(';')[0]!
      const second = await requestFrom('192.0.2.2', b.port('inserted'), get('/', [`Cookie: ${cookie}`]))
      t.equal(second.text, first.text)
    }
  })

  t.test('a drain on one host drains on both, and outlives the restart of one and of both', async (t) => {
    t.equal(await operate(a, 'address', 't0', { state: 'maintenance' }), 200)
    await until('b to know', async () => (await targetOf(b, 'address', 't0')).state === 'maintenance')
    await b.kill()
    b = await start('b')
    t.equal((await targetOf(b, 'address', 't0')).state, 'maintenance', 'before it was ready')
    await Promise.all([a.kill(), b.kill()])
    ;[a, b] = await Promise.all([start('a'), start('b')])
    for (const castor of [a, b]) t.equal((await targetOf(castor, 'address', 't0')).state, 'maintenance')
    t.equal(await operate(b, 'address', 't0', { state: 'active' }), 200)
    await until('a to know', async () => (await targetOf(a, 'address', 't0')).state === 'active')
    await Promise.all([joined(a, 1), joined(b, 1)])
  })

  t.test('sessions outlive the restart of both', async (t) => {
    t.ok((await a.metrics()).sum('castor_cluster_entries_received_total') > 0)
    const home = (await requestFrom('203.0.113.1', a.port('address'), get('/'))).text
    const key = async (): Promise<number> => (await redis.client.keys('castor:{test}:k:s:*')).length
    const before = await key()
    t.ok(before > 0)
    await until('it to be kept', async () => (await sessionsOf(b)) > 0)
    await Promise.all([a.kill(), b.kill()])
    ;[a, b] = await Promise.all([start('a'), start('b')])
    for (const castor of [a, b]) {
      t.equal((await requestFrom('203.0.113.1', castor.port('address'), get('/'))).text, home)
    }
    await Promise.all([joined(a, 1), joined(b, 1)])
  })

  t.test('the interface, the metrics and the command show the other host', async (t) => {
    const cluster = await shownCluster(a)
    t.match(cluster, { name: 'test', redis: { up: true, reason: null }, peers: [{ node: 'b', state: 'alive' }] })
    const metrics = await a.metrics()
    t.equal(metrics.sum('castor_cluster_redis_up'), 1)
    t.equal(metrics.sum('castor_cluster_peers'), 1)
    t.ok(metrics.sum('castor_cluster_frames_received_total') > 0)
    t.ok(metrics.all('castor_cluster_lag_seconds', 'peer="b"')[0]! < 5)
    t.same(await problems(a), [])
    const shown = execFileSync(process.execPath, [MAIN, 'status', '--admin', `127.0.0.1:${a.adminPort}`], {
      encoding: 'utf8',
    })
    t.match(shown, /test/)
    t.match(shown, /\bb\b.*alive/)
  })

  t.test('a host that stops says so; one that dies is silent soon', async (t) => {
    b.child.kill('SIGTERM')
    await b.ended()
    await until('b has left', async () => (await shownCluster(a)).peers[0]?.state === 'left')
    t.same(await problems(a), [], 'which is none')
    b = await start('b')
    await joined(a, 1)
    await b.kill()
    await until('b is silent', async () => (await shownCluster(a)).peers[0]?.state === 'silent')
    t.same(await problems(a), ['cluster test: peer b is silent'])
    b = await start('b')
    await joined(a, 1)
  })

  t.test('a host with another secret is not heard, and named as a problem', async (t) => {
    const stranger = await startMember(t, 'stranger', redis.url, groups, { secret: 'quite another secret' })
    await until('a problem', async () => (await problems(a)).length > 0)
    t.same(await problems(a), ['cluster test: frames came that were sealed with another secret'])
    t.ok((await a.metrics()).sum('castor_cluster_frames_dropped_total', 'forged') > 0)
    t.same(
      (await shownCluster(a)).peers.map(({ node }) => node),
      ['b'],
    )
    t.same((await shownCluster(stranger)).peers, [])
    const mine = (await requestFrom('203.0.113.9', stranger.port('address'), get('/'))).status
    t.equal(mine, 200, 'it serves all the same')
    await stranger.kill()
  })

  t.test('a second host of the same name is named as a problem, until it is gone', async (t) => {
    const double = await start('b')
    const told = (lines: readonly string[]): boolean => lines.some((line) => line.includes('is called b as well'))
    await until('a problem of both', async () => told(await problems(b)) && told(await problems(double)))
    await double.kill()
    await until('no problem any more', async () => !told(await problems(b)))
    t.pass()
  })
})
