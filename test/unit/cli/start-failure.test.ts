import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { toolOrSkip } from '../../tools.js'
import { castor, SMALL_CONFIG, serve } from './castor.js'

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url))
const NATIVE = [
  ['with the addon', {}],
  ['without it', { CASTOR_NATIVE: 'off' }],
] as const

const folder = mkdtempSync(join(tmpdir(), 'castor-start-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'castor.yaml')
writeFileSync(file, `admin: { listen: 127.0.0.1:0 }\nworkers: 1\n${SMALL_CONFIG}`)
const start = (...sets: string[]): string[] => ['start', '-c', file, ...sets.flatMap((set) => ['--set', set])]

/** Runs the command that was printed, and stops it once it is ready: what a person would paste must work. */
function paste(command: string, env: NodeJS.ProcessEnv = {}): string {
  const script = `${command} > "$0" 2>&1 & p=$!
    for i in $(seq 300); do grep -q '^admin and dashboard' "$0" && break; kill -0 $p 2>/dev/null || break; sleep 0.05; done
    kill $p; wait $p; echo "code $?" >> "$0"; cat "$0"`
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const
  return spawnSync('bash', ['-c', script, join(folder, 'out')], options).stdout
}

const commandIn = (stderr: string, label: string): string =>
  new RegExp(`^ {2}${label} +(.+)$`, 'm').exec(stderr)?.[1]?.replace('node ', `${process.execPath} `) ?? ''

for (const [how, env] of NATIVE) {
  t.test(`a busy port names listener, line, process, and a command that works, ${how}`, async (t) => {
    const { server, address } = await serve(() => {})
    t.teardown(() => server.close())
    const { code, stdout, stderr } = await castor(start(`listeners.0.listen=${address}`), { env })
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, `castor did not start: listener web cannot listen on ${address}: the port is in use (EADDRINUSE)\n`)
    t.match(stderr, `  configured at   --set listeners.0.listen=${address}: listeners.0.listen\n`)
    t.match(stderr, new RegExp(`^ {2}in use by +process ${process.pid}: .*start-failure`, 'm'))
    t.notMatch(stderr, /\n {4}at |"msg":"stopped"/, 'no stack, no log of what never ran')
    const again = commandIn(stderr, 'another port')
    t.match(again, new RegExp(`main\\.js start -c ${file} --set listeners\\.0\\.listen=127\\.0\\.0\\.1:\\d+$`))
    t.match(paste(again, env), /^listening on http:[\s\S]*^code 0$/m)
  })
}

t.test('a busy admin port does the same, and one command moves every port that is busy', async (t) => {
  const [web, admin] = [await serve(() => {}), await serve(() => {})]
  t.teardown(() => [web, admin].map(({ server }) => server.close()))
  const busy = join(folder, 'busy.yaml')
  writeFileSync(busy, `admin: { listen: "${admin.address}" }\n${SMALL_CONFIG}`)
  const args = ['start', '-c', busy, '--set', 'workers=1', '--set']
  const moved = await castor([...args, 'listeners.0.listen=127.0.0.1:0'])
  t.equal(moved.code, 1)
  t.match(moved.stderr, `castor did not start: admin: cannot listen on ${admin.address}: the port is in use`)
  t.match(moved.stderr, `  configured at   ${busy}:1:18: admin.listen\n`)
  const both = await castor([...args, `listeners.0.listen=${web.address}`])
  const again = commandIn(both.stderr, 'another port')
  t.match(again, / --set listeners\.0\.listen=\S+ --set admin\.listen=\S+$/)
  t.match(paste(again), /^listening on http:[\s\S]*^code 0$/m)
})

t.test('an address of another host names what this host has, and a command that works', async (t) => {
  const { code, stderr } = await castor(start('listeners.0.listen=192.0.2.250:0'))
  t.equal(code, 1)
  t.match(stderr, 'listener web cannot listen on 192.0.2.250:0: this host does not have that address (EADDRNOTAVAIL)\n')
  t.match(stderr, /^ {2}this host has +.*127\.0\.0\.1/m)
})

t.test('a privileged port says what would allow it, and another port', async (t) => {
  const setpriv = toolOrSkip(t, 'setpriv')
  if (setpriv === undefined || process.getuid?.() !== 0) return
  const nobody = ['--reuid=65534', '--clear-groups', '--bounding-set=-all', '--inh-caps=-all']
  // A checkout that only root can read is none that nobody can start.
  if (spawnSync(setpriv, [...nobody, 'test', '-r', MAIN]).status !== 0) return
  const sets = ['--set', 'listeners.0.listen=127.0.0.1:80', '--set', 'admin.listen=127.0.0.1:0']
  const command = [...nobody, process.execPath, MAIN, 'start', '--demo', ...sets]
  const { status, stderr } = spawnSync(setpriv, command, { encoding: 'utf8' })
  t.equal(status, 1)
  t.match(stderr, 'listener web cannot listen on 127.0.0.1:80: this user may not (EACCES)\n')
  t.match(stderr, /^ {2}allow it +CAP_NET_BIND_SERVICE/m)
  t.match(stderr, /^ {2}another port +.* --set listeners\.0\.listen=127\.0\.0\.1:80\d\d$/m)
})

t.test('too few descriptors are one line that says what to raise', async (t) => {
  for (const limit of [40, 100, 110]) {
    const command = `ulimit -n ${limit}; exec "$0" "$@"`
    const { status, stderr } = spawnSync('sh', ['-c', command, process.execPath, MAIN, ...start()], {
      encoding: 'utf8',
    })
    t.equal(status, 1, `${limit}`)
    t.match(stderr, /^castor (cannot run|did not start): the open-file limit .*ulimit -n 1024/s, `${limit}`)
    t.notMatch(stderr, /\n {4}at |node:internal/, `${limit}`)
  }
})

const WRONG: readonly [name: string, args: string[], code: number, says: RegExp][] = [
  [
    'a missing file',
    ['start', '-c', '/nowhere/castor.yaml'],
    2,
    /^castor did not start: \/nowhere\/castor\.yaml: .*no such file$/m,
  ],
  [
    'a certificate that is not there',
    start('listeners.0.protocol=https', 'listeners.0.tls={certificates: [{cert: no.pem, key: no.key}]}'),
    2,
    /certificates\.0\.cert: .*no\.pem.*\ncastor did not start/s,
  ],
  [
    'a secret that is not set',
    start(`cluster={name: c, redis: "redis://127.0.0.1", secret: \${CASTOR_SECRET}}`),
    2,
    /CASTOR_SECRET is not set; .*--env-file[\s\S]*castor did not start: 1 problem in/,
  ],
  [
    'an access log that cannot be written',
    start('listeners.0.listen=127.0.0.1:0', 'log.access=/proc/x'),
    2,
    /^castor did not start: log\.access: \/proc\/x cannot be opened.*\n {2}configured at +--set log\.access/m,
  ],
  [
    'an admin socket in a folder that is not there',
    start('listeners.0.listen=127.0.0.1:0', 'admin.listen=unix:/nowhere/a.sock'),
    1,
    /^castor did not start: admin: cannot listen on unix:\/nowhere\/a\.sock: the directory \/nowhere does not exist\n {2}configured at/m,
  ],
]

t.test('whatever keeps it from starting is one block without a stack', async (t) => {
  await Promise.all(
    WRONG.map(async ([name, args, code, says]) => {
      const found = await castor(args)
      t.equal(found.code, code, name)
      t.equal(found.stdout, '', name)
      t.match(found.stderr, says, name)
      t.notMatch(found.stderr, /\n {4}at |"level":/, name)
    }),
  )
})

t.test('on a terminal nothing of the log stands around the reason', async (t) => {
  const script = toolOrSkip(t, 'script')
  if (script === undefined) return
  const server: Server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const command = [process.execPath, MAIN, ...start(`listeners.0.listen=127.0.0.1:${port}`)].join(' ')
  const env = { ...process.env, CASTOR_NATIVE: 'off' }
  const { stdout } = spawnSync(script, ['-qec', command, '/dev/null'], { encoding: 'utf8', env })
  t.match(stdout, /^warning: the native addon is not there.*\r\ncastor did not start: listener web/)
  t.notMatch(stdout, /\{"level"/)
})
