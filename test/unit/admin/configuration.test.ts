import t, { type Test } from 'tap'
import { startAdmin } from '../../../src/admin/server.js'
import { diffConfigs } from '../../../src/config/diff.js'
import { ask } from '../../integration/support/operator.js'
import { FakeFacts, SECRET } from './fake-facts.js'

async function start(t: Test, facts = new FakeFacts()): Promise<{ facts: FakeFacts; port: number }> {
  const admin = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(() => admin.close())
  return { facts, port: admin.port }
}

t.test(
  'the configuration in force is shown without secrets, and what operators have changed apart from it',
  async (t) => {
    const facts = new FakeFacts()
    facts.reloading.inForce = {
      ...facts.config,
      secret: SECRET,
      cluster: {
        name: 'shop',
        secret: SECRET,
        heartbeatMs: 1000,
        hosts: [],
        redis: {
          type: 'single',
          address: { host: 'redis', port: 6379 },
          database: 0,
          username: 'me',
          password: SECRET,
          tls: false,
          ca: '',
        },
      },
    }
    const { port } = await start(t, facts)
    const [first, second, third] = facts.targets
    facts.setTargetWeight(first!.slot, 3)
    facts.setTargetState(second!.slot, 'draining')
    await facts.addTarget(1, { id: 'new', host: '10.0.0.9', port: 1, weight: 7 })
    facts.removeTarget(third!.slot, true)
    const { code, text, json } = await ask(port, 'GET', '/api/v1/config')
    t.equal(code, 200)
    t.notMatch(text, SECRET)
    t.match(json, {
      version: 1,
      loadedAt: '2023-11-14T22:13:20.000Z',
      file: '/etc/castor/castor.yaml',
      config: {
        listeners: [{ name: 'web', listen: '0.0.0.0:8080', idleTimeout: '1m' }, { name: 'db' }],
        cluster: { name: 'shop', secret: '********', redis: { username: 'me', password: '********' } },
      },
      operatorChanges: [
        { targetGroup: 'app', id: first!.id, change: 'changed', weight: 3, state: 'active' },
        { targetGroup: 'app', id: second!.id, change: 'changed', weight: 10, state: 'draining' },
        { targetGroup: 'app', id: third!.id, change: 'removed' },
        { targetGroup: 'postgres', id: 'new', change: 'added', address: '10.0.0.9:1', weight: 7 },
      ],
    })
    t.equal((json as { operatorChanges: unknown[] }).operatorChanges.length, 4)
  },
)

t.test('a reload answers what came of it, each way with its own code', async (t) => {
  const { facts, port } = await start(t)
  const changes = diffConfigs(facts.config, { ...facts.config, workers: 9, drainDelayMs: 1000 })
  const problem = { source: '/etc/castor.yaml', line: 7, column: 3, path: 'speed', message: 'unknown key' }
  const reload = (body?: unknown) => ask(port, 'POST', '/api/v1/reload', body)
  t.match(await reload(), { code: 200, json: { result: 'unchanged', version: 1, warnings: [] } })
  facts.reloading.outcome = { result: 'applied', version: 2, changes: { ...changes, restart: [] }, warnings: [problem] }
  t.match(await reload({}), {
    code: 200,
    json: {
      result: 'applied',
      version: 2,
      changes: { settings: [{ path: 'drainDelay', from: '0ms', to: '1s' }] },
      lines: ['~ drainDelay: 0ms → 1s'],
      warnings: ['/etc/castor.yaml:7:3: speed: unknown key'],
    },
  })
  facts.reloading.outcome = { result: 'invalid', problems: [problem] }
  t.match(await reload(), {
    code: 422,
    json: {
      error: {
        code: 'CONFIG_INVALID',
        message: 'the file has a problem; nothing was changed',
        problems: [{ file: '/etc/castor.yaml', line: 7, column: 3, path: 'speed', message: 'unknown key' }],
      },
    },
  })
  facts.reloading.outcome = { result: 'restart-required', changes }
  t.match(await reload(), {
    code: 409,
    json: {
      error: {
        code: 'RESTART_REQUIRED',
        message: 'workers can only change with a restart; nothing was changed',
        changes: { restart: [{ path: 'workers', from: 2, to: 9 }] },
      },
    },
  })
  facts.reloading.outcome = { result: 'failed', message: 'the address is in use' }
  t.match(await reload(), { code: 500, json: { error: { code: 'RELOAD_FAILED', message: 'the address is in use' } } })
  t.same([...new Set(facts.reloading.asked)], ['api'])
})

t.test('a dry run and the difference only ask', async (t) => {
  const { facts, port } = await start(t)
  facts.reloading.outcome = {
    result: 'changed',
    version: 1,
    changes: diffConfigs(facts.config, { ...facts.config, drainDelayMs: 1000 }),
    warnings: [],
  }
  for (const answer of [
    await ask(port, 'POST', '/api/v1/reload', { dryRun: true }),
    await ask(port, 'GET', '/api/v1/config/diff'),
  ]) {
    t.match(answer, { code: 200, json: { result: 'changed', version: 1, lines: ['~ drainDelay: 0ms → 1s'] } })
  }
  t.same(facts.reloading.asked, ['preview', 'preview'])
})

t.test('what is asked of a reload wrongly is refused, and nothing is read', async (t) => {
  const { facts, port } = await start(t)
  for (const [body, says] of [
    [{ dryrun: true }, 'dryrun'],
    [{ dryRun: 'yes' }, 'must be true or false'],
    ['{', 'no JSON'],
  ] as const) {
    const { code, text } = await ask(port, 'POST', '/api/v1/reload', body)
    t.equal(code, 400)
    t.match(text, says)
  }
  t.equal((await ask(port, 'POST', '/api/v1/reload?now=true')).code, 400)
  t.equal((await ask(port, 'GET', '/api/v1/reload')).code, 405)
  t.equal((await ask(port, 'POST', '/api/v1/reload', {}, 'text/plain')).code, 415, 'as a page elsewhere could send it')
  t.same(facts.reloading.asked, [])
})

t.test('a reload brings another token at once, for those who ask from then on', async (t) => {
  const facts = new FakeFacts({ token: 'the-old-one' })
  const { port } = await start(t, facts)
  const get = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` }
    return (await fetch(`http://127.0.0.1:${port}/api/v1/config`, { headers })).status
  }
  t.same([await get('the-old-one'), await get('the-new-one')], [200, 401])
  facts.reloading.inForce = { ...facts.config, admin: { ...facts.config.admin, token: 'the-new-one' } }
  t.same([await get('the-old-one'), await get('the-new-one')], [401, 200])
})

const targets = '/api/v1/target-groups/app/targets'

t.test('a change with persist is written, and one that cannot be changes nothing', async (t) => {
  const { facts, port } = await start(t)
  const { id, slot } = facts.targets[0]!
  const weigh = (body: object) => ask(port, 'PATCH', `${targets}/${id}`, body)
  t.match(await weigh({ weight: 3, persist: true }), { code: 200, json: { weight: 3 } })
  t.match(await ask(port, 'POST', targets, { address: '10.0.0.8:1', persist: true }), { code: 201 })
  t.match(await ask(port, 'DELETE', `${targets}/10.0.0.8:1?persist=true&now=true`), { code: 200 })
  t.match(facts.reloading.asked, [
    { type: 'weight', group: 'app', id, weight: 3 },
    { type: 'add', group: 'app', target: { id: '10.0.0.8:1', host: '10.0.0.8', port: 1, weight: 10 } },
    { type: 'remove', group: 'app', id: '10.0.0.8:1' },
  ])

  facts.reloading.refusal = { result: 'refused', message: 'nothing was changed: it is read-only' }
  const count = facts.targets.length
  const refused = { code: 409, json: { error: { code: 'NOT_PERSISTED', message: /read-only/ } } }
  t.match(await weigh({ weight: 9, persist: true }), refused)
  t.match(await ask(port, 'POST', targets, { address: '10.0.0.8:1', persist: true }), refused)
  t.match(await ask(port, 'DELETE', `${targets}/${id}?persist=true`), refused)
  t.equal(facts.table.weight(slot), 3)
  t.equal(facts.targets.length, count)

  facts.reloading.refusal = { result: 'not-written', message: 'it holds until the next start' }
  t.match(await weigh({ weight: 9, persist: true }), { code: 500, json: { error: { code: 'NOT_WRITTEN' } } })

  const before = facts.reloading.asked.length
  t.match(await weigh({ state: 'draining', persist: true }), { code: 400, text: /no place for a state/ })
  t.match(await ask(port, 'POST', targets, { address: '10.0.0.8:2', persist: 'yes' }), { code: 400, text: /persist/ })
  t.match(await ask(port, 'DELETE', `${targets}/${id}?persist=yes`), { code: 400, text: /persist: must be/ })
  t.match(await weigh({ weight: 4, persist: false }), { code: 200 })
  t.equal(facts.reloading.asked.length, before, 'without persist the file is not asked for')
})
