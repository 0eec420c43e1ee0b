import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { onePair } from './support/balancer.js'
import { type ChildCastor, configFile, MAIN, startChild } from './support/child-castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

async function start(t: Test, log: object = { access: 'off' }, nodeOptions: string[] = []): Promise<ChildCastor> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  return startChild(t, { ...onePair('http', [target.address]), log }, { nodeOptions })
}

const refused = (port: number): Promise<boolean> =>
  RawClient.connect(port).then(
    () => false,
    () => true,
  )

t.test('SIGUSR1 and SIGUSR2 open the access log anew, and no inspector', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const access = join(folder, 'access.log')
  const castor = await start(t, { access })
  const lines = (file: string): number => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0)
  let rotated = 0
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    t.equal((await request(castor.port(), get('/'))).status, 200)
    await until('its record', () => lines(access) === 1)
    renameSync(access, join(folder, `access.${++rotated}`))
    castor.child.kill(signal)
    await until('a new file', () => existsSync(access))
    t.equal(lines(join(folder, `access.${rotated}`)), 1)
  }
  t.equal((await request(castor.port(), get('/'))).status, 200)
  await until('its record', () => lines(access) === 1)
  t.notMatch(castor.stderr, /Debugger listening/)
  t.equal(castor.stderr.split('the logs were opened anew').length, 3)
})

t.test('an access log that cannot be opened anew goes on in the old file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const castor = await start(t, { access: join(folder, 'logs', 'access.log') })
  renameSync(join(folder, 'logs'), join(folder, 'old'))
  // A file where the folder was.
  renameSync(join(folder, 'old', 'access.log'), join(folder, 'logs'))
  castor.child.kill('SIGUSR1')
  await until('the reason', () => castor.stderr.includes('the access log could not be opened anew'))
  t.equal((await request(castor.port(), get('/'))).status, 200)
  await until('its record', () => readFileSync(join(folder, 'logs'), 'utf8').includes('"uri":"/"'))
})

t.test('SIGQUIT drains; SIGALRM does nothing', async (t) => {
  const castor = await start(t)
  const idle = await RawClient.connect(castor.port())
  castor.child.kill('SIGALRM')
  t.equal((await idle.exchange(get('/'))).status, 200)
  castor.child.kill('SIGQUIT')
  t.equal(await idle.ending(), 'end')
  t.equal(await castor.ended(), 0)
  t.match(castor.stderr, /"draining"/)
})

t.test('an inspector that a signal opened before signals were watched for is closed', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const early = join(folder, 'early.cjs')
  // As Node does it for SIGUSR1, though not on its one port for all.
  writeFileSync(early, `if (require('worker_threads').isMainThread) require('inspector').open(0, '127.0.0.1')\n`)
  for (const flags of [[], ['--inspect-port=127.0.0.1:0']]) {
    const castor = await start(t, { access: 'off' }, ['--require', early, ...flags])
    const port = Number(/Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)/.exec(castor.stderr)?.[1])
    t.ok(port > 0, castor.stderr)
    // Its own thread closes the port, a moment later.
    await until(`nobody listening there ${flags}`, () => refused(port))
    t.notMatch(castor.stderr, /the watchdog is off/)
  }
})

t.test('with the inspector open by a flag the watchdog is off', async (t) => {
  const castor = await start(t, { access: 'off' }, ['--inspect=127.0.0.1:0'])
  await until('the note', () => castor.stderr.includes('the watchdog is off'))
})

// npm ends by SIGHUP without a word to the shell; SIGTERM it passes on, and the shell ends by it.
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
  t.test(`npx that ends by ${signal} stops it as well`, async (t) => {
    const target = await RawTarget.start()
    t.teardown(() => target.stop())
    const file = await configFile(t, onePair('http', [target.address]))
    // As npm installs a package's command.
    const folder = dirname(file)
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
    const script = `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`
    writeFileSync(join(folder, 'node_modules/.bin/castor'), script, { mode: 0o755 })
    writeFileSync(join(folder, 'package.json'), '{ "name": "shop" }')
    const child = spawn('npx', ['--no', 'castor', 'start', '-c', file], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, npm_config_update_notifier: 'false' },
    })
    t.teardown(() => child.kill('SIGKILL'))
    let said = ''
    child.stdout!.on('data', (data) => (said += String(data)))
    const port = await until('it being ready', () => /^listening on \S+:(\d+) /m.exec(said)?.[1], 30_000)
    child.kill(signal)
    await until('it being gone', () => refused(Number(port)))
  })
}
