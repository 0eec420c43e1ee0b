import t from 'tap'
import { castorBefore, startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { ask, patch, shown, targetsPath } from './support/operator.js'
import { get, RawClient, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

async function pair(t: Test, group: object = {}): Promise<{ castor: TestCastor; one: RawTarget; two: RawTarget }> {
  const [one, two] = [await RawTarget.start(), await RawTarget.start()]
  t.teardown(() => one.stop())
  t.teardown(() => two.stop())
  return { castor: await startTestCastor(t, [one.address, two.address], { group }), one, two }
}

const BAD: readonly [string, unknown, string][] = [
  ['no JSON', '{', 'no JSON'],
  ['nothing to change', {}, 'give weight, state or both'],
  ['too heavy', { weight: 101 }, 'weight: must be at most 100, not 101'],
  ['a fraction', { weight: 1.5 }, 'weight: must be a whole number, not 1.5'],
  ['no such state', { state: 'asleep' }, 'state: must be one of active, draining, maintenance'],
  ['an unknown key', { wait: 1 }, 'wait'],
]

t.test('changes that are none are refused, and say why', async (t) => {
  const { castor, target } = await castorBefore(t)
  for (const [name, body, why] of BAD) {
    const { code, text } = await patch(castor, target.address, body)
    t.equal(code, 400, name)
    t.ok(text.includes('BAD_CHANGE') && text.includes(why), `${name}: ${text}`)
  }
  t.match(await patch(castor, target.address, { state: 'x'.repeat(5_000) }), { code: 413, text: /TOO_LONG/ })
  const path = `${targetsPath()}/${encodeURIComponent(target.address)}?weight=1`
  const asked = await ask(castor.running.admin.port, 'PATCH', path, { weight: 1 })
  t.equal(asked.code, 400)
  t.match(asked.text, /BAD_PARAMETER.*there are none here/)
  const lost = await patch(castor, 'nobody', { weight: 1 })
  t.equal(lost.code, 404)
  t.ok(lost.text.includes(target.address), lost.text)
  t.equal((await patch(castor, target.address, { weight: 1 }, 'nowhere')).code, 404)
  t.equal((await shown(castor, target.address)).weight, 10, 'nothing was changed')
})

t.test('a weight holds at once, and 0 takes no new traffic', async (t) => {
  const { castor, one, two } = await pair(t)
  t.same(JSON.parse((await patch(castor, one.address, { weight: 0 })).text), {
    id: one.address,
    weight: 0,
    state: 'active',
  })
  for (let i = 0; i < 6; i++) await request(castor.port, get('/'))
  t.equal(one.requests.length, 0)
  await patch(castor, one.address, { weight: 20 })
  for (let i = 0; i < 6; i++) await request(castor.port, get('/'))
  t.equal(one.requests.length, 4)
  t.equal(two.requests.length, 8)
})

t.test('a draining target keeps what it has until its time is over; then that is cut', async (t) => {
  const { castor, one, two } = await pair(t, { draining: '1s' })
  let held: RawTarget | undefined
  for (const target of [one, two]) target.script = { answer: () => (held = target) }
  const client = await RawClient.connect(castor.port)
  t.teardown(() => client.close())
  client.send(get('/slow'))
  const target = await until('the request at a target', () => held)
  for (const each of [one, two]) each.script = {}
  const startMs = performance.now()
  await patch(castor, target.address, { state: 'draining' })
  const before = target.requests.length
  for (let i = 0; i < 4; i++) t.equal((await request(castor.port, get('/'))).status, 200)
  t.equal(target.requests.length, before, 'nothing new')
  const cut = await client.response()
  const lastedMs = performance.now() - startMs
  t.equal(cut.status, 503)
  t.ok(lastedMs > 900 && lastedMs < 1_600, `it had ${Math.round(lastedMs)} ms`)
  await patch(castor, target.address, { state: 'active' })
  for (let i = 0; i < 4; i++) await request(castor.port, get('/'))
  t.ok(target.requests.length > before, 'it is back')
})

t.test('maintenance ends everything at once', async (t) => {
  const { castor, target } = await castorBefore(t, { answer: () => {} })
  const client = await RawClient.connect(castor.port)
  t.teardown(() => client.close())
  client.send(get('/'))
  await target.received(1)
  await patch(castor, target.address, { state: 'maintenance' })
  t.equal((await client.response()).status, 503)
  t.equal((await request(castor.port, get('/'))).status, 503)
  t.equal((await shown(castor, target.address)).state, 'maintenance')
})
