import t from 'tap'
import { asWritten, mask, resolveReference, unmask } from '../../../src/config/interpolate.js'
import { SEED, seededRandom } from '../../random.js'
import { parse, problemsOf, SMALL } from './support.js'

const reference = (inside: string): string => `\${${inside}}`

t.test('references are replaced in every kind of value', (t) => {
  const env = { NODE: 'lb-a', TOKEN: '{a:"b"}#c', PORT: '8081', WEIGHT: '7', WORKERS: '3', VIA: 'true' }
  const config = parse(
    `node: ${reference('NODE')}
workers: ${reference('WORKERS')}
admin: { listen: 127.0.0.1:9900, token: ${reference('TOKEN')} }
log: { access: "/var/log/${reference('NODE')}.log", level: '${reference('LEVEL:-warn')}' }
listeners:
  - name: web-${reference('NODE')}
    protocol: http
    listen: [127.0.0.1:${reference('PORT')}, "[::1]:${reference('PORT')}"]
    targetGroup: app
targetGroups:
  - name: app
    protocol: http
    forwarded: { via: ${reference('VIA')} }
    targets: [{ address: ${reference('HOST:-127.0.0.1')}:9001, weight: ${reference('WEIGHT')} }]
`,
    { env },
  )
  t.equal(config.node, 'lb-a')
  t.equal(config.workers, 3)
  t.equal(config.admin.token, '{a:"b"}#c', 'what YAML would read as more than text stays text')
  t.equal(config.log.access, '/var/log/lb-a.log')
  t.equal(config.log.level, 'warn')
  t.equal(config.listeners[0]?.name, 'web-lb-a')
  t.same(config.listeners[0]?.listen, [
    { address: '127.0.0.1', port: 8081 },
    { address: '::1', port: 8081 },
  ])
  t.equal(config.targetGroups[0]?.forwarded.via, true)
  t.same(config.targetGroups[0]?.targets, [{ id: '127.0.0.1:9001', host: '127.0.0.1', port: 9001, weight: 7 }])
  t.end()
})

t.test('text from the environment stays text where text is wanted', (t) => {
  for (const secret of ['12345', 'true', '0x1F', '']) {
    const config = parse(`admin: { token: ${reference('T')} }\n${SMALL}`, { env: { T: secret } })
    t.equal(config.admin.token, secret)
  }
  t.end()
})

t.test('an unset variable without a default is shown where it is named', (t) => {
  t.same(problemsOf(`node: lb-${reference('NOWHERE')}\n${SMALL}`), [
    `test.yaml:1:10: node: the environment variable NOWHERE is not set; set it, name the service’s EnvironmentFile with --env-file, or write ${reference('NOWHERE:-default')}`,
  ])
  t.same(problemsOf(SMALL.replace('address: 127.0.0.1:9001', `{ address: ${reference('A')}:${reference('B')} }`)), [
    `test.yaml:10:20: targetGroups.0.targets.0.address: the environment variable A is not set; set it, name the service’s EnvironmentFile with --env-file, or write ${reference('A:-default')}`,
    `test.yaml:10:25: targetGroups.0.targets.0.address: the environment variable B is not set; set it, name the service’s EnvironmentFile with --env-file, or write ${reference('B:-default')}`,
  ])
  t.end()
})

t.test('references leave every later position as it was', (t) => {
  t.same(problemsOf(`log: { access: ${reference('A_RATHER_LONG_NAME:-x')}, level: 5 }\n${SMALL}`, { env: {} }), [
    'test.yaml:1:49: log.level: must be one of trace, debug, info, warn, error, fatal, silent, not 5',
  ])
  t.end()
})

t.test('references in keys and half references are refused, in comments they are nothing', (t) => {
  t.match(
    problemsOf(`${reference('KEY')}: 1\n${SMALL}`)[0],
    /^test.yaml:1:1: .*a reference to the environment stands in a key/,
  )
  t.match(problemsOf(`node: "a\${NAME"\n${SMALL}`)[0], /^test.yaml:1:7: node: "\$\{" has no closing brace/)
  t.same(problemsOf(`# ${reference('COMMENT')}\nnode: a # ${reference('COMMENT')}\n${SMALL}`), [])
  t.end()
})

t.test('a value wrong after replacement is shown as it came out', (t) => {
  t.same(problemsOf(`workers: ${reference('W')}\n${SMALL}`, { env: { W: 'many' } }), [
    'test.yaml:1:10: workers: must be auto or a whole number from 1 to 256, not "many"',
  ])
  t.same(problemsOf(`workers: ${reference('W')}\n${SMALL}`, { env: { W: '0' } }), [
    'test.yaml:1:10: workers: must be at least 1, not 0',
  ])
  t.end()
})

t.test('what a reference stands for', (t) => {
  const env = { SET: 'value', EMPTY: '' }
  const cases: [string, string | RegExp][] = [
    [reference('SET'), 'value'],
    [reference('EMPTY'), ''],
    [reference('SET:-default'), 'value'],
    [reference('EMPTY:-default'), 'default'],
    [reference('UNSET:-default'), 'default'],
    [reference('UNSET:-'), ''],
    [reference('UNSET:-a:-b c'), 'a:-b c'],
    [`$${reference('SET')}`, reference('SET')],
    [reference('UNSET'), /UNSET is not set/],
    [reference(''), /is not a reference; write/],
    [reference('1A'), /is not a reference/],
    [reference('A-b'), /is not a reference/],
    [reference('A:b'), /is not a reference/],
    [reference(' A '), /is not a reference/],
    [reference('A:-${B'), /a default is plain text/],
  ]
  for (const [raw, expected] of cases) {
    const resolved = resolveReference(raw, env)
    if (expected instanceof RegExp) t.match(resolved.ok ? undefined : resolved.problem, expected, raw)
    else t.same(resolved, { ok: true, value: expected }, raw)
  }
  t.end()
})

t.test('stand-ins are as long as what they stand for and come back as it', (t) => {
  const texts = [
    '',
    'none',
    reference(''),
    `a ${reference('B')} c`,
    reference('A').repeat(5_000),
    `$${reference('X')}$`,
    '${open',
    '$$',
  ]
  for (const text of texts) {
    const masked = mask(text)
    t.equal(masked.text.length, text.length)
    t.notMatch(masked.text, /\$\{[^}]*\}/)
    t.equal(
      unmask(masked.text, masked, (found) => found.raw),
      text,
    )
    t.ok(masked.references.every(({ offset, raw }) => text.startsWith(raw, offset)))
  }
  t.end()
})

t.test('references are found as the pattern has it, in whatever text', async (t) => {
  const pattern = /\$?\$\{[^}\n]*\}/g
  const random = seededRandom(SEED)
  for (let round = 0; round < 2_000; round++) {
    const text = Array.from({ length: 12 }, () => '$\u007b}\na:'[Math.floor(random() * 6)]!).join('')
    const expected = [...text.matchAll(pattern)].map(({ 0: raw, index: offset }) => ({ offset, raw }))
    const masked = mask(text)
    if (!t.same(masked.references, expected, JSON.stringify(text))) return
    t.equal(masked.text.length, text.length)
    t.equal(unmask(masked.text, masked, asWritten), text)
  }
})
