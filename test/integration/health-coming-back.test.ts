import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { Groups } from './support/groups.js'
import { patch } from './support/operator.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

const CLIENTS = 30
const SOURCES = ['127.0.0.2', '127.0.0.3']

async function target(delayMs = 0): Promise<RawTarget> {
  const made = await RawTarget.start({
    answer: async (_, connection) => {
      if (delayMs > 0) await wait(delayMs)
      connection.write(ok())
    },
  })
  t.teardown(() => made.stop())
  return made
}

const [lifted, ejected] = [await target(), await target()]
const [fast, slow] = [await target(2), await target(1_000)]
const groups = await Groups.start(t, {
  lifted: { targets: [await target(), lifted], group: { slowStart: '1h' } },
  ejected: {
    targets: [await target(), ejected],
    group: { slowStart: '1h', outlierDetection: { minRequests: 4, ejectFor: '400ms' } },
  },
  waiting: { targets: [fast, slow], group: { algorithm: 'peak-ewma' } },
})

async function ask(name: string, count: number, from: readonly string[] = ['127.0.0.1']): Promise<void> {
  for (const source of from) {
    const client = await RawClient.connect(groups.portOf(name), '127.0.0.1', source)
    for (let i = 0; i < count; i++) await client.exchange(get('/'))
    client.close()
  }
}

/** How many of so many requests come to the target. */
async function shareOf(asked: RawTarget, name: string, count: number): Promise<number> {
  const before = asked.requests.length
  await ask(name, count)
  return asked.requests.length - before
}

t.test('a target starts slowly once maintenance is lifted', async (t) => {
  t.equal(await shareOf(lifted, 'lifted', 44), 22)
  await patch(groups.balancer, lifted.address, { state: 'maintenance' }, 'lifted')
  t.equal(await shareOf(lifted, 'lifted', 10), 0)
  await patch(groups.balancer, lifted.address, { state: 'active' }, 'lifted')
  t.equal(await shareOf(lifted, 'lifted', 44), 4, 'a tenth of the weight of the other')
})

t.test('a target starts slowly once its ejection ends', async (t) => {
  ejected.script = { answer: (_, connection) => connection.write(ok('', [], '503 No')) }
  await until('its ejection', async () => {
    await ask('ejected', 8, SOURCES)
    return (await groups.ejected('ejected')) === 1
  })
  ejected.script = {}
  await until('the end of its ejection', async () => (await shareOf(ejected, 'ejected', 11)) > 0)
  // Each thread notes the end for itself, in its next turns.
  const shares: number[] = []
  await until('a share on every thread', async () => {
    shares.push(await shareOf(ejected, 'ejected', 44))
    return shares.at(-1)! > 0
  })
  t.ok(shares.at(-1)! < 11, `${shares.join(', ')} of 44, where its full share is 22`)
})

t.test('a target that comes back to peak-ewma is not given every request until it has answered', async (t) => {
  const change = (state: string) => patch(groups.balancer, slow.address, { state }, 'waiting')
  await change('maintenance')
  await ask('waiting', 20)
  await change('active')
  const before = slow.requests.length
  await Promise.all(Array.from({ length: CLIENTS }, () => ask('waiting', 1)))
  const came = slow.requests.length - before
  t.ok(came > 0 && came <= CLIENTS / 2 + 2, `${came} of ${CLIENTS}`)
})
