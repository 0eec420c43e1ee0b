import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import { castor as command } from '../unit/cli/castor.js'
import { type ConfigFile, onePair, withDefaults } from './support/balancer.js'
import { FreshLoad } from './support/fresh-load.js'
import { ask, targetsPath } from './support/operator.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok } from './support/raw-target.js'
import { freePort } from './support/redis.js'
import { startReloading, startTarget } from './support/reloading.js'
import { SteadyLoad } from './support/steady-load.js'
import { until } from './support/until.js'

t.test('targets, weights and settings change under traffic by castor reload, and no request fails', async (t) => {
  const [one, two] = [await startTarget(t), await startTarget(t)]
  const config = (targets: object[], group: object = {}) => onePair('http', targets, { workers: 2, group })
  const running = await startReloading(t, config([{ address: one.address }]))
  const { castor, write } = running
  const admin = ['--admin', `127.0.0.1:${castor.adminPort}`]
  const before = castor.port()
  const load = new SteadyLoad(before, 4, 2)
  await until('traffic', () => load.succeeded > 20)

  write(config([{ address: one.address }, { address: two.address }], { algorithm: 'least-connections' }))
  const lines = `~ target group out: algorithm: round-robin → least-connections\n+ target ${two.address} of out, weight 10\n`
  t.match(await command(['diff', ...admin]), { code: 1, stdout: lines })
  t.match(await command(['reload', ...admin]), {
    code: 0,
    stdout: `${lines}reloaded: version 2 of the configuration is in force\n`,
    stderr: '',
  })
  await until('traffic at the new target', () => two.requests.length > 20)

  write(config([{ address: two.address }]))
  castor.child.kill('SIGHUP')
  await until('the line in the log', () => castor.stderr.split('the configuration was reloaded').length === 3)
  await until('the old target being gone', async () => (await running.targets()).every(({ leaves }) => leaves === null))
  const last = one.requests.length
  const goesOn = load.succeeded
  await until('more traffic', () => load.succeeded > goesOn + 50)
  await load.stop()
  t.equal(one.requests.length, last)
  t.same(load.failed, [])
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_config_version'), 3)
  t.equal(metrics.sum('castor_config_last_reload_successful'), 1)
})

t.test('listeners come and go, and one that stays keeps its connections', async (t) => {
  const one = await startTarget(t)
  const listener = (name: string) => ({ name, protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' })
  const config = (...names: string[]) => ({ ...onePair('http', [one.address]), listeners: names.map(listener) })
  const { castor, write, reload } = await startReloading(t, config('in', 'old'))
  const stays = await RawClient.connect(castor.port('in'))
  t.equal((await stays.exchange(get('/'))).status, 200)
  write(config('in', 'new'))
  t.match(await reload(), { code: 200, json: { result: 'applied', lines: ['+ listener new', '- listener old'] } })
  t.equal((await stays.exchange(get('/'))).status, 200, 'on the same connection')
  stays.close()
  const { json } = await ask(castor.adminPort, 'GET', '/api/v1/listeners')
  const { listeners } = json as { listeners: { name: string; addresses: string[] }[] }
  t.same(
    listeners.map(({ name }) => name),
    ['in', 'new'],
  )
  t.equal(Number(listeners[0]!.addresses[0]!.split(':')[1]), castor.port('in'), 'also the port that the system chose')
  t.equal((await request(Number(listeners[1]!.addresses[0]!.split(':')[1]), get('/'))).status, 200)
  await t.rejects(RawClient.connect(castor.port('old')))
})

t.test('an address of a listener can become wider or narrower, and no other program gets the port', async (t) => {
  const addon = nativeAddon()!
  const one = await startTarget(t)
  const { castor, write, reload } = await startReloading(t, onePair('http', [one.address]))
  const port = castor.port()
  const stays = await RawClient.connect(port)
  t.equal((await stays.exchange(get('/'))).status, 200)
  for (const listen of [
    `0.0.0.0:${port}`,
    `127.0.0.1:${port}`,
    [`0.0.0.0:${port}`, `[::]:${port}`],
    [`127.0.0.1:${port}`, `[::]:${port}`],
    [`0.0.0.0:${port}`, `[::]:${port}`],
    [`0.0.0.0:${port}`, `[::1]:${port}`],
    [`[::]:${port}`],
    [`[::1]:${port}`],
  ]) {
    write(onePair('http', [one.address], { listener: { listen } }))
    t.match(await reload(), { code: 200, json: { result: 'applied' } }, `${listen}`)
    t.equal((await stays.exchange(get('/'))).status, 200, 'on the connection from before')
    const host = listen.length === 1 ? '::1' : '127.0.0.1'
    t.equal((await request(port, get('/'), 'GET', host)).status, 200, `${host} after ${listen}`)
    for (const address of listen.length === 1 ? ['::1', '::'] : ['127.0.0.1', '0.0.0.0']) {
      for (const shares of [0, 1] as const) {
        const fd = addon.listenTcp(address, port, 10, 1, 0, 0, shares)
        t.equal(
          fd < 0 && addon.errorName(fd),
          'EADDRINUSE',
          `${address} after ${listen}${shares ? ', by SO_REUSEPORT' : ''}`,
        )
        if (fd >= 0) addon.closeFd(fd, 0)
      }
    }
  }
  stays.close()
  await t.rejects(RawClient.connect(port), 'at the address that was given up')
})

t.test('a file that is wrong, or needs a restart, changes nothing and is shown until one succeeds', async (t) => {
  const one = await startTarget(t)
  const config = onePair('http', [one.address])
  const { castor, file, write, reload, targets } = await startReloading(t, config)
  write({ ...config, speed: 'high', targetGroups: [] })
  const wrong = await reload()
  t.equal(wrong.code, 422)
  const { problems } = (wrong.json as { error: { problems: { path: string; line: number; column: number }[] } }).error
  t.match(
    problems.find(({ path }) => path === 'speed'),
    { file, line: 1, message: /unknown key "speed"/ },
  )
  await until('the line in the log', () => castor.stderr.includes('the configuration was not reloaded'))
  const { json } = await ask(castor.adminPort, 'GET', '/api/v1/status')
  t.match(json, {
    configuration: { version: 1, lastReload: { by: 'api', result: 'invalid', reasons: [/castor\.yaml:1:\d+: /] } },
  })
  t.equal((await castor.metrics()).sum('castor_config_last_reload_successful'), 0)

  write({ ...config, workers: 2, ...{ targetGroups: [{ name: 'out', protocol: 'http', targets: [] }] } })
  t.match(await reload(), { code: 409, json: { error: { code: 'RESTART_REQUIRED', message: /^workers can only/ } } })
  t.equal((await targets()).length, 1, 'nor what a reload could have changed')
  t.equal((await request(castor.port(), get('/'))).status, 200)

  write(config)
  t.match(await reload(), { code: 200, json: { result: 'unchanged', version: 1 } })
  t.equal((await castor.metrics()).sum('castor_config_last_reload_successful'), 1)
})

t.test('an address that is taken leaves the configuration in force as it is', async (t) => {
  const one = await startTarget(t)
  const config = onePair('http', [one.address])
  const { castor, write, reload } = await startReloading(t, config)
  const inUse = new RegExp(`${one.address}: the port is in use .EADDRINUSE., by process ${process.pid}: `)
  const taken = { name: 'more', protocol: 'http', listen: one.address, targetGroup: 'out' }
  write({ ...config, listeners: [...(config.listeners as object[]), taken], shutdownTimeout: '9s' })
  t.match(await reload(), { code: 500, json: { error: { code: 'RELOAD_FAILED', message: inUse } } })
  t.match((await ask(castor.adminPort, 'GET', '/api/v1/config')).json, {
    version: 1,
    config: { shutdownTimeout: '2s', listeners: [{ name: 'in' }] },
  })
  t.equal((await request(castor.port(), get('/'))).status, 200)
})

t.test('what operators changed survives a reload unless the file changes the same thing', async (t) => {
  const targets = [await startTarget(t), await startTarget(t), await startTarget(t), await startTarget(t)]
  const named = (id: string, index: number, weight = 10) => ({ id, address: targets[index]!.address, weight })
  const file = [named('a', 0), named('b', 1), named('c', 2)]
  const running = await startReloading(t, onePair('http', file))
  const { castor, write, reload } = running
  const path = targetsPath('out')
  const asked = [
    await ask(castor.adminPort, 'PATCH', `${path}/a`, { weight: 3 }),
    await ask(castor.adminPort, 'PATCH', `${path}/b`, { state: 'maintenance' }),
    await ask(castor.adminPort, 'DELETE', `${path}/c?now=true`),
    await ask(castor.adminPort, 'POST', path, { id: 'd', address: targets[3]!.address, weight: 7 }),
  ]
  t.same(
    asked.map(({ code }) => code),
    [200, 200, 200, 201],
  )
  const shown = async () => (await running.targets()).map(({ id, weight, state }) => `${id} ${weight} ${state}`).sort()
  const kept = ['a 3 active', 'b 10 maintenance', 'd 7 active']
  write(onePair('http', file, { group: { slowStart: '1s' } }))
  t.equal((await reload()).code, 200)
  t.same(await shown(), kept)
  t.equal(
    ((await ask(castor.adminPort, 'GET', '/api/v1/config')).json as { operatorChanges: [] }).operatorChanges.length,
    4,
  )
  write(onePair('http', [named('a', 0, 20), named('b', 1, 5)]))
  t.equal((await reload()).code, 200)
  t.same(await shown(), ['a 20 active', 'b 5 maintenance', 'd 7 active'])
})

t.test('castor target add --persist writes the file, which then holds', async (t) => {
  const [one, two] = [await startTarget(t), await startTarget(t)]
  const { castor, file, reload, targets } = await startReloading(
    t,
    onePair('http', [{ id: 'a', address: one.address }]),
  )
  const text = readFileSync(file, 'utf8')
  const args = ['--id', 'b', '--persist', '--admin', `127.0.0.1:${castor.adminPort}`]
  t.match(await command(['target', 'add', 'out', two.address, ...args]), {
    code: 0,
    stdout: 'b is in out, weight 10\n',
  })
  const added = `{ "address": "${two.address}", "id": "b" }`
  t.equal(readFileSync(file, 'utf8'), text.replace(/("id":"a"[^}]*\})/, `$1, ${added}`))
  t.match(await ask(castor.adminPort, 'PATCH', `${targetsPath('out')}/b`, { weight: 4, persist: true }), { code: 200 })
  t.match(await reload(), { json: { result: 'unchanged' } })
  t.match(await ask(castor.adminPort, 'PATCH', `${targetsPath('out')}/b`, { weight: 5 }), { code: 200 })
  const config = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, drainDelay: '1ms' }))
  t.match(await reload(), { json: { result: 'applied' } })
  t.same(
    (await targets()).map(({ id, weight }) => [id, weight]),
    [
      ['a', 10],
      ['b', 5],
    ],
    'a weight that was changed after it was written is the operator’s',
  )
})

t.test('the level of the log changes in every thread', async (t) => {
  const one = await startTarget(t)
  const config = onePair('http', [one.address])
  const { castor, write, reload } = await startReloading(t, config)
  const refuse = async (): Promise<number> => (await request(castor.port(), 'GET / HTTP/1.1\r\n\r\n')).status
  t.equal(await refuse(), 400)
  write({ ...config, log: { level: 'debug', access: 'off' } })
  t.match(await reload(), { code: 200, json: { lines: ['~ log.level: info → debug'] } })
  t.equal(await refuse(), 400)
  await until('a line of a proxy thread', () => /"level":"debug".*"thread":"proxy-1"/.test(castor.stderr))
  t.equal(castor.stderr.split('"request refused"').length, 2, 'of the second request only')
})

t.test('with reload: onChange the changed file is enough', async (t) => {
  const [one, two] = [await startTarget(t), await startTarget(t)]
  const { castor, write, targets } = await startReloading(t, { ...onePair('http', [one.address]), reload: 'onChange' })
  write({ ...onePair('http', [two.address]), reload: 'manual' })
  await until('the new target', async () => (await targets()).some(({ id }) => id === two.address))
  await until('the line in the log', () => /"by":"watch".*the configuration was reloaded/.test(castor.stderr))
})

t.test('two listeners can change places: their ports, and with them their clients', async (t) => {
  const [one, two] = [await startTarget(t), await startTarget(t)]
  one.script.answer = (_, connection) => connection.write(ok('one'))
  two.script.answer = (_, connection) => connection.write(ok('two'))
  const ports = [await freePort(), await freePort()]
  const config = (first: number): ConfigFile => ({
    workers: 2,
    listeners: ['one', 'two'].map((name, index) => ({
      name,
      protocol: 'http',
      listen: `127.0.0.1:${ports[(first + index) % 2]}`,
      targetGroup: name,
    })),
    targetGroups: [one, two].map(({ address }, index) => ({
      name: ['one', 'two'][index],
      protocol: 'http',
      targets: [{ address }],
    })),
  })
  const { write, reload } = await startReloading(t, config(0))
  const answers = async () => Promise.all(ports.map(async (port) => (await request(port, get('/'))).text))
  t.same(await answers(), ['one', 'two'])
  const load = ports.map((port) => new FreshLoad(t, port))
  for (const first of [1, 0, 1]) {
    write(config(first))
    t.match(await reload(), { code: 200, json: { result: 'applied' } })
    t.same(await answers(), first === 0 ? ['one', 'two'] : ['two', 'one'])
  }
  for (const each of load) t.same(await each.stop(), [])
})

t.test(
  'with reload: onChange a file that is deleted, or half written, changes nothing until it is whole',
  async (t) => {
    const [one, two] = [await startTarget(t), await startTarget(t)]
    const config = (address: string) => ({ ...onePair('http', [address]), reload: 'onChange' })
    const { castor, file, write, targets } = await startReloading(t, config(one.address))
    const refused = () => castor.stderr.split('"the configuration was not reloaded').length - 1
    rmSync(file)
    await until('the line that it is not there', () => refused() === 1, 10_000)
    const whole = JSON.stringify(withDefaults(config(two.address)))
    writeFileSync(file, whole.slice(0, whole.length / 2))
    await until('the line that it is wrong', () => refused() === 2, 10_000)
    t.same(
      (await targets()).map(({ id }) => id),
      [one.address],
    )
    t.equal((await request(castor.port(), get('/'))).status, 200)
    write(config(two.address))
    await until('the new target', async () => (await targets()).some(({ id }) => id === two.address), 10_000)
  },
)
