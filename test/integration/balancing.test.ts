import { Agent, get } from 'node:http'
import t from 'tap'
import { type Balancer, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { ok, RawTarget, type Script } from './support/raw-target.js'
import { dial, endingOf } from './support/tcp-peers.js'
import { until } from './support/until.js'

/** Targets that answer with their name, `a` first. */
async function namedTargets(t: Test, names: readonly string[], script: Script = {}): Promise<RawTarget[]> {
  return Promise.all(
    names.map(async (name) => {
      const target = await RawTarget.start({ answer: (_, connection) => void connection.write(ok(name)), ...script })
      t.teardown(() => target.stop())
      return target
    }),
  )
}

/** The name of the target that answers. */
function ask(port: number, options: { readonly agent?: Agent; readonly from?: string } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const { agent, from } = options
    const request = get({ host: '127.0.0.1', port, agent: agent ?? false, localAddress: from }, (response) => {
      let text = ''
      response.on('data', (data) => (text += String(data)))
      response.on('end', () => resolve(text))
    })
    request.on('error', reject)
  })
}

/** How often each name answers `count` requests, `atOnce` of them at a time. */
async function split(count: number, atOnce: number, once: () => Promise<string>): Promise<Record<string, number>> {
  const answers: Record<string, number> = {}
  let begun = 0
  const one = async (): Promise<void> => {
    while (begun++ < count) {
      const name = await once()
      answers[name] = (answers[name] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  return answers
}

const WEIGHTS = { a: 5, b: 3, c: 2 }
const WORKERS = 4

async function weighted(t: Test, algorithm: string): Promise<Balancer> {
  const targets = await namedTargets(t, Object.keys(WEIGHTS))
  const entries = Object.values(WEIGHTS).map((weight, i) => ({ address: targets[i]!.address, weight }))
  return startBalancer(t, onePair('http', entries, { workers: WORKERS, group: { algorithm } }))
}

t.test('round robin over 4 workers gives 5:3:2 to within one request a worker', async (t) => {
  const castor = await weighted(t, 'round-robin')
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  t.teardown(() => agent.destroy())
  const runs: { name: string; count: number; once: () => Promise<string> }[] = [
    { name: 'a connection a request', count: 403, once: () => ask(castor.port) },
    { name: 'keep-alive connections', count: 1_007, once: () => ask(castor.port, { agent }) },
  ]
  for (const { name, count, once } of runs) {
    const answers = await split(count, 16, once)
    for (const [target, weight] of Object.entries(WEIGHTS)) {
      const due = (count * weight) / 10
      t.ok(Math.abs(answers[target]! - due) <= WORKERS, `${name}: ${target} got ${answers[target]}, due are ${due}`)
    }
  }
  const busy = (await castor.metrics()).all('castor_worker_connections_active')
  t.equal(busy.length, WORKERS)
})

t.test('least connections passes over whoever is busy', async (t) => {
  const waiting: (() => void)[] = []
  const targets = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const target = await RawTarget.start({
        answer: (request, connection) => {
          if (request.target === '/long') waiting.push(() => connection.write(ok(name)))
          else connection.write(ok(name))
        },
      })
      t.teardown(() => target.stop())
      return target
    }),
  )
  const config = onePair(
    'http',
    targets.map(({ address }) => address),
    { workers: 2, group: { algorithm: 'least-connections' } },
  )
  const castor = await startBalancer(t, config)
  // Each of the first three goes to a target of its own; the fourth makes one of them the busiest.
  const long = Array.from({ length: 4 }, () => dial(castor.port))
  for (const [i, client] of (await Promise.all(long)).entries()) {
    client.write('GET /long HTTP/1.1\r\nHost: test\r\n\r\n')
    await until('the request at its target', () => waiting.length === i + 1)
  }
  const held = targets.map(({ requests }) => requests.length)
  t.same([...held].sort(), [1, 1, 2])
  const answers = await split(60, 1, () => ask(castor.port))
  const busiest = ['a', 'b', 'c'][held.indexOf(2)]!
  t.equal(answers[busiest], undefined, 'the busiest got none')
  t.equal(
    Object.values(answers).reduce((sum, count) => sum + count, 0),
    60,
  )
  t.equal(Object.keys(answers).length, 2, 'the other two shared them')
  for (const finish of waiting) finish()
  const afterwards = await split(30, 1, () => ask(castor.port))
  t.equal(Object.keys(afterwards).length, 3, 'then all three are as good')
})

t.test('source-ip keeps an address with its target, also over a restart', async (t) => {
  const targets = await namedTargets(t, ['a', 'b', 'c'])
  const config = onePair(
    'http',
    targets.map(({ address }, i) => ({ address, id: `t${i}` })),
    { workers: 2, group: { algorithm: 'source-ip' } },
  )
  const sources = Array.from({ length: 24 }, (_, i) => `127.0.${i}.${10 + i}`)
  const first = await startBalancer(t, config)
  const chosen: string[] = []
  for (const from of sources) chosen.push(await ask(first.port, { from }))
  t.equal(new Set(chosen).size, 3, `every target has some of them: ${chosen.join('')}`)
  for (const [i, from] of sources.entries()) t.equal(await ask(first.port, { from }), chosen[i], from)
  await first.running.stop()
  const second = await startBalancer(t, config)
  for (const [i, from] of sources.entries()) t.equal(await ask(second.port, { from }), chosen[i], `${from}, restarted`)
})

t.test('random-two shares by weight and leaves the busy alone', async (t) => {
  const castor = await weighted(t, 'random-two')
  const answers = await split(1_000, 4, () => ask(castor.port))
  // More than five standard deviations to either side, and in the order of the weights.
  t.ok(answers.a! > answers.b! && answers.b! > answers.c! && answers.c! > 80, JSON.stringify(answers))
})

t.test('a target of weight 0 gets nothing', async (t) => {
  for (const algorithm of ['round-robin', 'least-connections', 'source-ip', 'random-two']) {
    const targets = await namedTargets(t, ['a', 'b'])
    const entries = [{ address: targets[0]!.address, weight: 0 }, targets[1]!.address]
    const castor = await startBalancer(t, onePair('http', entries, { workers: 2, group: { algorithm } }))
    t.same(await split(40, 4, () => ask(castor.port)), { b: 40 }, algorithm)
    t.equal(targets[0]!.connections.length, 0, `${algorithm}: not even a connection`)
  }
})

t.test('a connection goes to the worker with the fewest open', async (t) => {
  const [target] = await namedTargets(t, ['a'])
  const castor = await startBalancer(t, onePair('http', [target!.address], { workers: 3 }))
  const open = (): Promise<number[]> =>
    castor.metrics().then((metrics) => metrics.all('castor_worker_connections_active'))
  const total = async (count: number): Promise<number[]> =>
    until(`${count} connections open`, async () => {
      const now = await open()
      return now.reduce((sum, value) => sum + value, 0) === count && now
    })
  const first = await Promise.all(Array.from({ length: 30 }, () => dial(castor.port)))
  t.same(await total(30), [10, 10, 10], 'evenly from the start')
  // Ten leave, in whatever way they were placed; those that come next make it even again.
  const leaving = first.splice(0, 10)
  for (const client of leaving) client.destroy()
  await total(20)
  const next = await Promise.all(Array.from({ length: 13 }, () => dial(castor.port)))
  t.same(await total(33), [11, 11, 11], 'evened out by the next')
  const endings = [...first, ...next].map((client) => endingOf(client))
  await castor.running.stop()
  await Promise.all(endings)
})
