import { writeFileSync } from 'node:fs'
import t from 'tap'
import { type ConfigDiff, diffConfigs, diffDocuments, isSame } from '../../../src/config/diff.js'
import { formatDiff } from '../../../src/config/format-diff.js'
import { FULL, SECRETS_IN_FULL } from './full-file.js'
import { parse, SMALL } from './support.js'

const read = (text: string, set: readonly string[] = []) => parse(text, { set, readCertificates: false })
const lines = (diff: ConfigDiff): string[] => formatDiff(diff)
const diff = (set: readonly string[], text = SMALL) => diffConfigs(read(text), read(text, set))

t.test('a file that only reads differently is no difference', async (t) => {
  for (const text of [SMALL, ...FULL]) t.ok(isSame(diffConfigs(read(text), read(text))))
  const spelled = `# Another comment.\n${SMALL.replace('127.0.0.1:8080', '["127.0.0.1:8080"]')}shutdownTimeout: 0.5m\n`
  t.ok(isSame(diffConfigs(read(SMALL), read(spelled))), 'defaults written out, other units, a list of one')
  const two = SMALL.replace(/targets:.*$/s, 'targets: [{ address: 127.0.0.1:1 }, { address: 127.0.0.1:2 }]\n')
  const turned = SMALL.replace(/targets:.*$/s, 'targets: [{ address: 127.0.0.1:2 }, { address: 127.0.0.1:1 }]\n')
  t.ok(isSame(diffConfigs(read(two), read(turned))), 'another order')
})

t.test('what changed is said with its key and both values, in the words of the file', async (t) => {
  t.same(
    lines(
      diff([
        'shutdownTimeout=2m',
        'listeners.0.idleTimeout=30s',
        'listeners.0.listen=[127.0.0.1:8080, "[::1]:8080"]',
        'targetGroups.0.algorithm=least-connections',
        'targetGroups.0.healthCheck={ protocol: http, path: /up }',
        'targetGroups.0.retries=off',
        'targetGroups.0.targets.0.weight=20',
        'targetGroups.0.targets.1={ address: "127.0.0.1:9002" }',
      ]),
    ),
    [
      '~ shutdownTimeout: 30s → 2m',
      '~ listener web: listen: 127.0.0.1:8080 → [127.0.0.1:8080, [::1]:8080]',
      '~ listener web: idleTimeout: 1m → 30s',
      '~ listener web: websocketIdleTimeout: 1m → 30s',
      '~ target group app: algorithm: round-robin → least-connections',
      '~ target group app: retries: { attempts: 1, on: [connect-failure, reset-before-response], budgetPercent: 20 } → off',
      '~ target group app: healthCheck.protocol: tcp → http',
      '~ target group app: healthCheck.path: (not set) → /up',
      '~ target group app: healthCheck.host: (not set) → ""',
      '~ target group app: healthCheck.httpVersion: (not set) → 1.1',
      '~ target group app: healthCheck.codes: (not set) → 200-399',
      '+ target 127.0.0.1:9002 of app, weight 10',
      '~ target 127.0.0.1:9001 of app: weight: 10 → 20',
    ],
  )
})

t.test('of a list of rules only those that differ are told, by their place', async (t) => {
  const ruled = (...paths: string[]): string =>
    SMALL.replace(
      '    targetGroup: app\n',
      `    targetGroup: app\n    rules: [${paths.map((path) => `{ match: { path: ${path} }, respond: {} }`).join(', ')}]\n`,
    )
  const told = (before: string[], after: string[]) => lines(diffConfigs(read(ruled(...before)), read(ruled(...after))))
  t.match(told(['/a', '/b', '/c'], ['/a', '/x', '/c']), [/^~ listener web: rules\.1\.match\.path: .*\/b.* → .*\/x/])
  for (const [before, after, line] of [
    [['/a', '/c'], ['/a', '/b', '/c'], /rules\.1: \(not set\) → \{.*\/b/],
    [['/a', '/b', '/c'], ['/b', '/c'], /rules\.0: \{.*\/a.* → \(not set\)$/],
    [['/a', '/a'], ['/a'], /rules\.1: \{.*\/a.* → \(not set\)$/],
  ] as const) {
    const all = told([...before], [...after])
    t.equal(all.length, 1, all.join(' | '))
    t.match(all, [line])
  }
})

t.test('a secret in a list that differs stays one', async (t) => {
  const document = (secret: string) => ({
    plugins: [
      { module: '/a.mjs', name: 'a' },
      { module: '/b.mjs', name: 'b', options: { realm: secret, all: [{ key: secret }] } },
    ],
    admin: { tokens: [{ name: 'deploy', token: secret }] },
  })
  const told = lines(diffDocuments(document('first-one'), document('other-one')))
  t.match(told, [/^~ plugins\.1\.options: /, /^~ admin\.tokens\.0\.token: \*+ \(another one\)$/])
  t.notMatch(told.join(), /first-one|other-one/)
  const come = lines(diffDocuments({ ...document('first-one'), plugins: [{ name: 'z' }] }, document('first-one')))
  t.match(come, [/^~ plugins\.0/])
  t.notMatch(come.join(), /first-one/)
})

t.test('listeners, groups and targets that come and go are named', async (t) => {
  const other = `listeners:
  - { name: api, protocol: http, listen: "127.0.0.1:8081", targetGroup: app2 }
targetGroups:
  - { name: app2, protocol: http, targets: [{ address: "127.0.0.1:9001" }] }
`
  const found = diffConfigs(read(SMALL), read(other))
  t.same(lines(found), ['+ listener api', '- listener web', '+ target group app2', '- target group app'])
  t.same(
    found.targets,
    { added: [], removed: [], changed: [] },
    'those of a group that comes or goes come and go with it',
  )
  const moved = diff(['targetGroups.0.targets.0={ address: "127.0.0.1:9002" }'])
  t.same(lines(moved), ['+ target 127.0.0.1:9002 of app, weight 10', '- target 127.0.0.1:9001 of app'])
  const readdressed = diff(
    ['targetGroups.0.targets.0.address=127.0.0.1:9003'],
    SMALL.replace('- address', '- id: one\n        address'),
  )
  t.same(lines(readdressed), ['~ target one of app: address: 127.0.0.1:9001 → 127.0.0.1:9003'])
})

t.test('what needs a restart stands apart, each by its name', async (t) => {
  const found = diff([
    'node=lb-z',
    'workers=9',
    'admin.listen=127.0.0.1:9999',
    'admin.token=a-token',
    'cluster={ name: shop, redis: "redis://localhost", secret: 0123456789abcdef }',
  ])
  t.same(
    found.restart.map(({ path }) => path),
    ['node', 'workers', 'admin.listen', 'cluster'],
  )
  t.same(
    found.settings.map(({ path }) => path),
    ['admin.token'],
  )
  t.equal(lines(found)[1], '! workers: 4 → 9 (needs a restart)')
  const renamed = diffConfigs(read(FULL[0]!), read(FULL[0]!, ['cluster.name=shop2', 'cluster.hosts=[]']))
  t.same(
    renamed.restart.map(({ path }) => path),
    ['cluster.name'],
  )
  t.same(
    renamed.settings.map(({ path }) => path),
    ['cluster.hosts'],
  )
})

t.test('a secret that changed is said to be another one, and shown nowhere', async (t) => {
  const set = [
    'admin.token=another-token',
    'cluster.secret=another-secret-16',
    'cluster.redis.password=another-password',
  ]
  const found = diffConfigs(read(FULL[0]!), read(FULL[0]!, set))
  t.equal(found.restart.length, 2)
  const text = JSON.stringify(found) + lines(found).join('\n')
  for (const secret of [...SECRETS_IN_FULL, 'another-']) t.notMatch(text, secret)
  t.same(lines(found), [
    '! cluster.redis.password: ******** (another one) (needs a restart)',
    '! cluster.secret: ******** (another one) (needs a restart)',
    '~ admin.token: ******** (another one)',
  ])
  const whole = diff(['cluster={ name: shop, redis: "redis://:hidden@localhost", secret: hidden-hidden-hidden }'])
  t.notMatch(JSON.stringify(whole), 'hidden', 'nor where a whole map comes')
})

t.test('a file that holds something else is a change, though its name is the same', async (t) => {
  const folder = t.testdir({ 'page.html': 'one', 'denied.txt': '10.0.0.1\n' })
  const rule = `listeners.0.rules=[{ respond: { status: 503, bodyFile: "${folder}/page.html" } }]`
  const set = [rule, `protection.deny=["file:${folder}/denied.txt"]`]
  const before = read(SMALL, set)
  t.ok(isSame(diffConfigs(before, read(SMALL, set))))
  writeFileSync(`${folder}/page.html`, 'two')
  writeFileSync(`${folder}/denied.txt`, '10.0.0.2\n')
  const found = lines(diffConfigs(before, read(SMALL, set)))
  t.equal(found.length, 2, found.join('\n'))
  t.match(
    found.join('\n'),
    /page\.html \(3 bytes, [0-9a-f]{8}\).*denied\.txt \(8 bytes|denied\.txt \(8 bytes.*page\.html/s,
  )
})
