import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { nativeAddon } from '../../src/native/addon.js'
import { MAIN } from './support/child-castor.js'
import { numbered } from './support/mesh-pair.js'
import { ask as askTls, handshake } from './support/tls.js'
import { until } from './support/until.js'
import { adminSocket, askUnix, endOf, UpgradeTraffic, upgrade } from './support/upgrade.js'
import { startWithState } from './support/upgrade-state.js'

if (nativeAddon() === undefined) {
  t.pass('the addon is not built', { skip: true })
  process.exit(0)
}

const ROOT = dirname(dirname(dirname(MAIN)))
const OTHER_VERSION = '99.0.0'

/** What lies elsewhere in the other version's shared memory: by file, what is written there and what instead. */
const OTHERWISE: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'layout.js': [
    ['export const WORKER_WORDS = padded(14)', 'export const WORKER_WORDS = padded(40)'],
    ['export const REASON_CAPACITY = 60', 'export const REASON_CAPACITY = 79'],
    ['export const TICKET_STRIDE = 32', 'export const TICKET_STRIDE = 64'],
    ['export const SERIES_CODES = 0', 'export const SERIES_CODES = 32'],
  ],
  'targets-layout.js': [
    ['export const TARGETS_LAYOUT_VERSION = 2', 'export const TARGETS_LAYOUT_VERSION = 3'],
    ['export const ENTRY_WORDS = 32', 'export const ENTRY_WORDS = 64'],
  ],
  'sessions-layout.js': [
    ['export const SESSIONS_LAYOUT_VERSION = 3', 'export const SESSIONS_LAYOUT_VERSION = 4'],
    ['export const ENTRY_WORDS = 16', 'export const ENTRY_WORDS = 32'],
  ],
}

/** An installation of another version. Its files are single ones, since the bundles have the numbers folded in. */
function otherVersion(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-other-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const wanted = (file: string): boolean => !/\.map$|\.d\.ts$|\/bundled$|\/bundle\.js$/.test(file)
  for (const part of ['src', 'workers', 'native', 'dashboard'])
    cpSync(join(ROOT, 'dist', part), join(folder, 'dist', part), { recursive: true, filter: wanted })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version: OTHER_VERSION }))
  for (const [name, changes] of Object.entries(OTHERWISE)) {
    const file = join(folder, 'dist/src/shm', name)
    let text = readFileSync(file, 'utf8')
    for (const [before, after] of changes) {
      t.equal(text.split(`${before};`).length, 2, `${name} has ${before}`)
      text = text.replace(`${before};`, `${after};`)
    }
    writeFileSync(file, text)
  }
  return folder
}

interface Shown {
  readonly version: string
  readonly sessions: { readonly live: number }
  readonly targetGroups: readonly { readonly targets: readonly object[] }[]
}

t.test('an upgrade to a version whose shared memory is laid out otherwise, and back, loses nothing', async (t) => {
  const other = otherVersion(t)
  const [one, two, three] = (await numbered(t, 3)).map(({ address }) => address) as [string, string, string]
  const admin = adminSocket(t)
  const { castor, stuckTo, session } = await startWithState(t, admin, [one, two, three], [one, two, three])
  const shown = async (): Promise<Shown> => (await askUnix(admin, 'GET', '/api/v1/status')).json as Shown
  const { version } = await shown()

  const traffic = new UpgradeTraffic(t, castor.port())
  let pid = castor.pid
  for (const [program, expected] of [
    [other, OTHER_VERSION],
    [ROOT, version],
  ] as const) {
    const before = { ...traffic }
    const result = await upgrade(t, `unix:${admin}`, ['--program', program])
    t.equal(result.code, 0, result.stderr)
    t.not(result.pid, pid)
    pid = result.pid
    await until(
      'traffic through the new process',
      () => traffic.kept > before.kept + 20 && traffic.fresh > before.fresh + 10,
    )
    const now = await shown()
    t.equal(now.version, expected)
    t.match(now.targetGroups[0]!.targets, [
      { id: one, state: 'draining' },
      { id: two, weight: 40, state: 'active' },
      { id: three, weight: 30, state: 'active' },
    ])
    t.equal(now.sessions.live, 1)
    t.equal((await askTls(castor.port('secure'))).text, stuckTo)
    const again = await handshake(castor.port('secure'), { maxVersion: 'TLSv1.2', session })
    t.ok(again.isSessionReused(), 'a ticket of the first process')
    again.destroy()
  }
  await traffic.stop()
  t.same(traffic.failed, [])
  process.kill(pid, 'SIGTERM')
  await endOf(pid)
})
