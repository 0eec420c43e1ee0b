import { Redis } from 'ioredis'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { joined, operate, requestFrom, shownCluster, startMember, targetOf } from './support/mesh-pair.js'
import { get } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { freePort, RedisServer } from './support/redis.js'
import { inWords, SteadyTraffic } from './support/steady-traffic.js'
import { until } from './support/until.js'

const CONVERGE_MS = 5_000

t.setTimeout(90_000)

t.test('a master that dies: sentinel’s failover disturbs no request, and loses no session', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const master = await RedisServer.start(t)
  const replica = await RedisServer.start(t, { lines: [`replicaof 127.0.0.1 ${master.port}`] })
  await until(
    'the replica',
    async () => (await replica.client.info('replication')).includes('master_link_status:up'),
    15_000,
  )
  const port = await freePort()
  const watched = ['sentinel monitor castor 127.0.0.1', String(master.port), '1'].join(' ')
  await RedisServer.start(t, {
    port,
    sentinel: true,
    lines: [watched, 'sentinel down-after-milliseconds castor 500', 'sentinel failover-timeout castor 3000'],
  })
  await until('the sentinel to know the replica', async () => (await replicasOf(port)) === 1, 20_000)
  const targets = await Promise.all(
    Array.from({ length: 4 }, (_, index) =>
      RawTarget.start({ answer: (_asked, connection) => connection.write(ok(String(index))) }),
    ),
  )
  for (const target of targets) t.teardown(() => target.stop())
  const groups = [
    {
      name: 'web',
      protocol: 'http',
      targets: targets.map(({ address }, n) => ({ address, id: `t${n}` })),
      stickiness: { type: 'source-ip' },
    },
  ]
  const where = { sentinels: [`127.0.0.1:${port}`], name: 'castor' }
  const [a, b] = await Promise.all([startMember(t, 'a', where, groups), startMember(t, 'b', where, groups)])
  await Promise.all([joined(a, 1), joined(b, 1)])
  const traffic = new SteadyTraffic([a.port('web'), b.port('web')])
  t.teardown(() => traffic.stop())
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const before = traffic.take()
  await master.end('SIGKILL')
  await until('both hosts without Redis', async () =>
    (await Promise.all([a, b].map(shownCluster))).every(({ redis }) => !redis.up),
  )
  const homes = new Map<string, string>()
  for (let n = 0; n < 8; n++) {
    const address = `172.16.0.${n}`
    homes.set(address, (await requestFrom(address, a.port('web'), get('/'))).text)
  }
  await until('a new master', async () => (await replica.client.info('replication')).includes('role:master'), 20_000)
  const promotedMs = performance.now()
  const clients = traffic.clients + homes.size - 2
  await until(
    'all sessions at the new master',
    async () => (await replica.client.keys('castor:{test}:k:s:*')).length >= clients,
    CONVERGE_MS,
  )
  await operate(a, 'web', 't0', { weight: 11 })
  await until('the last frame', async () => (await targetOf(b, 'web', 't0')).weight === 11, CONVERGE_MS)
  const ms = performance.now() - promotedMs
  for (const [address, home] of homes) {
    t.equal((await requestFrom(address, b.port('web'), get('/'))).text, home, `${address} stays where it was`)
  }
  await traffic.stop()
  const during = traffic.take()
  t.comment(`before: ${inWords(before)}; during: ${inWords(during)}; converged ${ms.toFixed(0)} ms after the promotion`)
  t.same([...before.failed, ...during.failed], [])
  t.ok(during.p99Ms <= before.p99Ms * 1.2 + 150)
  t.ok(ms <= CONVERGE_MS)
})

async function replicasOf(port: number): Promise<number> {
  const client = new Redis({ host: '127.0.0.1', port, protocol: 2 })
  try {
    return ((await client.call('SENTINEL', 'REPLICAS', 'castor')) as unknown[]).length
  } finally {
    client.disconnect()
  }
}
