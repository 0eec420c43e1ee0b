import t from 'tap'
import type { AdminFacts } from '../../src/admin/facts.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { patch, post, remove, shown, shownTargets } from './support/operator.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'

async function start(t: Test, script: Script = {}): Promise<RawTarget> {
  const target = await RawTarget.start(script)
  t.teardown(() => target.stop())
  return target
}

const gone = (castor: TestCastor, id: string): Promise<unknown> =>
  until(`${id} being gone`, async () => (await shown(castor, id)) === undefined)

t.test('a target that is removed finishes what it has, gets nothing new, and goes', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const castor = await startTestCastor(t, [one.address, two.address])
  let finish: (() => void) | undefined
  two.script = { answer: (_, connection) => (finish = () => connection.write(ok('at last'))) }
  const client = await RawClient.connect(castor.port)
  t.teardown(() => client.close())
  await until('a request at the target', async () => {
    if (two.requests.length > 0) return true
    client.send(get('/slow'))
    if (two.requests.length === 0) await Promise.race([client.response(), two.received(1)])
    return two.requests.length > 0
  })
  const removed = await remove(castor, two.address)
  t.equal(removed.code, 202)
  const { state, leaves } = removed.json as { state: string; leaves: string }
  t.equal(state, 'draining')
  t.ok(Date.parse(leaves) > Date.now() + 290_000 && Date.parse(leaves) <= Date.now() + 300_000, leaves)
  t.same((await remove(castor, two.address)).json, removed.json, 'asked again, it says the same')
  t.match(await shown(castor, two.address), { state: 'draining', leaves })
  t.match((await post(castor, { address: two.address })).text, /TARGET_EXISTS.*leaves at/)
  for (let i = 0; i < 6; i++) t.equal((await request(castor.port, get('/'))).status, 200)
  t.equal(two.requests.length, 1)
  finish!()
  t.equal((await client.response()).text, 'at last')
  await gone(castor, two.address)
  await until('its connection being closed', () => two.connections[0]!.ended !== undefined)
  t.match(castor.log.join(''), /a target that was removed is gone/)
})

t.test('time runs out for a target that is removed, and undrain keeps it', async (t) => {
  const [one, two] = [await start(t), await start(t, { answer: () => {} })]
  const castor = await startTestCastor(t, [one.address, two.address], { group: { draining: '1s' } })
  const clients = await Promise.all([RawClient.connect(castor.port), RawClient.connect(castor.port)])
  for (const client of clients) t.teardown(() => client.close())
  const answers = clients.map((client) => client.exchange(get('/')))
  await two.received(1)
  await remove(castor, two.address)
  t.equal((await patch(castor, two.address, { state: 'active' })).code, 200)
  t.match(await shown(castor, two.address), { state: 'active', leaves: null })
  await remove(castor, two.address)
  const statuses = (await Promise.all(answers)).map(({ status }) => status).sort()
  t.same(statuses, [200, 503])
  await gone(castor, two.address)
})

t.test('a target that is removed now is cut and gone', async (t) => {
  const [one, two] = [await start(t), await start(t, { answer: () => {} })]
  const castor = await startTestCastor(t, [one.address, two.address])
  const clients = await Promise.all([RawClient.connect(castor.port), RawClient.connect(castor.port)])
  for (const client of clients) t.teardown(() => client.close())
  const answers = clients.map((client) => client.exchange(get('/')))
  await two.received(1)
  const removed = await remove(castor, two.address, '?now=true')
  t.equal(removed.code, 200)
  t.same(removed.json, { id: two.address, state: 'removed' })
  t.same((await Promise.all(answers)).map(({ status }) => status).sort(), [200, 503])
  t.equal((await shownTargets(castor)).length, 1)
  t.equal((await remove(castor, two.address)).code, 404)
})

/** Adds the target, again and again until it is in that slot: those never used are given out first. */
async function postInto(
  castor: TestCastor,
  slot: number,
  body: { readonly id: string; readonly address: string; readonly weight: number },
): Promise<void> {
  await until('the target being in the slot of the one that left', async () => {
    const { code, text } = await post(castor, body)
    if (code !== 201) throw new Error(text)
    if (slotOf(castor, body.id) === slot) return true
    await remove(castor, body.id, '?now=true')
    return false
  })
}

function slotOf({ running }: TestCastor, id: string): number {
  return (running as unknown as { readonly facts: AdminFacts }).facts.targets.find((target) => target.id === id)!.slot
}

t.test('a place is given out again when nobody refers to it, and no session leads to its new target', async (t) => {
  const [one, two, three] = [await start(t), await start(t), await start(t)]
  const castor = await startTestCastor(t, [{ address: one.address, weight: 0 }], {
    workers: 2,
    group: { stickiness: { type: 'app-cookie', name: 'SID', timeout: '1h' } },
    more: { reserve: { targets: 1 } },
  })
  t.equal((await post(castor, { address: two.address, id: 'second' })).code, 201)
  const slot = slotOf(castor, 'second')
  two.script = { answer: (_, connection) => connection.write(ok('', ['Set-Cookie: SID=mine'])) }
  const mine = get('/', ['Cookie: SID=mine'])
  await until('a session', async () => {
    await request(castor.port, mine)
    return two.requests.length > 0
  })
  await patch(castor, one.address, { weight: 100 })
  for (let i = 0; i < 4; i++) await request(castor.port, mine)
  t.equal(one.requests.length, 0, 'the session leads to its target')
  const idle = await RawClient.connect(castor.port)
  t.teardown(() => idle.close())
  await idle.exchange(mine)
  await remove(castor, 'second', '?now=true')
  await postInto(castor, slot, { address: three.address, id: 'third', weight: 1 })
  const fresh = await shown(castor, 'third')
  t.match(fresh, { requests: 0, connections: 0, weight: 1, state: 'active' })
  await until('the new target being known', async () => {
    await request(castor.port, get('/'))
    return three.requests.length > 0
  })
  const before = three.requests.length
  for (let i = 0; i < 4; i++) await request(castor.port, mine)
  t.equal(three.requests.length, before, 'the session got a new choice, by weight')
  const metrics = await castor.metrics()
  t.equal(metrics.get('castor_target_requests_total{target_group="app",target="second"}'), undefined)
})

t.test('targets may come and go under load without a request being lost', async (t) => {
  const one = await start(t)
  const others = [await start(t), await start(t), await start(t)]
  const castor = await startTestCastor(t, [one.address], { workers: 2, more: { reserve: { targets: 2 } } })
  let stopped = false
  const statuses = new Map<number, number>()
  const clients = Array.from({ length: 4 }, async () => {
    const client = await RawClient.connect(castor.port)
    while (!stopped) {
      const { status } = await client.exchange(get('/'))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    client.close()
  })
  for (let round = 0; round < 6; round++) {
    const target = others[round % others.length]!
    const before = target.requests.length
    t.equal((await post(castor, { address: target.address })).code, 201)
    await until('it having traffic', () => target.requests.length > before)
    await remove(castor, target.address)
    await gone(castor, target.address)
  }
  stopped = true
  await Promise.all(clients)
  t.same([...statuses.keys()], [200])
  await until('nothing being counted that is not there', async () => {
    const targets = await shownTargets(castor)
    return targets.length === 1 && targets[0]!.connections <= 8
  })
})
