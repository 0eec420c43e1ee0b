import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import { onePair } from './support/balancer.js'
import { ChildCastor, configFile, MAIN, startChild } from './support/child-castor.js'
import type { Failure } from './support/failing-successor.js'
import { ask } from './support/operator.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'
import { adminSocket, askForUpgrade, askUnix, endOf, UpgradeTraffic, upgrade } from './support/upgrade.js'

if (nativeAddon() === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

const support = new URL('support/failing-successor.js', import.meta.url).href

/** A program that fails there. */
function failing(folder: string, where: Failure): string {
  const file = join(folder, `${where}.mjs`)
  writeFileSync(file, `import { failAt } from ${JSON.stringify(support)}\nawait failAt(${JSON.stringify(where)})\n`)
  return file
}

interface Running {
  readonly castor: ChildCastor
  readonly admin: string
  readonly file: string
  readonly folder: string
}

async function start(t: Test, upgradeTimeout = '60s'): Promise<Running> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const admin = adminSocket(t)
  const file = await configFile(t, {
    workers: 1,
    upgradeTimeout,
    admin: { listen: [`unix:${admin}`, '127.0.0.1:0'] },
    listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' }],
    targetGroups: [{ name: 'out', protocol: 'http', targets: [{ address: target.address }] }],
  })
  const castor = new ChildCastor([MAIN, 'start', '-c', file])
  t.teardown(() => castor.kill())
  await castor.ready()
  const folder = mkdtempSync(join(tmpdir(), 'castor-programs-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return { castor, admin, file, folder }
}

t.test('a new program that does not get to serve changes nothing', async (t) => {
  const { castor, admin, file, folder } = await start(t)
  const traffic = new UpgradeTraffic(t, castor.port())
  await until('traffic', () => traffic.kept > 5 && traffic.fresh > 5, 20_000)
  const descriptors = castor.descriptors

  const expectFailure = async (what: string, program: string, why: RegExp): Promise<void> => {
    const steps = await askForUpgrade(t, admin, program)
    t.match(steps.at(-1), { step: 'failed', code: 'UPGRADE_FAILED', message: why }, what)
    for (const { step, pid } of steps) if (step === 'starting' && pid) await endOf(pid)
    t.match(await askUnix(admin, 'GET', '/readyz'), { code: 200 }, what)
    const { kept, fresh } = traffic
    await until(`${what}: traffic goes on`, () => traffic.kept > kept + 5 && traffic.fresh > fresh + 5, 20_000)
  }
  const deaths: [Failure, RegExp][] = [
    ['start', /exit code 3/],
    ['hello', /ended by SIGKILL/],
    ['take', /ended by SIGKILL/],
    ['serving', /it served, and then it (was ended by SIGKILL|closed)/],
    ['endless', /a message of 4294967295 bytes/],
  ]
  for (const [where, why] of deaths) {
    await expectFailure(where, failing(folder, where), why)
  }
  await expectFailure('no program', join(folder, 'nothing'), /cannot be started.*ENOENT/)
  const before = readFileSync(file, 'utf8')
  writeFileSync(file, before.replace('"in"', '"in","nonsense":1'))
  const wrong = await upgrade(t, `unix:${admin}`)
  t.equal(wrong.code, 2, 'a wrong file')
  t.match(wrong.stderr, /castor\.yaml:1:\d+: .*nonsense/)
  // The old process keeps its socket until the new one serves, so the two cannot overlap; a reload could do this.
  writeFileSync(file, before.replace('"listen":"127.0.0.1:0"', `"listen":"0.0.0.0:${castor.port()}"`))
  const wider = await upgrade(t, `unix:${admin}`)
  t.equal(wider.code, 1, 'a wider address')
  t.match(wider.stderr, `: the port is in use (EADDRINUSE), by process ${castor.child.pid}: `)
  writeFileSync(file, before)

  await until('the descriptors of before', () => castor.descriptors <= descriptors + 2)
  t.equal(castor.stderr.split('the new process did not take over').length - 1, deaths.length + 3)
  // What operators change is taken again, and the next upgrade is not hindered.
  const { json } = await askUnix(admin, 'GET', '/api/v1/target-groups/out')
  const { id } = (json as { targets: { id: string }[] }).targets[0]!
  t.match(await askUnix(admin, 'PATCH', `/api/v1/target-groups/out/targets/${id}`, { weight: 7 }), { code: 200 })
  const steps = await askForUpgrade(t, admin, MAIN)
  t.match(steps.at(-1), { step: 'done' })
  await traffic.stop()
  t.same(traffic.failed, [], `${traffic.kept} requests on kept connections, ${traffic.fresh} on new ones`)
})

t.test('one upgrade at a time, for so long, a program by the Unix socket only, and a stop ends it', async (t) => {
  const { castor, admin, folder } = await start(t, '5s')
  const hang = failing(folder, 'hang')
  const hanging = upgrade(t, `unix:${admin}`, ['--program', hang])
  await until('an upgrade', () => castor.stderr.includes('a new process starts'), 20_000)
  const path = '/api/v1/upgrade'
  t.match(await askUnix(admin, 'POST', path, {}), { code: 409, json: { error: { code: 'UPGRADE_UNDER_WAY' } } })
  const tcp = await ask(castor.adminPort, 'POST', path, { program: hang })
  t.match(tcp, { code: 403, text: /over a Unix socket/ })
  t.match(await askUnix(admin, 'POST', path, { program: 'hang.mjs' }), { code: 400 }, 'relative to whom?')
  t.match(await askUnix(admin, 'POST', path, { programme: hang }), { code: 400 })
  const { steps, stderr } = await hanging
  t.match(stderr, /not ready within upgradeTimeout \(5 s\)/)
  await endOf(steps[0]!.pid!)
  const another = upgrade(t, `unix:${admin}`, ['--program', hang])
  await until('another', () => castor.stderr.split('a new process starts').length === 3, 20_000)
  castor.child.kill('SIGTERM')
  const { steps: more } = await another
  await endOf(more[0]!.pid!)
  await until('the end', () => !castor.alive, 20_000)
  t.equal(castor.child.exitCode, 0)
  t.match(castor.stderr, 'this process is stopping')
})

t.test('without the addon there is no upgrade, and the answer says so', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const config = onePair('http', [target.address])
  const castor = await startChild(t, config, { env: { CASTOR_NATIVE: 'off' } })
  const answer = await ask(castor.adminPort, 'POST', '/api/v1/upgrade', {})
  t.match(answer, { code: 501, text: /needs the native addon/ })
  t.match(await ask(castor.adminPort, 'GET', '/readyz'), { code: 200 })
})
