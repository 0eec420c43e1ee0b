import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stateDirectory } from '../../../src/config/state-directory.js'
import { cookieSecret, keptSecret } from '../../../src/control/state-dir.js'
import { createLogger } from '../../../src/observe/log.js'
import { parse } from '../config/support.js'

const COOKIE_GROUP = `
listeners: [{ name: web, protocol: http, listen: 127.0.0.1:0, targetGroup: app }]
targetGroups:
  - { name: app, protocol: http, targets: [{ address: 127.0.0.1:1 }], stickiness: { type: cookie } }
`

function rig(t: { teardown(handler: () => void): unknown }) {
  const folder = mkdtempSync(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line), flushSync() {}, close: async () => true }
  const log = createLogger({ level: 'info', format: 'json', access: 'off', audit: 'off' }, destination, {
    node: 'test',
    thread: 'primary',
  })
  const secretOf = (stateDir: string, more = ''): string =>
    cookieSecret(parse(`stateDir: ${stateDir}\n${more}${COOKIE_GROUP}`), log)
  return { folder, lines, log, secretOf }
}

t.test('the state directory is systemd’s, else the user’s', async (t) => {
  t.equal(stateDirectory({ STATE_DIRECTORY: '/var/lib/castor:/var/lib/more' }, '/root'), '/var/lib/castor')
  t.equal(stateDirectory({ XDG_STATE_HOME: '/x' }, '/root'), '/x/castor')
  t.equal(stateDirectory({ XDG_STATE_HOME: 'relative' }, '/root'), '/root/.local/state/castor', 'as XDG says')
  t.equal(stateDirectory({}, '/root'), '/root/.local/state/castor')
  t.equal(stateDirectory({}, ''), '')
})

t.test('a secret is made once, at random, and only its owner can read it', async (t) => {
  const { folder, lines, secretOf } = rig(t)
  const [a, b] = [join(folder, 'deep', 'a'), join(folder, 'b')]
  const secret = secretOf(a)
  t.match(secret, /^[0-9a-f]{64}$/)
  t.equal(secretOf(a), secret, 'the next process has the same')
  t.not(secretOf(b), secret, 'another host has another')
  t.equal(statSync(a).mode & 0o777, 0o700)
  t.equal(statSync(join(a, 'secret')).mode & 0o777, 0o600)
  t.same(readdirSync(a), ['secret'], 'nothing else is left there')
  t.same(lines, [])
})

t.test('processes that start at the same time agree on one secret', async (t) => {
  const { folder, log } = rig(t)
  const made = 'a'.repeat(64)
  const file = join(folder, 'secret')
  t.equal(keptSecret(folder, made, log), made)
  t.equal(keptSecret(folder, 'b'.repeat(64), log), made, 'whoever is later takes the one that is there')
  t.equal(readFileSync(file, 'utf8'), `${made}\n`)
})

t.test('a secret that is configured, or the cluster’s, is kept nowhere', async (t) => {
  const { folder, secretOf } = rig(t)
  const dir = join(folder, 'a')
  t.equal(secretOf(dir, 'secret: 0123456789abcdef\n'), '0123456789abcdef')
  const cluster = 'cluster: { name: shop, redis: "redis://127.0.0.1:1", secret: fedcba9876543210 }\n'
  t.equal(secretOf(dir, cluster), 'fedcba9876543210')
  t.throws(() => statSync(dir))
  t.throws(() => parse(`secret: 0123456789abcdef\n${cluster}${COOKIE_GROUP}`), /secret has no effect in a cluster/)
  t.throws(() => parse(`secret: short\n${COOKIE_GROUP}`), /16 characters/)
})

t.test('where it cannot be kept the log says so, and the process has a random one', async (t) => {
  const { folder, lines, secretOf } = rig(t)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const first = secretOf(file)
  t.match(first, /^[0-9a-f]{64}$/)
  t.not(secretOf(file), first)
  t.equal(lines.filter((line) => line.includes('cannot be kept')).length, 2)
})

t.test('what lies in the secret’s place and is none is not overwritten', async (t) => {
  for (const [what, make] of [
    ['an empty file', (path: string) => writeFileSync(path, '')],
    ['a directory', (path: string) => mkdirSync(path)],
    ['a symbolic link', (path: string) => symlinkSync('/dev/null', path)],
  ] as const) {
    const { folder, lines, secretOf } = rig(t)
    make(join(folder, 'secret'))
    t.match(secretOf(folder), /^[0-9a-f]{64}$/, what)
    t.match(lines.join(''), /remove it/, what)
  }
})

t.test(
  'a secret that another user has put there is not taken',
  { skip: process.getuid?.() !== 0 && 'only root can give files away' },
  async (t) => {
    const { folder, lines, secretOf } = rig(t)
    const known = secretOf(folder)
    chownSync(join(folder, 'secret'), 12_345, 12_345)
    t.not(secretOf(folder), known)
    t.match(lines.join(''), /belongs to another user \(uid 12345\)/)
  },
)

t.test('a secret that others could read is closed to them, and said', async (t) => {
  const { folder, lines, secretOf } = rig(t)
  const secret = secretOf(folder)
  chmodSync(join(folder, 'secret'), 0o644)
  t.equal(secretOf(folder), secret)
  t.equal(statSync(join(folder, 'secret')).mode & 0o777, 0o600)
  t.match(lines.join(''), /could be read by others/)
})
