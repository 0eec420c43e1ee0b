import { readFileSync } from 'node:fs'
import t from 'tap'
import type { RedisConfig } from '../../src/core/config.js'
import { RedisTransport } from '../../src/mesh/redis-transport.js'
import { toolOrSkip } from '../tools.js'
import { RedisServer } from './support/redis.js'
import { until } from './support/until.js'
import { WireEnd } from './support/wire-end.js'

/** As docs/WIRE.md lists them. */
const RIGHTS = (/needs: `([^`]+)` on `castor:\*`/.exec(readFileSync('docs/WIRE.md', 'utf8'))?.[1] ?? '').split(' ')
const CLUSTER_RIGHTS = ['+cluster|slots', '+cluster|info']

t.test('a Redis Cluster of three masters: the one that dies is followed to its replica', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const lines = ['cluster-enabled yes', 'cluster-announce-ip 127.0.0.1', 'cluster-node-timeout 1000']
  lines.push('cluster-replica-validity-factor 0', 'requirepass all', 'masterauth all')
  lines.push(
    'repl-diskless-sync-delay 0',
    'user member on >secret ~castor:* -@all '.concat([...RIGHTS, ...CLUSTER_RIGHTS].join(' ')),
  )
  const nodes = await Promise.all(Array.from({ length: 4 }, () => RedisServer.start(t, { lines, password: 'all' })))
  const [first, , , spare] = nodes
  const slots = [0, 5_461, 10_923, 16_384]
  for (const [n, node] of nodes.entries()) {
    await node.client.cluster('SET-CONFIG-EPOCH', n + 1)
    if (n < 3) await node.client.cluster('ADDSLOTSRANGE', slots[n]!, slots[n + 1]! - 1)
    if (n > 0) await node.client.cluster('MEET', '127.0.0.1', first!.port)
  }
  const slot = Number(await first!.client.cluster('KEYSLOT', 'castor:{test}:stream'))
  const owner = nodes[slots.findLastIndex((from) => from <= slot)]!
  const id = String(await owner.client.cluster('MYID'))
  await until(
    'a cluster, with a replica of who owns the slot',
    async () => {
      const states = await Promise.all(nodes.map(({ client }) => client.cluster('INFO')))
      const ok = states.every((state) => String(state).includes('cluster_state:ok'))
      return ok && (await spare!.client.cluster('REPLICATE', id).catch(() => '')) === 'OK'
    },
    15_000,
  )
  await until(
    'the replica to be in step',
    async () => (await spare!.client.info('replication')).includes('master_link_status:up'),
    15_000,
  )
  const config: RedisConfig = {
    type: 'cluster',
    nodes: nodes.filter((node) => node !== owner).map(({ port }) => ({ host: '127.0.0.1', port })),
    username: 'member',
    password: 'secret',
    tls: false,
    ca: '',
  }
  const join = (): WireEnd => {
    const end = new WireEnd(new RedisTransport(config, 'test'))
    t.teardown(() => end.transport.close())
    return end
  }
  const [one, other] = [join(), join()]
  await Promise.all([one.up(), other.up()])
  t.ok(await one.save('kept', 'kept'))
  t.ok(await one.publish('before'))
  await other.got('before')
  await until('the replica to have it', async () => (await spare!.client.info('keyspace')).includes('keys=3'), 10_000)
  await owner.end('SIGKILL')
  await until('both down', () => one.downs.length > 0 && other.downs.length > 0, 10_000)
  await until('both up again', () => one.ups.length > 1 && other.ups.length > 1, 15_000)
  t.notOk(one.ups.slice(1).includes(true), 'nothing was lost')
  t.ok(await one.publish('after'))
  await other.got('after')
  const late = join()
  await late.up()
  t.same(late.frames, ['kept'])
})
