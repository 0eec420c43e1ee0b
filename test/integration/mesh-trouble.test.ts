import t from 'tap'
import { toolOrSkip } from '../tools.js'
import {
  addressesOf,
  joined,
  numbered,
  problems,
  requestFrom,
  shownCluster,
  startMember,
  targetOf,
} from './support/mesh-pair.js'
import { get } from './support/raw-client.js'
import { RedisServer } from './support/redis.js'
import { until } from './support/until.js'

// Independent of each other, and most of it is waiting.
t.jobs = 2

t.test('news of one host’s check makes the other check at once', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const targets = await numbered(t, 2)
  const watched = (interval: string): object[] => [
    {
      name: 'app',
      protocol: 'http',
      targets: addressesOf(targets),
      healthCheck: { protocol: 'tcp', interval, timeout: '500ms', healthyThreshold: 2, unhealthyThreshold: 2 },
    },
  ]
  const quick = await startMember(t, 'quick', redis.url, watched('200ms') as never)
  const slow = await startMember(t, 'slow', redis.url, watched('30s') as never)
  await Promise.all([joined(quick, 1), joined(slow, 1)])
  await until('both healthy', async () => (await targetOf(slow, 'app', 't0')).health === 'healthy', 10_000)
  await targets[0]!.stop()
  const beganMs = performance.now()
  await until('quick to see it', async () => (await targetOf(quick, 'app', 't0')).health === 'unhealthy', 10_000)
  const seenMs = performance.now()
  await until('slow to see it', async () => (await targetOf(slow, 'app', 't0')).health === 'unhealthy', 20_000)
  const ms = performance.now() - seenMs
  t.comment(
    `seen by one after ${(seenMs - beganMs).toFixed(0)} ms, by the other ${ms.toFixed(0)} ms later; its own interval is 30 s`,
  )
  t.ok(ms < 15_000)
})

t.test('a Redis that is not there, and one that wants another password: the host serves, and says why', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t, { lines: ['requirepass right'], password: 'right' })
  const targets = await numbered(t, 1)
  const groups = [{ name: 'web', protocol: 'http', targets: addressesOf(targets), stickiness: { type: 'source-ip' } }]
  for (const [url, reason] of [
    [`redis://:wrong@127.0.0.1:${redis.port}`, 'wrong password, or no such user'],
    ['redis://127.0.0.1:1', 'connection refused'],
  ] as const) {
    const castor = await startMember(t, 'alone', url, groups)
    t.equal((await requestFrom('192.0.2.1', castor.port('web'), get('/'))).status, 200)
    await until('the reason', async () => (await shownCluster(castor)).redis.reason === reason)
    t.same(await problems(castor), [`cluster test: Redis is not there (${reason}); this host goes on alone`])
    const lines = `${castor.stdout}${castor.stderr}`.split('\n').filter((line) => line.includes('Redis is gone'))
    t.equal(lines.length, 1, 'said once')
    t.ok(lines[0]!.includes(reason))
    t.equal((await castor.metrics()).sum('castor_cluster_redis_up'), 0)
    await castor.kill()
  }
})

t.test('sharing that goes wrong without failing is seen: eviction, another secret, one name twice', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t, { lines: ['maxmemory 100mb', 'maxmemory-policy allkeys-lru'] })
  const groups = [{ name: 'web', protocol: 'http', targets: addressesOf(await numbered(t, 1)) }]
  const castor = await startMember(t, 'one', redis.url, groups)
  await startMember(t, 'one', redis.url, groups)
  await startMember(t, 'stranger', redis.url, groups, { secret: 'quite another secret' })
  const expected = [
    'cluster test: another process is called one as well; give each host a node name of its own',
    'cluster test: Redis throws away what is kept (allkeys-lru); set its maxmemory-policy to noeviction',
    'cluster test: frames came that were sealed with another secret',
  ]
  await until(
    'the problems',
    async () => (await problems(castor)).filter((line) => expected.includes(line)).length === 3,
    15_000,
  )
  const metrics = await castor.metrics()
  for (const name of ['redis_evicts', 'name_conflict', 'foreign_secret']) {
    t.equal(metrics.sum(`castor_cluster_${name}`), 1, name)
  }
  const lines = `${castor.stdout}${castor.stderr}`.split('\n')
  for (const message of [
    'another process has this host’s name',
    'frames came that were sealed with another secret',
    'Redis throws away what is kept when its memory is full',
  ]) {
    await until(message, () => `${castor.stdout}${castor.stderr}`.includes(message))
  }
  t.notOk(lines.some((line) => line.includes('"level":"error"')))
})
