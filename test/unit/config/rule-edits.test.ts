import t from 'tap'
import { parse, problemsOf } from './support.js'

const file = (rules: string): string => `node: a
listeners:
  - name: web
    protocol: http
    listen: 127.0.0.1:8080
    targetGroup: app
    rules: ${rules}
targetGroups:
  - { name: app, protocol: http, targets: [{ address: 127.0.0.1:9001 }] }
`
const edited = (side: string, edits: string, more = ''): string => `[{ forward: app, ${side}: ${edits}${more} }]`

t.test('what cannot be edited of a head is said at its place, with the reason', async (t) => {
  const both: readonly [string, RegExp][] = [
    ...[
      'Connection',
      'Keep-Alive',
      'TE',
      'Upgrade',
      'Proxy-Connection',
      'proxy-authenticate',
      'Proxy_Authorization',
      'HTTP2-Settings',
    ].map((name): [string, RegExp] => [`{ remove: [${name}] }`, /concerns one connection only, and cannot be edited/]),
    ...['Content-Length', 'transfer_encoding', 'Trailer', 'Expect'].map((name): [string, RegExp] => [
      `{ set: { ${name}: a } }`,
      /frames the message/,
    ]),
    ['{ set: { HOST: a } }', /HOST says where the request goes/],
    ...['X-Forwarded-For', 'x_forwarded_proto', 'X-Forwarded-Anything', 'Forwarded', 'X-Client-Cert-Subject'].map(
      (name): [string, RegExp] => [`{ add: { ${name}: a } }`, /is what Castor tells targets of clients/],
    ),
    ...['X-Request-Id', 'x.request.id', 'Via', 'Date'].map((name): [string, RegExp] => [
      `{ remove: [${name}] }`,
      /is Castor’s to write/,
    ]),
    ['{ set: { Sec-WebSocket-Key: a } }', /belongs to the handshake/],
    ['{ set: { "a b": c } }', /"a b" is no name of a header/],
    ['{ set: { "": c } }', /"" is no name of a header/],
    [`{ remove: [${'a'.repeat(41)}] }`, /is longer than 40 characters/],
    ['{ set: { a: "" } }', /is empty; write the name in remove/],
    ['{ set: { a: " b" } }', /write visible ASCII without space around it/],
    ['{ set: { a: "b\\r\\nc: d" } }', /is no value of a header/],
    ['{ set: { a: ü } }', /is no value of a header/],
    [`{ set: { a: ${'b'.repeat(4097)} } }`, /is longer than 4096 characters/],
    ['{ set: { a: "${hots}" } }', /\$\{hots\} is nothing of a request; there are host/],
    ['{ set: { a: "${1}" } }', /\$\{1\} captures nothing: match has no pathRegex/],
    ['{ set: { X-Tier: a, x_tier: b } }', /"x_tier" is one with "X-Tier" to many targets; write one/],
    ['{ set: { X-Tier: a }, remove: [x_tier] }', /"x_tier" is in set already/],
    ['{ sets: { a: b } }', /unknown key "sets" \(did you mean "set"\?\)/],
  ]
  const cases: readonly [string, RegExp][] = [
    ...both.flatMap(([edits, expected]) =>
      ['requestHeaders', 'responseHeaders'].map((side): [string, RegExp] => [edited(side, edits), expected]),
    ),
    [edited('requestHeaders', '{ set: { a: "${target}" } }'), /\$\{target\} is not known before .*\$\{target_group\}/],
    [edited('requestHeaders', '{ set: { Cookie: a=b } }'), /Cookie holds what several have set/],
    [
      edited('responseHeaders', '{ set: { a: "${2}" } }', ', match: { pathRegex: "^/(a)" }'),
      /\$\{2\} captures nothing: pathRegex captures 1 groups/,
    ],
    ['[{ respond: {}, requestHeaders: { remove: [a] } }]', /requestHeaders: has no effect beside respond/],
    ['[{ forward: app, rewrite: {} }]', /rewrite: says not what to rewrite; write path, host or query/],
    ['[{ forward: app, rewrite: { path: a } }]', /must begin with "\/" or \$\{path\}/],
    ['[{ forward: app, rewrite: { path: /a*b } }]', /"\*" stands at the end only/],
    ['[{ forward: app, rewrite: { path: "/a?b" } }]', /a path has no query; use rewrite.query/],
    ['[{ forward: app, rewrite: { path: /ü } }]', /write them escaped/],
    ['[{ forward: app, rewrite: { path: /a%0d } }]', /write them escaped/],
    ['[{ forward: app, rewrite: { path: //a } }]', /is not in normal form; write "\/a"/],
    ['[{ forward: app, rewrite: { path: /a/../b } }]', /is not in normal form; write "\/b"/],
    ['[{ forward: app, rewrite: { path: "/${target}" } }]', /\$\{target\} is not known/],
    ['[{ redirect: { path: "/${1}" } }]', /\$\{1\} captures nothing: match has no pathRegex/],
    ['[{ match: { pathRegex: "^/(a)" }, redirect: { query: "${1}" } }]', /cannot stand here/],
    ['[{ match: { pathRegex: "^/(a)" }, redirect: { host: "${1}" } }]', /cannot stand here/],
    ['[{ forward: app, rewrite: { path: "/${1}" } }]', /\$\{1\} captures nothing: match has no pathRegex/],
    ['[{ forward: app, rewrite: { host: "a b" } }]', /"a b" is no host/],
    ['[{ forward: app, rewrite: { query: "a b" } }]', /"a b" is no query/],
    [
      '[{ forward: app, match: { path: /a }, rewrite: { path: /b/* } }]',
      /match.path has \/a; write another rule for it/,
    ],
    ['[{ forward: app, match: { pathRegex: a }, rewrite: { path: /b/* } }]', /match has pathRegex; write \$\{1\}/],
    ['[{ forward: app, rewrite: { path: /b, responses: true } }]', /has nothing to write back/],
    ['[{ forward: app, rewrite: { path: "/${rule}/*", responses: true } }]', /has nothing to write back/],
    ['[{ redirect: {}, rewrite: { path: /b } }]', /rewrite: has no effect beside redirect/],
    ['[{ respond: {}, timeouts: { response: 1s } }]', /timeouts: has no effect beside respond/],
    ['[{ forward: app, timeouts: { response: 1ms } }]', /must be from 10ms to 24h, not 1ms/],
    ['[{ redirect: {}, requestHeaders: {} }]', /requestHeaders: has no effect beside redirect/],
    ['[{ redirect: {}, responseHeaders: { set: { Location: a } } }]', /Location is the redirect’s to write/],
    ['[{ use: a, responseHeaders: {} }]', /has no effect beside use/],
  ]
  for (const [rules, expected] of cases) {
    const problems = problemsOf(file(rules)).filter((problem) => !problem.includes('no rule set'))
    t.equal(problems.length, 1, `${rules}: ${problems.join(' | ')}`)
    t.match(problems[0], expected, rules)
    t.match(problems[0], /:7:\d+: listeners\.0\.rules\.0\./, 'its line')
  }
})

t.test('edits are kept with names in lower case, and none at all is the same as none', async (t) => {
  const [rule, none] = parse(
    file(
      '[{ forward: app, requestHeaders: { set: { X-Tier: 1 }, add: { X-A: "${client_ip}" }, remove: [X-Debug] } }, { forward: app, responseHeaders: { set: {} } }]',
    ),
  ).listeners[0]!.rules
  t.same(rule!.requestHeaders, {
    set: [{ name: 'x-tier', value: '1' }],
    add: [{ name: 'x-a', value: '${client_ip}' }],
    remove: ['x-debug'],
  })
  t.equal(none!.responseHeaders, undefined)
})
