import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { formatDiff } from '../../../src/config/format-diff.js'
import { loadConfig } from '../../../src/config/load.js'
import { fileSource, runReadTask } from '../../../src/config/source.js'
import type { TargetEdit } from '../../../src/config/write-back.js'
import { Reloader, type ReloaderParts, reasonsOf } from '../../../src/control/reloader.js'
import type { Config } from '../../../src/core/config.js'
import { createLogger } from '../../../src/observe/log.js'
import { until } from '../../integration/support/until.js'
import { SMALL } from '../config/support.js'

interface Rig {
  readonly file: string
  readonly reloader: Reloader
  readonly applied: Config[]
  /** Lines of the log, parsed. */
  readonly log: { level: string; msg: string; reasons?: string[] }[]
}

async function folderOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A reloader over a file, whose changes are applied to a list. In this thread, unless `read` is left to the real one. */
async function rig(
  t: Test,
  { text = SMALL, file, ...more }: Partial<ReloaderParts> & { text?: string; file?: string } = {},
): Promise<Rig> {
  const path = file ?? join(await folderOf(t), 'castor.yaml')
  if (file === undefined) writeFileSync(path, text, { mode: 0o640 })
  const applied: Rig['applied'] = []
  const log: Rig['log'] = []
  const logger = createLogger(
    { level: 'debug', format: 'json', access: 'off', audit: 'off' },
    { write: (line) => log.push(JSON.parse(line)), flushSync() {}, close: async () => true },
    { node: 'n', thread: 'primary' },
  )
  const reloader = new Reloader(loadConfig(path), {
    source: fileSource(path),
    log: logger,
    apply: async (next) => void applied.push(next),
    read: async (source, inForce, edit) => runReadTask({ source, inForce, ...(edit && { edit }) }),
    watchTimes: { settleMs: 5, pollMs: 60_000 },
    ...more,
  })
  t.teardown(() => reloader.stop())
  return { file: path, reloader, applied, log }
}

const longer = SMALL.replace('9001', '9002')

t.test('a changed file is read in a thread of its own, applied, and remembered', async (t) => {
  const { file, reloader, applied, log } = await rig(t, { read: undefined as never })
  t.match(await reloader.reload('api'), { result: 'unchanged', version: 1 })
  writeFileSync(file, longer)
  const outcome = await reloader.reload('signal')
  t.match(outcome, { result: 'applied', version: 2 })
  t.equal(applied.length, 1)
  t.same('changes' in outcome && formatDiff(outcome.changes), [
    '+ target 127.0.0.1:9002 of app, weight 10',
    '- target 127.0.0.1:9001 of app',
  ])
  t.equal(reloader.inForce, applied[0])
  t.match(reloader.state, {
    version: 2,
    file,
    last: { by: 'signal', result: 'applied', reasons: [] },
    counts: { applied: 1, unchanged: 1, refused: 0, failed: 0 },
  })
  t.match(
    log.find(({ msg }) => msg === 'the configuration was reloaded'),
    { level: 'info', version: 2, changes: ['+ target 127.0.0.1:9002 of app, weight 10', /^- target/] },
  )
})

t.test('a bad file changes nothing, and every problem is said with its place', async (t) => {
  const { file, reloader, applied, log } = await rig(t)
  const before = reloader.inForce
  writeFileSync(file, `${SMALL.replace('targetGroup: app', 'targetGroup: ape')}workers: none\n`)
  const outcome = await reloader.reload('signal')
  t.equal(outcome.result, 'invalid')
  t.match(reasonsOf(outcome), [
    /castor\.yaml:5:18: listeners\.0\.targetGroup: no target group/,
    /castor\.yaml:11:10: workers/,
  ])
  t.same(applied, [])
  t.equal(reloader.inForce, before)
  t.match(reloader.state, { version: 1, last: { result: 'invalid' }, counts: { refused: 1 } })
  t.match(log.at(-1), { level: 'error', by: 'signal', reasons: reasonsOf(outcome), msg: /was not reloaded/ })
  await rm(file)
  t.match(await reloader.reload('api'), { result: 'failed', message: /cannot be read: there is no such file/ })
})

t.test('a change that needs a restart is refused as a whole, by its name', async (t) => {
  const { file, reloader, applied } = await rig(t)
  writeFileSync(file, `${longer}workers: 200\nnode: another\n`)
  const outcome = await reloader.reload('api')
  t.match(reasonsOf(outcome), [/^node: .* → another needs a restart$/, /^workers: \d+ → 200 needs a restart$/])
  t.equal(outcome.result, 'restart-required')
  t.same(applied, [], 'and the target that changed too is not applied')
  t.match(await reloader.preview(), { result: 'restart-required' })
})

t.test('what could not be applied leaves the old configuration in force', async (t) => {
  const { file, reloader } = await rig(t, { apply: () => Promise.reject(new Error('the address is in use')) })
  const before = reloader.inForce
  writeFileSync(file, longer)
  t.match(await reloader.reload('api'), { result: 'failed', message: 'the address is in use' })
  t.equal(reloader.inForce, before)
  t.match(reloader.state, { version: 1, counts: { failed: 1 } })
})

t.test('a process that stops reads the file no more, and nothing is applied', async (t) => {
  const { file, reloader, applied } = await rig(t)
  writeFileSync(file, longer)
  reloader.stop()
  t.match(await reloader.reload('signal'), { result: 'failed', message: 'this process is stopping' })
  t.match(await reloader.preview(), { result: 'failed' })
  t.same(applied, [])
})

t.test('a preview says what a reload would do, and does nothing', async (t) => {
  const { file, reloader, applied, log } = await rig(t)
  t.match(await reloader.preview(), { result: 'unchanged' })
  writeFileSync(file, longer)
  t.match(await reloader.preview(), { result: 'changed', version: 1 })
  t.same([applied.length, reloader.state.version, reloader.state.last, log.length], [0, 1, undefined, 0])
})

t.test('reloads are one after the other, and those that wait are one', async (t) => {
  let applying = 0
  let most = 0
  let release: () => void = () => {}
  const { file, reloader, applied } = await rig(t, {
    apply: async (next) => {
      most = Math.max(most, ++applying)
      await new Promise<void>((resolve) => (release = resolve))
      applied.push(next)
      applying--
    },
  })
  writeFileSync(file, longer)
  const first = reloader.reload('api')
  await until('the first being applied', () => applying === 1)
  const others = [reloader.reload('api'), reloader.reload('signal'), reloader.reload('api')]
  writeFileSync(file, SMALL.replace('9001', '9003'))
  release()
  t.match(await first, { result: 'applied', version: 2 })
  await until('the next being applied', () => applying === 1)
  release()
  for (const outcome of await Promise.all(others)) t.match(outcome, { result: 'applied', version: 3 })
  t.equal(most, 1)
  t.equal(applied.length, 2)
  t.equal(reloader.inForce.targetGroups[0]!.targets[0]!.port, 9003, 'the newest file')
})

const watched = `${SMALL}reload: onChange\n`

t.test('with onChange a file is reloaded when it is written, renamed over, or its directory is swapped', async (t) => {
  const folder = await folderOf(t)
  // As Kubernetes mounts a ConfigMap: castor.yaml → ..data/castor.yaml, ..data → ..2026_01.
  for (const [name, text] of [
    ['..2026_01', watched],
    ['..2026_02', watched.replace('9001', '9002')],
  ] as const) {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'castor.yaml'), text)
  }
  const file = join(folder, 'castor.yaml')
  symlinkSync('..2026_01', join(folder, '..data'))
  symlinkSync('..data/castor.yaml', file)
  const { reloader } = await rig(t, { file })
  reloader.start()
  await until('the first look', () => reloader.state.counts.unchanged === 1)
  symlinkSync('..2026_02', join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  await until('the swapped directory', () => reloader.state.version === 2)
  writeFileSync(file, watched.replace('9001', '9003'))
  await until('the written file', () => reloader.inForce.targetGroups[0]!.targets[0]!.port === 9003)
  writeFileSync(join(folder, 'next'), watched.replace('9001', '9004'))
  renameSync(join(folder, 'next'), file)
  await until('the renamed file', () => reloader.inForce.targetGroups[0]!.targets[0]!.port === 9004)
})

t.test('a watched file that is wrong says so once, and is reloaded when it is right again', async (t) => {
  const { file, reloader, log } = await rig(t, { text: watched })
  reloader.start()
  await until('the first look', () => reloader.state.counts.unchanged === 1)
  for (let count = 1; count <= 2; count++) {
    writeFileSync(file, `${watched}nonsense: ${count === 1 ? 'yes' : 'no '}\n`)
    await until('its being read', () => reloader.state.counts.refused === count)
  }
  t.equal(log.filter(({ level }) => level === 'error').length, 1)
  writeFileSync(file, watched)
  await until('the file as it was', () => reloader.state.counts.unchanged === 2)
  t.match(log.at(-1), { level: 'info', msg: 'the configuration file says the same as before' })
  writeFileSync(file, `${longer}reload: onChange\n`)
  await until('the right file', () => reloader.state.version === 2)
  writeFileSync(file, longer)
  await until('the end of watching', () => reloader.state.version === 3)
  writeFileSync(file, SMALL)
  t.match(await reloader.reload('api'), { result: 'applied', version: 4 }, 'nobody else has read it')
})

const weight = (to: number): TargetEdit => ({ type: 'weight', group: 'app', id: '127.0.0.1:9001', weight: to })
const yes = async (): Promise<true> => true

t.test('a change is written to the file with its mode, through links, and is then in force', async (t) => {
  const folder = await folderOf(t)
  mkdirSync(join(folder, 'real'))
  const real = join(folder, 'real', 'castor.yaml')
  writeFileSync(real, `# Mine.\n${SMALL}`)
  chmodSync(real, 0o604)
  symlinkSync(real, join(folder, 'castor.yaml'))
  const { reloader, applied } = await rig(t, { file: join(folder, 'castor.yaml') })
  t.same(await reloader.persist(weight(3), yes), { result: 'done', value: true })
  t.equal(readFileSync(real, 'utf8'), `# Mine.\n${SMALL}        weight: 3\n`)
  t.equal(statSync(real).mode & 0o777, 0o604)
  t.same(readdirSync(join(folder, 'real')), ['castor.yaml'], 'nothing is left behind')
  t.equal(reloader.state.version, 2)
  t.match(await reloader.reload('api'), { result: 'unchanged' })
  t.equal(applied.length, 1, 'the threads have it too')
})

t.test('two changes at once are both written', async (t) => {
  const { file, reloader } = await rig(t)
  const add = { id: 'b', host: '127.0.0.1', port: 9002, weight: 10 }
  const outcomes = await Promise.all([
    reloader.persist(weight(3), yes),
    reloader.persist({ type: 'add', group: 'app', target: add }, yes),
    reloader.persist(weight(4), yes),
  ])
  for (const outcome of outcomes) t.match(outcome, { result: 'done' })
  t.equal(readFileSync(file, 'utf8'), `${SMALL}        weight: 4\n      - address: 127.0.0.1:9002\n        id: b\n`)
})

t.test('a change that the process does not take is not written', async (t) => {
  const { file, reloader } = await rig(t)
  t.same(await reloader.persist(weight(3), async () => undefined), { result: 'done', value: undefined })
  await t.rejects(
    reloader.persist(weight(3), () => Promise.reject(new Error('no'))),
    { message: 'no' },
  )
  t.equal(readFileSync(file, 'utf8'), SMALL)
  t.same(readdirSync(join(file, '..')), ['castor.yaml'])
})

t.test('a change that cannot be written is refused before anything changes', async (t) => {
  const unasked = async (): Promise<true> => {
    t.fail('the process was changed')
    return true
  }
  const { file, reloader } = await rig(t)
  writeFileSync(file, longer)
  t.match(await reloader.persist(weight(3), unasked), {
    result: 'refused',
    message: /^nothing was changed: .*castor\.yaml: the file has changes that are not in force/,
  })
  t.equal(readFileSync(file, 'utf8'), longer)
  writeFileSync(file, SMALL)
  chmodSync(file, 0o440)
  t.match(await reloader.persist(weight(3), unasked), {
    result: 'refused',
    message: /cannot be written: it is read-only/,
  })

  const folder = await folderOf(t)
  mkdirSync(join(folder, '..2026_01_01_x'))
  writeFileSync(join(folder, '..2026_01_01_x', 'castor.yaml'), SMALL)
  symlinkSync('..2026_01_01_x', join(folder, '..data'))
  symlinkSync('..data/castor.yaml', join(folder, 'castor.yaml'))
  const mounted = await rig(t, { file: join(folder, 'castor.yaml') })
  t.match(await mounted.reloader.persist(weight(3), unasked), { result: 'refused', message: /ConfigMap/ })

  const demo = await rig(t)
  const own = await rig(t, { file: demo.file, source: fileSource(demo.file, { isWritable: false }) })
  t.match(await own.reloader.persist(weight(3), unasked), { result: 'refused', message: /part of the program/ })
  t.equal(readFileSync(demo.file, 'utf8'), SMALL)

  const fileless = await rig(t, { source: undefined })
  t.match(await fileless.reloader.persist(weight(3), unasked), { result: 'refused', message: /without a file/ })
  t.match(await fileless.reloader.reload('api'), { result: 'failed', message: /without a file/ })
})

t.test('a file that somebody changes in the same moment is not overwritten', async (t) => {
  const { file, reloader } = await rig(t)
  const outcome = await reloader.persist(weight(3), async () => {
    writeFileSync(file, longer)
    return true
  })
  t.match(outcome, { result: 'not-written', message: /holds until the next start.*somebody else has just changed it/ })
  t.equal(readFileSync(file, 'utf8'), longer)
  t.same(readdirSync(join(file, '..')), ['castor.yaml'])
})
