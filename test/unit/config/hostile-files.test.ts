import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mask } from '../../../src/config/interpolate.js'
import { loadConfig } from '../../../src/config/load.js'
import { ConfigError } from '../../../src/config/problems.js'
import { readFileOrPipe } from '../../../src/config/read-file.js'
import { CastorError } from '../../../src/core/errors.js'
import { Authority } from '../../certificates.js'
import { MACHINE, problemsOf, SMALL } from './support.js'

/** Processor time, so that what else runs on the machine hardly counts. */
function processorMs(run: () => void): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}

/** What is as large as a file may be, and nothing else, takes about a second; longer where threads share a core. */
const LARGE = `${SMALL}${Array.from({ length: 20_000 }, (_, i) => `      - { address: "10.0.${i >> 8}.${i & 255}:80", weight: 2 }\n`).join('')}`
const BOUND_MS =
  2 *
  Math.max(
    1_000,
    processorMs(() => problemsOf(LARGE)),
  )

const MERGE_LISTS = `a0: &a0 [{ x: 1 }]\n${Array.from({ length: 26 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]\n`).join('')}b: { <<: *a26 }\n`
const ALIAS_LISTS = `a0: &a0 [1, 2]\n${Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]\n`).join('')}`
const ALIAS_CHAIN = `a0: &a0 [1]\n${Array.from({ length: 3_000 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}]\n`).join('')}`
const MERGE_MAPS = `a0: &a0 { x: 1 }\n${Array.from({ length: 60 }, (_, i) => `a${i + 1}: &a${i + 1} { <<: [*a${i}, *a${i}], y${i}: 1 }\n`).join('')}`

const UNKNOWN_GROUPS = `listeners:\n${Array.from({ length: 1_000 }, (_, i) => `  - { targetGroup: ${'h'.repeat(50)}${i} }\n`).join('')}targetGroups:\n${Array.from({ length: 1_000 }, (_, i) => `  - { name: ${'g'.repeat(50)}${i} }\n`).join('')}`
const NEARLY_RIGHT = `listeners: [{ targetGroup: ${'h'.repeat(100_000)} }]\ntargetGroups: [{ name: ${'g'.repeat(100_000)} }]\n`

const HOSTILE: readonly (readonly [string, string, RegExp])[] = [
  ['a merge key that names its own map', 'a: &a { <<: *a }\n', /1:13: a: an alias repeats the value/],
  ['a merge key that names a list that holds itself', 'a: &a [*a]\nb: { <<: *a }\n', /an alias repeats the value/],
  ['a merge key within the list that it names', 'a: &a [{ <<: *a }, *a]\n', /1:14: a\.0: an alias repeats the value/],
  ['a merge list within a merge list', 'b: { <<: [[{ x: 1 }]] }\n', /1:11: b: "<<" takes over the keys of another map/],
  ['a merge list that names a list', 'a: &a [{ x: 1 }]\nb: { <<: [*a] }\n', /2:11: b: "<<" takes over the keys/],
  ['two merge keys that name each other', 'a: &a { b: &b { <<: *a }, <<: *b }\n', /an alias repeats the value/],
  ['merge lists that multiply', MERGE_LISTS, /the file holds more than 100000 values/],
  ['merges that multiply', MERGE_MAPS, /the file holds more than 100000 values/],
  ['aliases that multiply', ALIAS_LISTS, /the file holds more than 100000 values/],
  ['a chain of aliases', ALIAS_CHAIN, /stand within each other more than 32 deep/],
  [
    'many aliases of many anchors',
    Array.from({ length: 8_000 }, (_, i) => `k${i}: &a ${i}\nl${i}: *a\n`).join(''),
    /unknown key "k0"/,
  ],
  ['100,000 "${" on a line', `node: ${'${'.repeat(100_000)}\n`, /1:7: node: "\$\{" has no closing brace/],
  ['100,000 "${" and their end', `node: ${'${'.repeat(100_000)}}\n`, /1:7: node: /],
  ['100,000 references', `node: ${'$\u007bX}'.repeat(100_000)}\n`, /1:7: node: the environment variable X is not set/],
  [
    '150,000 unknown keys',
    Array.from({ length: 150_000 }, (_, i) => `key${i}: 1\n`).join(''),
    /more than 100000 values/,
  ],
  [
    '10,000 unknown keys',
    Array.from({ length: 10_000 }, (_, i) => `listener${i}: 1\n`).join(''),
    /unknown key "listener50", and 9949 more behind it/,
  ],
  ['an unknown key of a megabyte', `${'x'.repeat(1_000_000)}: 1\n`, /^test.yaml:1:\d+: /],
  ['50,000 brackets', `a: ${'['.repeat(50_000)}`, /1:\d+: lists and maps stand within each other more than 32 deep/],
  ['10,000 braces', `a: ${'{a: '.repeat(10_000)}`, /more than 32 deep/],
  ['50,000 dashes', `${'- '.repeat(50_000)}1\n`, /more than 32 deep/],
  ['50,000 questions', `${'? '.repeat(50_000)}1\n`, /more than 32 deep/],
  [
    'maps within maps by indentation',
    Array.from({ length: 2_000 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    /more than 32 deep/,
  ],
  ['a line of colons in brackets', `a: [${':'.repeat(100_000)}\nb: ]]\n`, /^test.yaml:\d+:\d+: is not YAML/],
  ['80,000 brackets that close nothing', 'a: ]\n'.repeat(80_000), /^test.yaml:1:4: is not YAML: unexpected/],
  ['10,000 anchors too many', 'a: &x &y 1\n'.repeat(10_000), /^test.yaml:1:7: is not YAML: /],
  ['10,000 wrong headers of blocks', 'a: |x\n'.repeat(10_000), /^test.yaml:1:5: is not YAML: block scalar header/],
  ['200,000 wrong escapes', `node: "${'\\q'.repeat(200_000)}"\n`, /1:8: is not YAML: invalid escape sequence/],
  [
    'thousands of listeners of as many unknown groups',
    UNKNOWN_GROUPS,
    /no target group is named "h{50}0"; there are: /,
  ],
  ['a group name of 100,000 letters, nearly right', NEARLY_RIGHT, /no target group is named "h/],
  ['a number of a megabyte', `workers: ${'9'.repeat(1_000_000)}\n`, /workers/],
  [
    'a text of a megabyte where an address is wanted',
    `${SMALL.replace('127.0.0.1:8080', `"${'1'.repeat(1_000_000)}!"`)}`,
    /4:\d+: listeners.0.listen/,
  ],
  ['a tag of its own', 'a: !!js/function "x"\n', /1:\d+: is not YAML/],
  ['a merge that brings __proto__', `${SMALL}<<: { __proto__: { workers: 3 } }\n`, /unknown key "__proto__"/],
]

for (const [what, text, expected] of HOSTILE) {
  t.test(`${what}: an error in time, with its place`, async (t) => {
    let problems: readonly string[] = []
    const tookMs = processorMs(() => {
      problems = problemsOf(text)
    })
    t.ok(tookMs < BOUND_MS, `${tookMs} ms of ${BOUND_MS}`)
    t.match(problems[0] ?? '', /^test\.yaml:\d+:\d+: /)
    t.ok(
      problems.some((problem) => expected.test(problem)),
      problems.slice(0, 3).join(' ').slice(0, 600),
    )
    t.ok(problems.every((problem) => problem.length < 1_000))
    if (expected.source.includes('is not YAML')) t.ok(problems.length <= 20, `${problems.length} problems`)
  })
}

for (const [what, text] of [
  ['lines that each begin a reference, and one end behind all', `${'x: ${\n'.repeat(400_000)}}`],
  ['lines that each begin a reference that never ends', 'x: ${\n'.repeat(400_000)],
  ['references on one line', '${X}'.repeat(500_000)],
] as const) {
  t.test(`two megabytes of ${what} is searched in time`, async (t) => {
    const tookMs = processorMs(() => mask(text))
    t.ok(tookMs < BOUND_MS, `${tookMs} ms of ${BOUND_MS}`)
  })
}

t.test('no line of a problem holds what a terminal would obey', async (t) => {
  const [problem = ''] = problemsOf(`${SMALL}"\\e]0;owned\\a\\r\\u202Ekey": 1\n`)
  t.match(problem, /unknown key "\\u001b\]0;owned\\u0007\\u000d\\u202ekey"/)
})

t.test('a hundred problems are listed, and how many more there are', async (t) => {
  const error = new ConfigError(
    Array.from({ length: 250 }, () => ({ source: 'f', line: 1, column: 1, path: '', message: 'x' })),
  )
  t.equal(error.message.split('\n').length, 101)
  t.match(error.message, /\nand 150 more$/)
  t.equal(error.problems.length, 250)
})

/** A folder with everything that a path may lead to and that is no file. */
function oddities(t: { teardown(end: () => unknown): unknown }): { folder: string; odd: [string, RegExp][] } {
  const folder = mkdtempSync(join(tmpdir(), 'castor-odd-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string): string => join(folder, name)
  spawnSync('mkfifo', [at('fifo')])
  symlinkSync('loop', at('loop'))
  symlinkSync('fifo', at('link'))
  const server = createServer().listen(at('socket'))
  t.teardown(() => server.close())
  writeFileSync(at('huge'), '')
  truncateSync(at('huge'), 2 ** 40)
  writeFileSync(at('begins'), '-----BEGIN CERTIFICATE-----\n'.repeat(100_000))
  return {
    folder,
    odd: [
      ['fifo', /it is a pipe \(FIFO\), not a file/],
      ['link', /it is a pipe \(FIFO\), not a file/],
      ['socket', /it is a socket, not a file/],
      ['.', /it is a directory/],
      ['huge', /it has more than 4 MiB/],
      ['loop', /its links lead in a circle/],
      ['missing', /there is no such file/],
      ['begins', /is incomplete: of 100000 blocks that begin in it 0 end/],
      ['/dev/zero', /it is a device, not a file/],
    ],
  }
}

t.test('what is no file is an error in time wherever the configuration names one', async (t) => {
  const { folder, odd } = oddities(t)
  const https = SMALL.replace('protocol: http', 'protocol: https')
  const group = `${SMALL.replace(/protocol: http\n {4}targets/, 'protocol: https\n    targets')}`
  for (const [name, expected] of odd) {
    const file = name.startsWith('/') ? name : join(folder, name)
    const places: [string, string][] = [
      [
        'cert',
        `${https.replace('targetGroup: app', `targetGroup: app\n    tls: { certificates: [{ cert: "${file}", key: "${file}" }] }`)}`,
      ],
      ['ca', `${group}    tls: { ca: "${file}" }\n`],
      ['own cert', `${group}    tls: { cert: "${file}", key: "${file}" }\n`],
    ]
    for (const [place, text] of places) {
      const before = process.cpuUsage()
      const problems = problemsOf(text)
      const { user, system } = process.cpuUsage(before)
      t.ok((user + system) / 1_000 < BOUND_MS)
      t.ok(
        problems.some((problem) => /^test.yaml:\d+:\d+: .*tls/.test(problem) && expected.test(problem)),
        `${place} ${name}: ${problems}`,
      )
    }
  }
})

t.test('what is no file is no configuration; a pipe is read as long as something comes', async (t) => {
  const { folder, odd } = oddities(t)
  for (const [name, expected] of odd) {
    if (name === 'begins' || name === 'fifo' || name === 'link') continue
    const file = name.startsWith('/') ? name : join(folder, name)
    try {
      loadConfig(file, { env: {}, machine: MACHINE })
      t.fail(name)
    } catch (error) {
      t.ok(error instanceof CastorError && error.code === 'CONFIG_UNREADABLE', name)
      t.match((error as Error).message, expected, name)
    }
  }
  const fifo = join(folder, 'fifo')
  t.equal(readFileOrPipe(fifo).length, 0, 'without anybody who writes')
  const silent = spawn('sh', ['-c', 'exec 3<>"$0"; printf x; read _', fifo], { stdio: ['pipe', 'pipe', 'ignore'] })
  await new Promise((resolve) => silent.stdout.once('data', resolve))
  t.throws(() => readFileOrPipe(fifo), /it is a pipe on which nothing comes/)
  silent.kill()
  await new Promise((resolve) => silent.once('exit', resolve))
  const writer = spawn('sh', ['-c', 'exec 3<>"$0"; printf x; printf hello >&3; read _', fifo], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  await new Promise((resolve) => writer.stdout.once('data', resolve))
  const ended = new Promise((resolve) => writer.once('exit', resolve))
  t.throws(() => readFileOrPipe(fifo), /nothing comes/, 'an end that never comes')
  writer.kill()
  await ended
})

/** What is warned of when the configuration is loaded from a file of this mode. */
function warningsOf(folder: string, text: string, mode = 0o600, env: Record<string, string> = {}): string[] {
  const file = join(folder, 'castor.yaml')
  writeFileSync(file, text)
  chmodSync(file, mode)
  const warnings: string[] = []
  loadConfig(file, { env, machine: MACHINE, onWarning: ({ path, message }) => warnings.push(`${path}: ${message}`) })
  return warnings
}

function folderFor(t: { teardown(end: () => unknown): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'castor-modes-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

t.test('a key that others can read or change is warned of', async (t) => {
  const folder = folderFor(t)
  const { cert, key } = new Authority(folder).issue('shop.example')
  const tls = `    tls: { certificates: [{ cert: "${cert}", key: "${key}" }] }\n`
  const text = SMALL.replace('protocol: http', 'protocol: https').replace('targetGroups:', `${tls}targetGroups:`)
  for (const [mode, expected] of [
    [0o644, /^listeners\.0\.tls.*can read it; give it mode 640 or 600/],
    [0o666, /can change it/],
    [0o640, undefined],
    [0o600, undefined],
  ] as const) {
    chmodSync(key, mode)
    const [about, ...more] = warningsOf(folder, text)
    if (expected === undefined) t.equal(about, undefined, mode.toString(8))
    else t.match(about, expected, mode.toString(8))
    t.same(more, [])
  }
})

t.test('a secret written into a file that others can read is warned of; one from the environment is not', async (t) => {
  const folder = folderFor(t)
  const secrets = (token: string): string =>
    `${SMALL}admin: { token: "${token}" }\ncluster: { name: a, redis: "redis://:pass@127.0.0.1:6379", secret: 0123456789abcdef }\n`
  t.same(
    warningsOf(folder, secrets('s3cret-of-the-admin'), 0o644).map((warning) => warning.split(':')[0]),
    ['admin.token', 'cluster.secret', 'cluster.redis'],
  )
  t.same(warningsOf(folder, secrets('s3cret-of-the-admin'), 0o640), [])
  const [first] = warningsOf(folder, secrets('${TOKEN}'), 0o644, { TOKEN: 's3cret-of-the-admin' })
  t.match(first, /^cluster\.secret: is a secret that this file holds, and everybody on this host can read it/)
  t.same(warningsOf(folder, SMALL, 0o644), [])
  const tokens = `${SMALL}admin: { tokens: [{ name: a, token: "\${TOKEN}" }, { name: b, token: token-of-somebody-b }] }\n`
  const [second, ...more] = warningsOf(folder, tokens, 0o644, { TOKEN: 'token-of-somebody-a' })
  t.match(second, /^admin\.tokens\.1\.token: is a secret that this file holds/)
  t.same(more, [])
})
