import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse, problemsOf } from './support.js'

const file = (rules: string, more = ''): string => `node: a
${more}
listeners:
  - name: web
    protocol: http
    listen: 127.0.0.1:8080
    targetGroup: app
    rules: ${rules}
targetGroups:
  - { name: app, protocol: http, targets: [{ address: 127.0.0.1:9001 }] }
  - { name: api, protocol: http, targets: [{ address: 127.0.0.1:9002 }] }
  - { name: raw, protocol: tcp, targets: [{ address: 127.0.0.1:9003 }] }
`
const rulesOf = (rules: string, more = '') => parse(file(rules, more)).listeners[0]!.rules

t.test('what is wrong in a rule is said at its place, with what to write instead', async (t) => {
  const cases: readonly [string, RegExp][] = [
    ['[{ match: {} }]', /rules\.0: says not what to do; write one of forward, redirect, respond/],
    ['[{ forward: app, respond: {} }]', /has forward and respond; a rule has one of them/],
    ['[{ forward: ap }]', /no target group is named "ap" \(did you mean "app"\?\)/],
    ['[{ forward: raw }]', /the group "raw" speaks tcp; a rule needs http, https, h2 or h2c/],
    ['[{ forward: [{ targetGroup: app, weight: 0 }] }]', /has no weight above 0/],
    ['[{ forwad: app }]', /unknown key "forwad" \(did you mean "forward"\?\)/],
    ['[{ match: { path: api }, forward: app }]', /"api" must begin with "\/", like \/api\/\*/],
    ['[{ match: { path: /a*b }, forward: app }]', /"\*" stands at the end only/],
    ['[{ match: { path: "/a?b" }, forward: app }]', /a path has no query/],
    ['[{ match: { path: /ü }, forward: app }]', /write them escaped, like %C3%A9/],
    ['[{ match: { host: "a:80" }, forward: app }]', /is no host; write a name without a port/],
    ['[{ match: { host: "*x.example" }, forward: app }]', /is no host/],
    ['[{ match: { pathRegex: "(" }, forward: app }]', /is no expression of RE2’s syntax: .*missing closing/],
    ['[{ match: { pathRegex: "(?=a)" }, forward: app }]', /is no expression of RE2’s syntax/],
    ['[{ match: { path: /a, pathRegex: b }, forward: app }]', /has path already; write one of them/],
    ['[{ match: { headers: { Host: a } }, forward: app }]', /write match\.host instead/],
    ['[{ match: { headers: { x: "~(" } }, forward: app }]', /is no expression/],
    ['[{ match: { methods: ["a b"] }, forward: app }]', /"a b" is no method/],
    ['[{ redirect: { status: 200 } }]', /must be 301, 302, 303, 307 or 308, not 200/],
    ['[{ redirect: { host: "${query.h}" } }]', /\$\{query\.h\} cannot stand here/],
    ['[{ redirect: { path: "${pth}" } }]', /\$\{pth\} is nothing of a request; there are host, port, path/],
    ['[{ redirect: { path: x } }]', /must begin with "\/" or \$\{path\}/],
    ['[{ respond: { headers: { Content-Length: 1 } } }]', /Content-Length is Castor’s to write/],
    ['[{ respond: { headers: { a: "b\\r\\nc" } } }]', /is no value of a header/],
    ['[{ respond: { body: a, bodyFile: b } }]', /has body already/],
    ['[{ respond: { bodyFile: /no/such/file } }]', /\/no\/such\/file cannot be read/],
    ['[{ forward: app, stickySplit: 1h }]', /stickySplit: has no effect without several groups in forward/],
    ['[{ respond: {}, stickySplit: 1h }]', /stickySplit: has no effect without several groups in forward/],
    ['[{ forward: [{ targetGroup: app }, { targetGroup: api }], stickySplit: 0s }]', /must be from 1s to 8760h/],
    ['[{ respond: {}, mirror: app }]', /mirror: has no effect without forward; leave it out/],
    ['[{ forward: app, mirror: ap }]', /mirror: no target group is named "ap" \(did you mean "app"\?\)/],
    ['[{ forward: app, mirror: { targetGroup: raw } }]', /mirror.targetGroup: the group "raw" speaks tcp/],
    ['[{ use: shop }]', /no rule set is named "shop"/],
    ['shop', /no rule set is named "shop"/],
    ['[{ name: a, forward: app }, { name: a, forward: api }]', /"a" is already used by listeners\.0\.rules\.0/],
  ]
  for (const [rules, expected] of cases) {
    const problems = problemsOf(file(rules), { readCertificates: true })
    t.equal(problems.length, 1, `${rules}: ${problems.join(' | ')}`)
    t.match(problems[0], expected, rules)
    t.match(problems[0], /:8:\d+: listeners\.0\.rules/, 'its line')
  }
})

t.test('rules of a set stand where they are used, and positions are the listener’s', async (t) => {
  const sets = 'ruleSets: { shared: [{ match: { path: /a }, forward: app }, { name: own, respond: {} }] }'
  t.same(
    rulesOf('[{ forward: api }, { use: shared }, { forward: api }]', sets).map(({ name }) => name),
    ['1', '2', 'own', '4'],
  )
  t.same(
    rulesOf('shared', sets).map(({ name }) => name),
    ['1', 'own'],
  )
})

t.test('hosts and paths are brought into the form in which requests are compared', async (t) => {
  const [{ match }] = rulesOf(
    '[{ match: { host: ["*.SHOP.example.", MÜLLER.example, "[::1]"], path: [/a//b/../%61, "/%2e/x/*"] }, forward: app }]',
  ) as [ReturnType<typeof rulesOf>[number]]
  t.same(match.hosts, ['*.shop.example', 'xn--mller-kva.example', '[::1]'])
  t.same(match.paths, ['/a/a', '/x/*'])
})

t.test('a file that a rule answers with is read, whatever is in it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'castor-test-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'logo.bin')
  writeFileSync(path, Buffer.from([0, 255, 10]))
  const [rule] = rulesOf(`[{ respond: { bodyFile: ${path}, headers: { content-type: image/x } } }]`)
  t.same(rule!.action, {
    type: 'respond',
    status: 200,
    headers: [{ name: 'content-type', value: 'image/x' }],
    body: Buffer.from([0, 255, 10]),
    bodyFile: path,
  })
})

t.test('rules on listeners that see no requests, or answer them all, are refused', async (t) => {
  const on = (protocol: string, more: string): string =>
    file('[{ forward: app }]').replace('protocol: http\n    listen', `protocol: ${protocol}\n${more}    listen`)
  t.match(problemsOf(on('tcp', '')).join('\n'), /rules have no effect on a tcp listener/)
  t.match(problemsOf(on('http', '    redirectToHttps: true\n')).join('\n'), /rules have no effect with redirectToHttps/)
})
