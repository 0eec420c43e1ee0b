import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import t, { type Test } from 'tap'
import { startAdmin } from '../../../src/admin/server.js'
import { addReload, type Output } from '../../../src/cli/reload.js'
import { diffConfigs } from '../../../src/config/diff.js'
import { parseConfig } from '../../../src/config/load.js'
import { FakeFacts } from '../admin/fake-facts.js'
import { castor, closedPort, type Outcome, SMALL_CONFIG } from './castor.js'

async function start(t: Test): Promise<{ facts: FakeFacts; run(...args: string[]): Promise<Outcome>; admin: string }> {
  const facts = new FakeFacts()
  const { port, close } = await startAdmin({ config: facts.config.admin, facts })
  t.teardown(close)
  const admin = `127.0.0.1:${port}`
  return { facts, run: (...args) => here([...args, '--admin', admin]), admin }
}

/** The commands in this process: a process of its own for each would take most of the time. */
async function here(args: readonly string[]): Promise<Outcome> {
  const said = { stdout: '', stderr: '' }
  const output: Output = {
    stdout: { write: (text) => (said.stdout += text) },
    stderr: { write: (text) => (said.stderr += text) },
  }
  const program = new Command()
  addReload(program, output)
  await program.parseAsync(args, { from: 'user' })
  return { code: output.exitCode as number, ...said }
}

const PROBLEM = { source: 'castor.yaml', line: 7, column: 3, path: 'speed', message: 'unknown key' }

t.test('castor reload says what came of it, and its exit code does', async (t) => {
  const { facts, run } = await start(t)
  const file = facts.reloading.state.file
  t.same(await run('reload'), { code: 0, stdout: `${file} says what is in force, version 1\n`, stderr: '' })
  const changes = diffConfigs(facts.config, { ...facts.config, workers: 9, drainDelayMs: 1000 })
  facts.reloading.outcome = { result: 'applied', version: 2, changes: { ...changes, restart: [] }, warnings: [PROBLEM] }
  t.same(await run('reload'), {
    code: 0,
    stdout: '~ drainDelay: 0ms → 1s\nreloaded: version 2 of the configuration is in force\n',
    stderr: 'warning: castor.yaml:7:3: speed: unknown key\n',
  })
  facts.reloading.outcome = { result: 'invalid', problems: [PROBLEM] }
  t.same(await run('reload'), {
    code: 2,
    stdout: '',
    stderr: 'castor.yaml:7:3: speed: unknown key\nthe file has a problem; nothing was changed\n',
  })
  facts.reloading.outcome = { result: 'restart-required', changes }
  t.same(await run('reload'), {
    code: 1,
    stdout: '',
    stderr:
      '! workers: 2 → 9 (needs a restart)\n~ drainDelay: 0ms → 1s\nworkers can only change with a restart; nothing was changed\n',
  })
  facts.reloading.outcome = { result: 'failed', message: 'the address is in use' }
  t.same(await run('reload'), { code: 1, stdout: '', stderr: 'the address is in use\n' })
  t.notOk(facts.reloading.asked.includes('preview'))
})

t.test('castor reload --dry-run and castor diff change nothing, and diff exits as diff does', async (t) => {
  const { facts, run } = await start(t)
  t.equal((await run('diff')).code, 0)
  const changes = diffConfigs(facts.config, { ...facts.config, drainDelayMs: 1000 })
  facts.reloading.outcome = { result: 'changed', version: 1, changes, warnings: [] }
  t.same(await run('diff'), { code: 1, stdout: '~ drainDelay: 0ms → 1s\n', stderr: '' })
  t.same(await run('reload', '--dry-run'), { code: 0, stdout: '~ drainDelay: 0ms → 1s\n', stderr: '' })
  t.match(JSON.parse((await run('diff', '--json')).stdout), { result: 'changed', lines: ['~ drainDelay: 0ms → 1s'] })
  const restart = diffConfigs(facts.config, { ...facts.config, workers: 9 })
  facts.reloading.outcome = { result: 'restart-required', changes: restart }
  const needsRestart = await run('diff')
  t.equal(needsRestart.code, 1)
  t.match(needsRestart.stderr, /^! workers: 2 → 9 \(needs a restart\)\n.*a reload would change nothing\n$/)
  facts.reloading.outcome = { result: 'invalid', problems: [PROBLEM] }
  t.equal((await run('diff')).code, 2)
  t.same([...new Set(facts.reloading.asked)], ['preview'])
})

t.test('castor diff -c compares another file than the process runs by, without its secrets', async (t) => {
  const { facts, run } = await start(t)
  const folder = t.testdir({ 'castor.yaml': SMALL_CONFIG })
  const file = join(folder, 'castor.yaml')
  facts.reloading.inForce = parseConfig(`${SMALL_CONFIG}secret: secret-of-the-cookies\n`, file)
  writeFileSync(file, `${SMALL_CONFIG}secret: another-secret-of-mine\n`, { mode: 0o600 })
  t.same(await run('diff', '-c', file), { code: 0, stdout: `${file} says what is in force\n`, stderr: '' })
  writeFileSync(file, `${SMALL_CONFIG.replace('9001', '9002')}secret: another-secret-of-mine\n`)
  const { code, stdout } = await run('diff', '-c', file)
  t.equal(code, 1)
  t.equal(stdout, '+ target 127.0.0.1:9002 of app, weight 10\n- target 127.0.0.1:9001 of app\n')
  t.same(facts.reloading.asked, [], 'the process was only asked for what is in force')
  facts.reloading.state = { ...facts.reloading.state, file }
  t.equal((await run('diff', '-c', file)).code, 0)
  t.same(facts.reloading.asked, ['preview'], 'its own file the process compares itself')
  writeFileSync(file, 'listeners: 1\n')
  await t.rejects(run('diff', '-c', file), { code: 'CONFIG_INVALID', message: /castor\.yaml:1:/ }, 'which exits 2')
})

t.test('without a process that answers castor diff exits 3 and castor reload 1', async (t) => {
  const admin = await closedPort()
  t.match(await castor(['diff', '--admin', admin]), { code: 3, stderr: /does not answer/ })
  t.match(await castor(['reload', '--admin', admin]), { code: 1, stderr: /does not answer/ })
})

t.test('castor status shows the configuration, and a reload that was refused until one succeeds', async (t) => {
  const { facts, admin } = await start(t)
  const run = (...args: string[]) => castor([...args, '--admin', admin])
  t.match(
    (await run('status')).stdout,
    /\nconfiguration 1 from \/etc\/castor\/castor\.yaml {2}loaded 2023-11-14T22:13:20\.000Z\n/,
  )
  const last = {
    atMs: 1_700_000_100_000,
    by: 'watch',
    result: 'invalid',
    reasons: ['a.yaml:1:2: x: wrong', 'more'],
  } as const
  facts.reloading.state = { ...facts.reloading.state, last }
  t.match(
    (await run('status')).stdout,
    /\n! the reload of 2023-11-14T22:15:00\.000Z was refused: a\.yaml:1:2: x: wrong \(and 1 more\)\n/,
  )
  t.match(JSON.parse((await run('status', '--json')).stdout).configuration, {
    version: 1,
    lastReload: { by: 'watch', result: 'invalid', reasons: ['a.yaml:1:2: x: wrong', 'more'] },
  })
})
