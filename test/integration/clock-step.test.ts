import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { startChild } from './support/child-castor.js'
import { joined, memberConfig, shownCluster } from './support/mesh-pair.js'
import { ask } from './support/operator.js'
import { RedisServer } from './support/redis.js'
import { SteppedClock } from './support/stepped-clock.js'
import { askHttp, type From, namedHttp } from './support/sticky-targets.js'
import { until } from './support/until.js'

const HOUR_MS = 3_600_000
const NAMES = ['one', 'two', 'three']
const from = (n: number): From => ({ via: 'v1', address: `192.0.2.${n}` })
const clients = Array.from({ length: 12 }, (_, n) => from(n + 1))

interface ShownTarget {
  readonly id: string
  readonly state: string
  readonly health: string
  readonly since: string
  readonly leaves: string | null
}

for (const stepMs of [2 * HOUR_MS, -2 * HOUR_MS]) {
  const way = stepMs > 0 ? 'forwards' : 'backwards'
  t.test(`a host's clock that is set ${way} moves no deadline, and is followed in what is shown`, async (t) => {
    const compiler = toolOrSkip(t, 'cc')
    if (compiler === undefined) return
    const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const access = join(folder, 'access.log')
    const clock = await SteppedClock.make(t, compiler)
    const targets = await Promise.all(NAMES.map((name) => namedHttp(t, name)))
    const group = {
      protocol: 'http',
      targets: targets.map(({ name, address }) => ({ id: name, address })),
      stickiness: { type: 'source-ip', timeout: '10m' },
    }
    const castor = await startChild(
      t,
      {
        workers: 2,
        log: { level: 'info', access },
        listeners: ['lasting', 'brief'].map((name) => ({
          name,
          protocol: 'http',
          listen: '127.0.0.1:0',
          targetGroup: name,
          acceptProxyProtocol: ['127.0.0.1/32'],
        })),
        targetGroups: [
          { ...group, name: 'lasting', draining: '10m' },
          { ...group, name: 'brief', stickiness: { type: 'source-ip', timeout: '1s' }, draining: '1s' },
        ],
      },
      { env: clock.env },
    )
    const path = (name: string, id: string): string => `/api/v1/target-groups/${name}/targets/${id}`
    const shown = async (name: string): Promise<ShownTarget[]> => {
      const { json } = await ask(castor.adminPort, 'GET', `/api/v1/target-groups/${name}`)
      return (json as { targets: ShownTarget[] }).targets
    }
    const homes = await Promise.all(clients.map((client) => askHttp(castor.port('lasting'), client)))
    await Promise.all(clients.map((client) => askHttp(castor.port('brief'), client)))
    t.equal((await ask(castor.adminPort, 'DELETE', path('lasting', 'two'))).code, 202)
    const drained = await ask(castor.adminPort, 'DELETE', path('brief', 'two'))
    t.equal(drained.code, 202)

    clock.set(stepMs)
    const nearNow = (time: string | number): boolean =>
      Math.abs(new Date(time).getTime() - (Date.now() + stepMs)) < 15 * 60_000
    await until('the step being noticed', () => castor.stderr.includes("the host's clock was set"))
    await until('the drain of a second ending', async () => (await shown('brief')).length === NAMES.length - 1)
    await until(
      'sessions of a second ending',
      async () => {
        const { json } = await ask(castor.adminPort, 'GET', '/api/v1/sessions?group=brief')
        return (json as { sessions: unknown[] }).sessions.length === 0
      },
      8_000,
    )
    t.same(
      await Promise.all(clients.map((client) => askHttp(castor.port('lasting'), client))),
      homes,
      'who is bound to a target stays there, be it draining',
    )
    const lasting = await shown('lasting')
    t.equal(lasting.find(({ id }) => id === 'two')?.state, 'draining')
    t.ok(nearNow(lasting.find(({ id }) => id === 'two')!.leaves!), 'when it leaves is told by the new time')
    for (const { since } of lasting) t.ok(nearNow(since), since)
    const { json } = await ask(castor.adminPort, 'GET', '/api/v1/sessions?group=lasting')
    for (const { expires } of (json as { sessions: { expires: string }[] }).sessions) t.ok(nearNow(expires), expires)
    const uptime = (await ask(castor.adminPort, 'GET', '/api/v1/status')).json as { uptimeMs: number; time: string }
    t.ok(uptime.uptimeMs < 10 * 60_000, `up for ${uptime.uptimeMs} ms`)
    t.ok(nearNow(uptime.time))
    const last = await until('the last access log record', () => {
      const lines = readFileSync(access, 'utf8').trimEnd().split('\n')
      return lines.length >= 3 * clients.length && (JSON.parse(lines.at(-1)!) as { time: string })
    })
    t.ok(nearNow(last.time), `logged at ${last.time}`)
    t.equal(castor.stderr.split("the host's clock was set").length, 2, 'said once')
    castor.child.kill('SIGTERM')
    t.equal(await castor.ended(), 0)
  })
}

t.test('two hosts, one of whose clocks is set, and set right again', async (t) => {
  const compiler = toolOrSkip(t, 'cc')
  if (compiler === undefined || toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const targets = await Promise.all(NAMES.map((name) => namedHttp(t, name)))
  const groups = [
    {
      name: 'app',
      protocol: 'http',
      targets: targets.map(({ name, address }) => ({ id: name, address })),
      stickiness: { type: 'source-ip', timeout: '1h' },
    },
  ]
  const clock = await SteppedClock.make(t, compiler)
  const [set, right] = await Promise.all([
    startChild(t, memberConfig('set', redis.url, groups), { env: clock.env }),
    startChild(t, memberConfig('right', redis.url, groups)),
  ])
  await Promise.all([joined(set, 1), joined(right, 1)])
  const sessionsAt = async ({ adminPort }: typeof set): Promise<number> => {
    const { json } = await ask(adminPort, 'GET', '/api/v1/sessions?group=app')
    return (json as { sessions: unknown[] }).sessions.length
  }
  let last = 0
  /** A new client of one host, which both then know. */
  const shares = async (what: string, host: typeof set, other: typeof set): Promise<void> => {
    const client = from(++last)
    const home = await askHttp(host.port('app'), client)
    await until(what, async () => (await sessionsAt(other)) === last && (await sessionsAt(host)) === last)
    t.equal(await askHttp(other.port('app'), client), home, what)
  }
  await shares('before', set, right)
  for (const aheadMs of [30_000, -30_000]) {
    clock.set(aheadMs)
    await until('a host being told of as ahead', () =>
      (aheadMs > 0 ? right : set).stderr.includes("a peer's clock is ahead"),
    )
    await shares(`set by ${aheadMs} ms, from it`, set, right)
    await shares(`set by ${aheadMs} ms, towards it`, right, set)
  }
  clock.set(2 * HOUR_MS)
  await askHttp(set.port('app'), from(200))
  await until(
    'what is stamped two hours ahead being refused',
    async () => (await shownCluster(right)).counts.ahead! > 0,
  )
  for (const host of [set, right]) {
    const { peers } = await shownCluster(host)
    t.same(
      peers.map(({ state }) => state),
      ['alive'],
      'nobody is thought gone',
    )
  }
  clock.set(0)
  await until('the step back being noticed', () => set.stderr.split("the host's clock was set").length === 5)
  const before = await sessionsAt(right)
  const client = from(201)
  const home = await askHttp(set.port('app'), client)
  await until('sharing again', async () => (await sessionsAt(right)) > before)
  t.equal(await askHttp(right.port('app'), client), home)
})
