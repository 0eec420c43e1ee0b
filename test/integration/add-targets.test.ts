import t from 'tap'
import { castorBefore, startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { ask, post, remove, shown, shownTargets, targetsPath } from './support/operator.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'

async function start(t: Test, script: Script = {}): Promise<RawTarget> {
  const target = await RawTarget.start(script)
  t.teardown(() => target.stop())
  return target
}

/** Sends requests one after the other until the target has had one. */
function reached(castor: TestCastor, target: RawTarget): Promise<unknown> {
  const before = target.requests.length
  return until(`a request at ${target.address}`, async () => {
    await request(castor.port, get('/'))
    return target.requests.length > before
  })
}

const gone = (castor: TestCastor, id: string): Promise<unknown> =>
  until(`${id} being gone`, async () => (await shown(castor, id)) === undefined)

const BAD: readonly [string, unknown, string][] = [
  ['no JSON', '{', 'no JSON'],
  ['nothing', {}, 'address: is required'],
  ['no port', { address: '127.0.0.1' }, 'has no port'],
  ['a URL', { address: 'http://127.0.0.1:80' }, 'is a URL'],
  ['no host', { address: 'no host:80' }, 'neither an IP address nor a host name'],
  ['a bare port', { address: 8080 }, 'is a port without an address'],
  ['too heavy', { address: '127.0.0.1:1', weight: 101 }, 'weight: must be at most 100'],
  ['half a weight', { address: '127.0.0.1:1', weight: 0.5 }, 'weight'],
  ['a bad name', { address: '127.0.0.1:1', id: 'a b' }, 'is not a name'],
  ['an unknown key', { address: '127.0.0.1:1', wieght: 1 }, 'did you mean "weight"'],
]

t.test('a target that is none is refused, and the answer says why', async (t) => {
  const { castor, target } = await castorBefore(t)
  for (const [name, body, why] of BAD) {
    const { code, text } = await post(castor, body)
    t.equal(code, 400, name)
    t.ok(text.includes('BAD_TARGET') && text.includes(why.replaceAll('"', '\\"')), `${name}: ${text}`)
  }
  const long = await post(castor, { address: `127.0.0.1:1${' '.repeat(5_000)}` })
  t.match(long, { code: 413, text: /TOO_LONG/ })
  const plain = await ask(castor.running.admin.port, 'POST', targetsPath(), '{"address":"127.0.0.1:1"}', 'text/plain')
  t.equal(plain.code, 415, 'what a web page could send from elsewhere')
  const asked = await ask(castor.running.admin.port, 'POST', `${targetsPath()}?weight=1`, { address: '127.0.0.1:1' })
  t.equal(asked.code, 400, 'parameters are not ignored')
  const nowhere = await post(castor, { address: '127.0.0.1:1' }, 'nowhere')
  t.equal(nowhere.code, 404)
  t.match(nowhere.text, /UNKNOWN_TARGET_GROUP.*there are: app/)
  t.equal((await post(castor, { address: target.address })).code, 409)
  const again = await post(castor, { address: `localhost:${target.port}`, id: 'again' })
  t.equal(again.code, 409, 'nor by another spelling and id')
  t.match(again.text, /has that server already, under the id/)
  for (const [query, code] of [
    ['?now=perhaps', 400],
    ['?later=true', 400],
    ['?now=true&now=false', 400],
  ] as const) {
    t.equal((await remove(castor, target.address, query)).code, code, query)
  }
  t.equal((await remove(castor, 'nobody')).code, 404)
  t.equal((await remove(castor, 'nobody', '', 'nowhere')).code, 404)
  const { code, headers } = await options(castor)
  t.equal(code, 405)
  t.match(headers, /POST/)
  t.equal((await shownTargets(castor)).length, 1, 'nothing was changed')
})

async function options(castor: TestCastor): Promise<{ code: number; headers: string }> {
  const response = await fetch(`http://127.0.0.1:${castor.running.admin.port}${targetsPath()}`)
  await response.text()
  return { code: response.status, headers: response.headers.get('allow') ?? '' }
}

t.test('a target that is added gets its share at once where nothing is checked, on every worker', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const castor = await startTestCastor(t, [one.address], { workers: 3 })
  const added = await post(castor, { address: two.address, id: 'second', weight: 20 })
  t.equal(added.code, 201)
  t.same(added.json, { id: 'second', address: two.address, weight: 20, state: 'active', health: 'unchecked' })
  await reached(castor, two)
  // Connections go round the workers, and tickets are taken by all of them alike.
  await until('every worker knowing it', async () => {
    const before = [one.requests.length, two.requests.length]
    for (let i = 0; i < 9; i++) await request(castor.port, get('/'))
    return one.requests.length - before[0]! === 3 && two.requests.length - before[1]! === 6
  })
  t.equal((await shown(castor, 'second')).requests, two.requests.length, 'and it is counted for what it is')
})

t.test('a target that is added gets no traffic before it has passed a check', async (t) => {
  const one = await start(t)
  const held: (() => void)[] = []
  let isWell = false
  const two = await start(t, {
    answer({ target }, connection) {
      if (target !== '/check' || isWell) connection.write(ok())
      else held.push(() => connection.write(ok('', [], '503 Not Yet')))
    },
  })
  const castor = await startTestCastor(t, [one.address], {
    group: { healthCheck: { protocol: 'http', path: '/check', interval: '100ms', healthyThreshold: 1 } },
  })
  const added = await post(castor, { address: two.address })
  t.match(added.json, { health: 'initial' })
  await until('the first check', () => held.length === 1)
  for (let i = 0; i < 6; i++) await request(castor.port, get('/'))
  t.equal((await shown(castor, two.address)).health, 'initial')
  held[0]!()
  await until('the verdict', async () => (await shown(castor, two.address)).health === 'unhealthy')
  for (let i = 0; i < 6; i++) await request(castor.port, get('/'))
  t.ok(
    two.requests.every(({ target }) => target === '/check'),
    'nothing but checks',
  )
  isWell = true
  for (const answer of held) answer()
  await until('it being healthy', async () => (await shown(castor, two.address)).health === 'healthy')
  const before = two.requests.length
  for (let i = 0; i < 6; i++) await request(castor.port, get('/'))
  t.ok(two.requests.slice(before).some(({ target }) => target === '/'))
  await remove(castor, two.address, '?now=true')
  await gone(castor, two.address)
  const checks = two.requests.length
  await until('three checks of the other', () => one.requests.filter(({ target }) => target === '/check').length > 3)
  t.ok(two.requests.length <= checks + 1, 'a target that is gone is checked no more')
})

t.test('who waits in a queue is served by a target that is added, and told when the last one is removed', async (t) => {
  const one = await start(t, { answer: () => {} })
  const castor = await startTestCastor(t, [one.address], {
    group: { maxConnectionsPerTarget: 1, queue: { size: 4, timeout: '30s' } },
  })
  const [first, second, third] = [get('/1'), get('/2'), get('/3')].map((bytes) => request(castor.port, bytes))
  await one.received(1)
  await until(
    'two waiting',
    async () => (await castor.metrics()).get('castor_target_group_queued{target_group="app"}') === 2,
  )
  const two = await start(t)
  t.equal((await post(castor, { address: two.address })).code, 201)
  const served = await Promise.race([
    Promise.all([first!, second!]),
    Promise.all([first!, third!]),
    Promise.all([second!, third!]),
  ])
  t.same(
    served.map(({ status }) => status),
    [200, 200],
  )
  const queued = request(castor.port, get('/4'))
  two.script = { answer: () => {} }
  await two.received(3)
  const last = request(castor.port, get('/5'))
  await until(
    'one waiting',
    async () => (await castor.metrics()).get('castor_target_group_queued{target_group="app"}') === 1,
  )
  for (const { address } of [one, two]) await remove(castor, address, '?now=true')
  t.equal((await queued).status, 503)
  t.equal((await last).status, 503)
})
