import t from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import { toolOrSkip } from '../tools.js'
import type { Test } from './support/castor.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { addressesOf, joined, memberConfig, numbered, operate, requestFrom, targetOf } from './support/mesh-pair.js'
import { get, RawClient } from './support/raw-client.js'
import { RedisServer } from './support/redis.js'
import { until } from './support/until.js'
import { adminSocket, askUnix, endOf, upgrade } from './support/upgrade.js'

if (nativeAddon() === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

interface ShownCluster {
  readonly peers: readonly { readonly node: string; readonly state: string }[]
}

interface ShownStatus {
  readonly problems: readonly string[]
  readonly sessions: { readonly live: number }
  readonly targetGroups: readonly { readonly targets: readonly { id: string; state: string; weight: number }[] }[]
}

/**
 * A member with an admin socket, which the process that takes over has as well. A client that has begun a request and sends
 * nothing may take as long as the rest of the test does on a busy machine.
 */
async function member(t: Test, node: string, redis: unknown, groups: readonly Record<string, unknown>[]) {
  const admin = adminSocket(t)
  const { listeners, ...config } = memberConfig(node, redis, groups)
  const castor = await startChild(t, {
    ...config,
    listeners: (listeners as object[]).map((listener) => ({ ...listener, idleTimeout: '10m' })),
    protection: { bodyMinRate: '0B/s' },
    admin: { listen: [`unix:${admin}`, '127.0.0.1:0'] },
    upgradeDrain: '10m',
  })
  const status = async (): Promise<ShownStatus> => (await askUnix(admin, 'GET', '/api/v1/status')).json as ShownStatus
  const cluster = async (): Promise<ShownCluster> =>
    (await askUnix(admin, 'GET', '/api/v1/cluster')).json as ShownCluster
  return { castor, admin, status, cluster }
}

/**
 * Lines of a log that say that two processes have one name, or that a peer left. Silence is none: a busy machine sends
 * heartbeats late.
 */
const alarms = (castor: ChildCastor): string[] =>
  castor.stderr.split('\n').filter((line) => /one name|host’s name|"change":"left"/.test(line))

t.test('a host of a cluster is upgraded, and the other one notices a restart', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const targets = await numbered(t, 3)
  const groups = [
    { name: 'address', protocol: 'http', targets: addressesOf(targets), stickiness: { type: 'source-ip' } },
  ]
  const [a, b] = await Promise.all([member(t, 'a', redis.url, groups), member(t, 'b', redis.url, groups)])
  await Promise.all([joined(a.castor, 1), joined(b.castor, 1)])
  const bothKnow = (count: number) =>
    until(`${count} sessions on both`, async () => {
      const [here, there] = await Promise.all([a.status(), b.status()])
      return here.sessions.live === count && there.sessions.live === count
    })
  const home = async (client: number, castor: ChildCastor): Promise<string> =>
    (await requestFrom(`198.51.100.${client}`, castor.port('address'), get('/'))).text

  const homes: string[] = []
  for (let client = 1; client <= 8; client++) homes.push(await home(client, client % 2 ? a.castor : b.castor))
  await bothKnow(8)
  t.equal(await operate(a.castor, 'address', 't0', { weight: 7 }), 200)
  await until('the weight there', async () => (await targetOf(b.castor, 'address', 't0')).weight === 7)

  // A client that stays holds the old process: both have the name until it goes.
  const stays = await RawClient.connect(a.castor.port('address'))
  stays.send('PROXY TCP4 198.51.100.1 127.0.0.1 40001 80\r\n')
  stays.send('GET /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n')
  const result = await upgrade(t, `unix:${a.admin}`)
  t.equal(result.code, 0, result.stderr)

  // Long enough for each host to have heard what both processes would say.
  const beats = async (): Promise<number> => (await b.castor.metrics()).sum('castor_cluster_frames_received_total')
  const before = await beats()
  await until('ten frames of the new process', async () => (await beats()) >= before + 10, 15_000)
  t.ok(a.castor.alive, 'the old process is still there')
  // Which names whoever is silent as well.
  await until('the other host has nothing to say', async () => (await b.status()).problems.length === 0)
  await until('nor the new process', async () => (await a.status()).problems.length === 0)
  t.match(await b.cluster(), { peers: [{ node: 'a' }] })
  t.match(await a.cluster(), { peers: [{ node: 'b' }] })

  for (let client = 1; client <= 8; client++) {
    t.equal(await home(client, client % 2 ? b.castor : a.castor), homes[client - 1], `client ${client}`)
  }
  t.match((await a.status()).targetGroups[0]!.targets, [{ id: 't0', weight: 7 }])
  // What is said from here on goes both ways.
  t.equal((await askUnix(a.admin, 'PATCH', '/api/v1/target-groups/address/targets/t1', { weight: 9 })).code, 200)
  await until('the weight there', async () => (await targetOf(b.castor, 'address', 't1')).weight === 9)
  t.equal(await operate(b.castor, 'address', 't2', { state: 'draining' }), 200)
  await until('the drain here', async () => (await a.status()).targetGroups[0]!.targets[2]!.state === 'draining')
  const ninth = await home(9, a.castor)
  await bothKnow(9)
  t.equal(await home(9, b.castor), ninth, 'a session that the new process made')

  t.equal((await stays.exchange('hello')).status, 200)
  stays.close()
  await until('the end of the old process', () => !a.castor.alive, 20_000)
  const after = await beats()
  await until('five more frames', async () => (await beats()) >= after + 5, 15_000)
  await until('its end was not the end of the host', async () => (await b.cluster()).peers[0]!.state === 'alive')
  t.same(alarms(a.castor), [])
  t.same(alarms(b.castor), [])

  process.kill(result.pid, 'SIGTERM')
  await endOf(result.pid)
  await until('the other host knows that it left', async () => (await b.cluster()).peers[0]!.state === 'left')
})
