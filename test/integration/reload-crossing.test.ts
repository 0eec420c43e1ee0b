import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import { type ConfigFile, onePair, withDefaults } from './support/balancer.js'
import { fetchText } from './support/castor.js'
import { ChildCastor, configFile, MAIN } from './support/child-castor.js'
import { get, request } from './support/raw-client.js'
import { startReloading, startTarget } from './support/reloading.js'
import { until } from './support/until.js'
import { adminSocket, endNow } from './support/upgrade.js'

t.test('a ConfigMap whose ..data goes over to another directory is reloaded, again and again', async (t) => {
  const targets = [await startTarget(t), await startTarget(t)]
  const config = (round: number): ConfigFile =>
    ({ ...onePair('http', [targets[round % 2]!.address], { workers: 1 }), reload: 'onChange' }) as ConfigFile
  const folder = join(dirname(await configFile(t, config(0))), 'mounted')
  mkdirSync(folder)
  /** As the kubelet does it: a new directory, one link that is renamed over, and the old directory is removed. */
  const mount = (round: number): void => {
    mkdirSync(join(folder, `..${round}`))
    writeFileSync(join(folder, `..${round}`, 'castor.yaml'), JSON.stringify(withDefaults(config(round))))
    symlinkSync(`..${round}`, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    if (round > 0) rmSync(join(folder, `..${round - 1}`), { recursive: true })
  }
  mount(0)
  symlinkSync(join('..data', 'castor.yaml'), join(folder, 'castor.yaml'))
  const castor = new ChildCastor([MAIN, 'start', '-c', join(folder, 'castor.yaml')])
  t.teardown(() => castor.kill())
  await castor.ready()
  for (let round = 1; round <= 3; round++) {
    mount(round)
    const reloads = (): number => castor.stderr.split('the configuration was reloaded').length - 1
    await until(`reload ${round}`, () => reloads() >= round, 9_000)
    const before = targets[round % 2]!.requests.length
    t.equal((await request(castor.port(), get('/'))).status, 200)
    t.equal(targets[round % 2]!.requests.length, before + 1)
  }
  t.notMatch(castor.stderr, /was not reloaded/)
})

t.test('reloads at once are one after the other, and the newest file holds', async (t) => {
  const targets = [await startTarget(t), await startTarget(t)]
  const config = (round: number): ConfigFile => ({
    ...onePair('http', [targets[round % 2]!.address], { workers: 2, group: { draining: '1s' } }),
  })
  const { castor, reload, write } = await startReloading(t, config(0))
  const asked: ReturnType<typeof reload>[] = []
  for (let round = 1; round <= 5; round++) {
    asked.push(reload(config(round)))
    castor.child.kill('SIGHUP')
  }
  write(config(1))
  for (const answer of await Promise.all(asked)) t.equal(answer.code, 200)
  t.match(await reload(), { code: 200 })
  await until('requests at the target of the newest file alone', async () => {
    const before = targets[1]!.requests.length
    t.equal((await request(castor.port(), get('/'))).status, 200)
    return targets[1]!.requests.length === before + 1
  })
})

for (const native of nativeAddon() === undefined ? ['off'] : ['auto', 'off']) {
  t.test(`who waits in the queue of a group that goes away is told at once, or served; addon: ${native}`, async (t) => {
    const [busy, other] = [await startTarget(t), await startTarget(t)]
    busy.script = { answer: () => {} }
    const group = (name: string, address: string) => ({
      ...{ name, protocol: 'http', healthCheck: { protocol: 'off' }, draining: '1s', targets: [{ address }] },
      ...{ maxConnectionsPerTarget: 1, queue: { size: 10, timeout: '30s' } },
    })
    const config = (name: string, address: string): ConfigFile => ({
      workers: 1,
      listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: name }],
      targetGroups: [group(name, address)],
    })
    const options = native === 'off' ? { env: { CASTOR_NATIVE: native } } : {}
    const { castor, reload } = await startReloading(t, config('one', busy.address), options)
    const port = castor.port()
    const held = request(port, get('/held')).catch(() => undefined)
    await until('the target to be full', () => busy.requests.length === 1)
    const begunMs = performance.now()
    const waiting = [request(port, get('/1')), request(port, get('/2'))]
    const queued = async (): Promise<number> =>
      (await castor.metrics()).sum('castor_target_group_queued', 'target_group="one"')
    await until('two in the queue', async () => (await queued()) === 2)
    t.match(await reload(config('two', other.address)), { code: 200 })
    t.equal((await request(port, get('/3'))).status, 200)
    for (const answer of await Promise.all(waiting)) t.ok([200, 503].includes(answer.status), `${answer.status}`)
    t.ok(performance.now() - begunMs < 20_000, 'not after their time in the queue')
    await held
    await until(
      'nothing of the group',
      async () => !(await fetchText(castor.adminPort, '/metrics')).includes('target_group="one"'),
      20_000,
    )
  })
}

t.test(
  'a reload that is asked for while another process takes over is done by that one',
  {
    skip: nativeAddon() === undefined && 'the addon is not built',
  },
  async (t) => {
    const targets = [await startTarget(t), await startTarget(t)]
    const admin = adminSocket(t)
    const config = (round: number): ConfigFile => ({
      ...onePair('http', [targets[round % 2]!.address], { workers: 1, group: { draining: '1s' } }),
      admin: { listen: [`unix:${admin}`, '127.0.0.1:0'] },
    })
    const { castor, write } = await startReloading(t, config(0))
    const asked = httpRequest({
      ...{ socketPath: admin, path: '/api/v1/upgrade', method: 'POST', agent: false },
      headers: { 'content-type': 'application/json', 'content-length': 2 },
    })
    asked.end('{}')
    const [response] = await once(asked, 'response')
    const steps: string[] = []
    for await (const line of createInterface({ input: response })) {
      const { step, pid } = JSON.parse(line) as { step: string; pid?: number }
      steps.push(step)
      if (step === 'starting') t.teardown(() => endNow(pid!))
      if (step !== 'prepared') continue
      // It has read the file; and the service manager knows only the process that serves.
      write(config(1))
      castor.child.kill('SIGHUP')
    }
    t.match([steps.includes('prepared'), steps.at(-1)], [true, 'done'])
    await until(
      'requests at the target of the newest file, once the process before has ended',
      async () => {
        const before = targets[1]!.requests.length
        t.equal((await request(castor.port(), get('/'))).status, 200)
        return !castor.alive && targets[1]!.requests.length === before + 1
      },
      20_000,
    )
  },
)
