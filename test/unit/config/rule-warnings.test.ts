import fc from 'fast-check'
import t from 'tap'
import { formatProblem } from '../../../src/config/problems.js'
import { bucketsOf, findOrder } from '../../../src/config/rule-order.js'
import type { MatchConfig, RuleConfig, ValueMatch } from '../../../src/core/config-rules.js'
import { PARSE_COMPLETE, RequestParser } from '../../../src/http/request-parser.js'
import { RuleMatcher } from '../../../src/route/rule-matcher.js'
import { SEED } from '../../random.js'
import { parse } from './support.js'

t.comment(`seed ${SEED}`)

const file = (
  rules: readonly string[],
  listener = 'protocol: http\n    listen: 127.0.0.1:8080',
  more = '',
): string => `node: a
${more}
listeners:
  - name: web
    ${listener}
    targetGroup: app
    rules:
${rules.map((rule) => `      - ${rule}`).join('\n')}
targetGroups:
  - { name: app, protocol: http, targets: [{ address: 127.0.0.1:9001 }] }
`

function warningsOf(text: string): string[] {
  const warnings: string[] = []
  parse(text, { onWarning: (warning) => warnings.push(formatProblem(warning)), readCertificates: false })
  return warnings
}

const HTTPS = 'protocol: https\n    listen: 0.0.0.0:443\n    tls: { certificates: [{ cert: a.pem, key: a.key }] }'
const HIGH_HTTPS = HTTPS.replace('443', '8443')

t.test('rules that another keeps from ever matching are told of, at their place', async (t) => {
  const cases: readonly [string, string][] = [
    ['{ match: { path: /a }, forward: app }', '{ match: { path: /a }, respond: {} }'],
    ['{ forward: app }', '{ respond: {} }'],
    ['{ match: { methods: [GET, POST] }, forward: app }', '{ match: { methods: [GET] }, respond: {} }'],
    ['{ match: { headers: { x: "*" } }, forward: app }', '{ match: { headers: { X: "1" } }, respond: {} }'],
    ['{ match: { cookies: { a: "~^b" } }, forward: app }', '{ match: { cookies: { a: bc } }, respond: {} }'],
    ['{ match: { query: { a: "!" } }, forward: app }', '{ match: { query: { a: "!" } }, respond: {} }'],
    ['{ match: { sourceIp: [10.0.0.0/8] }, forward: app }', '{ match: { sourceIp: [10.1.0.0/16] }, respond: {} }'],
    ['{ match: { pathRegex: .* }, forward: app }', '{ match: { pathRegex: ^/a }, respond: {} }'],
    ['{ match: { pathRegex: .* }, forward: app }', '{ match: { headers: { x: "1" } }, respond: {} }'],
    ['{ match: { path: /* }, forward: app }', '{ match: { pathRegex: ^/a }, respond: {} }'],
    ['{ match: { path: /* }, forward: app }', '{ match: { methods: [GET] }, respond: {} }'],
    ['{ match: { host: [a.example, b.example] }, forward: app }', '{ match: { host: A.example. }, respond: {} }'],
    ['{ match: { path: [/a, /b] }, forward: app }', '{ match: { path: [/b, /%61] }, respond: {} }'],
  ]
  for (const [first, second] of cases) {
    const warnings = warningsOf(file([first, second]))
    t.match(warnings, [/^test\.yaml:10:9: listeners\.0\.rules\.1: never matches: rule "1" comes before it/], second)
    t.equal(warnings.length, 1, second)
  }
  t.match(warningsOf(file(['{ match: { headers: { x: "!", X: "1" } }, forward: app }'])), [
    /rules\.0: never matches: it wants x to be there and not to be there/,
  ])
  t.match(warningsOf(file(['{ match: { path: /* }, forward: app }', '{ respond: {} }'])), [
    /rules\.1: matches nothing, except for OPTIONS \*: rule "1" comes before it and takes every path/,
  ])
  t.match(warningsOf(file(['{ match: { path: /a }, forward: app }', '{ match: { path: [/a, /b] }, respond: {} }'])), [
    /rules\.1: never matches \/a: rule "1" comes before it there/,
  ])
  t.match(warningsOf(file(['{ match: { methods: [get] }, respond: {} }'])), [
    /rules\.0\.match\.methods: may never match: .* clients send GET/,
  ])
})

t.test('rules that only their position keeps apart are told of', async (t) => {
  t.match(
    warningsOf(
      file([
        '{ name: one, match: { headers: { x: "1" } }, forward: app }',
        '{ match: { cookies: { a: b } }, respond: {} }',
      ]),
    ),
    [/^test\.yaml:10:9: listeners\.0\.rules\.1: has as many conditions as rule "one" for the same host and path/],
  )
})

t.test('nothing is said of rules that each have their requests', async (t) => {
  const cases: readonly (readonly string[])[] = [
    // More conditions go first, wherever they stand.
    ['{ forward: app }', '{ match: { headers: { x: "1" } }, respond: {} }'],
    ['{ match: { path: /a/* }, forward: app }', '{ match: { path: /a/b }, respond: {} }'],
    ['{ match: { path: /* }, forward: app }', '{ match: { path: /a/* }, respond: {} }'],
    ['{ match: { path: /* }, forward: app }', '{ match: { host: a.example }, respond: {} }'],
    ['{ match: { headers: { x: "1" } }, forward: app }', '{ match: { headers: { x: "2" } }, respond: {} }'],
    ['{ match: { headers: { x: "!" } }, forward: app }', '{ match: { headers: { x: "*" } }, respond: {} }'],
    ['{ match: { methods: [GET] }, forward: app }', '{ match: { methods: [POST] }, respond: {} }'],
    ['{ match: { methods: [GET] }, forward: app }', '{ respond: {} }'],
    ['{ match: { sourceIp: [10.1.0.0/16] }, forward: app }', '{ match: { sourceIp: [10.2.0.0/16] }, respond: {} }'],
    ['{ match: { sourceIp: ["::/0"] }, forward: app }', '{ match: { sourceIp: [10.0.0.0/8] }, respond: {} }'],
    ['{ match: { pathRegex: ^/a }, forward: app }', '{ match: { pathRegex: b$ }, respond: {} }'],
    ['{ match: { pathRegex: .* }, forward: app }', '{ match: { path: /a }, respond: {} }'],
    ['{ match: { host: "*.a.example" }, forward: app }', '{ match: { host: a.example }, respond: {} }'],
    // What is the same whoever goes first.
    ['{ match: { headers: { x: "1" } }, forward: app }', '{ match: { cookies: { a: b } }, forward: app }'],
  ]
  for (const rules of cases) t.same(warningsOf(file(rules)), [], rules.join(' '))
})

t.test('redirects to themselves are told of', async (t) => {
  const sure: readonly (readonly [string, string?])[] = [
    ['{ redirect: { status: 301 } }'],
    ['{ redirect: { protocol: https } }', HTTPS],
    ['{ redirect: { protocol: https, port: "${port}" } }', HIGH_HTTPS],
    ['{ redirect: { protocol: https, port: 8443 } }', HIGH_HTTPS],
    ['{ match: { path: /old/* }, redirect: { path: /old/index } }'],
    ['{ match: { path: /old/* }, redirect: { path: "/old/new${path}" } }'],
    ['{ match: { pathRegex: ^/a }, redirect: { path: /ab } }'],
    ['{ match: { host: [a.example, www.a.example] }, redirect: { host: www.a.example } }'],
    ['{ match: { methods: [POST] }, redirect: { status: 308 } }'],
    ['{ redirect: { path: "/new${path}" } }'],
  ]
  for (const [rule, listener] of sure) {
    t.match(warningsOf(file([rule], listener)), [/rules\.0\.redirect: redirects to itself: a request for/], rule)
  }
  const possible: readonly (readonly [string, string?])[] = [
    ['{ redirect: { protocol: https } }', HIGH_HTTPS],
    ['{ match: { host: "*.a.example" }, redirect: { host: www.a.example } }'],
    ['{ redirect: { host: "www.${host}" } }'],
  ]
  for (const [rule, listener] of possible) {
    t.match(warningsOf(file([rule], listener)), [/rules\.0\.redirect: may redirect to itself: /], rule)
  }
})

t.test('redirects to elsewhere are not', async (t) => {
  const cases: readonly (readonly [rules: readonly string[], listener?: string])[] = [
    [['{ redirect: { protocol: https } }']],
    [['{ redirect: { host: shop.example } }']],
    [['{ redirect: { port: 8081 } }']],
    [['{ match: { path: /old/* }, redirect: { path: /new/ } }']],
    [['{ match: { path: /old/* }, redirect: { path: "/new${path}" } }']],
    [['{ match: { path: /a }, redirect: { path: /a/ } }']],
    [['{ match: { host: a.example }, redirect: { host: "www.${host}" } }']],
    [['{ match: { methods: [POST] }, redirect: { status: 303 } }']],
    [['{ match: { query: { old: "*" } }, redirect: { query: "" } }']],
    [['{ match: { cookies: { a: b }, host: a.example }, redirect: { host: b.example } }']],
    // Another rule takes it there.
    [['{ match: { path: /new/* }, forward: app }', '{ redirect: { path: "/new${path}" } }']],
    [['{ match: { path: /* }, redirect: { path: /new } }', '{ match: { path: /new }, forward: app }']],
    [['{ match: { path: /new/* }, forward: app }', '{ match: { path: /* }, redirect: { path: /new } }']],
    [
      [
        '{ match: { host: www.a.example }, forward: app }',
        '{ match: { host: "*.a.example" }, redirect: { host: www.a.example } }',
      ],
    ],
    [['{ match: { methods: [GET] }, forward: app }', '{ redirect: { path: /x } }']],
  ]
  for (const [rules, listener] of cases) t.same(warningsOf(file(rules, listener)), [], rules.join(' '))
})

t.test('groups and rule sets that nothing uses are told of, and those that only rules use are not', async (t) => {
  const groups = (...names: readonly string[]): string =>
    names.map((name) => `  - { name: ${name}, protocol: http, targets: [{ address: 127.0.0.1:9009 }] }\n`).join('')
  const used = file(
    ['{ match: { path: /a }, forward: api }', '{ use: shared }'],
    undefined,
    'ruleSets: { shared: [{ match: { path: /b }, forward: [{ targetGroup: v1 }] }] }',
  )
  t.same(warningsOf(used + groups('api', 'v1')), [])
  const sets = 'ruleSets: { lost: [{ match: { path: /b }, forward: v1 }] }'
  t.match(warningsOf(file(['{ respond: {} }'], undefined, sets) + groups('v1', 'v2')), [
    /^test\.yaml:2:13: ruleSets\.lost: is used by no listener/,
    /^test\.yaml:12:13: targetGroups\.1\.name: no listener, and only rules of sets that no listener uses, name this group/,
    /^test\.yaml:13:13: targetGroups\.2\.name: no listener and no rule names this group/,
  ])
})

t.test('what is wrong in a shared set is said once, with the listener for which it is so', async (t) => {
  const sets = 'ruleSets: { shared: [{ match: { path: /a }, forward: app }, { match: { path: /a }, respond: {} }] }'
  const more =
    '\n  - { name: other, protocol: http, listen: 127.0.0.1:8081, targetGroup: app, rules: shared }\ntargetGroups:'
  t.match(warningsOf(file(['{ use: shared }'], undefined, sets).replace('\ntargetGroups:', more)), [
    /^test\.yaml:2:\d+: ruleSets\.shared\.1: never matches on listener "web": rule "1" comes/,
  ])
})

t.test('a sticky cookie of a group that only rules use is warned of where a browser would refuse it', async (t) => {
  const group =
    '  - { name: api, protocol: http, targets: [{ address: 127.0.0.1:9009 }], stickiness: { type: cookie, sameSite: none } }\n'
  t.match(warningsOf(file(['{ match: { path: /a }, forward: api }']) + group), [
    /targetGroups\.1\.stickiness: browsers refuse a cookie of sameSite: none .* listener "web" speaks http/,
  ])
})

const asRule = (match: MatchConfig, index: number): RuleConfig => ({
  name: String(index + 1),
  match,
  action: { type: 'respond', status: 200 + (index % 100), headers: [], body: new Uint8Array(0), bodyFile: '' },
})

t.test('no request goes by a rule of which it is said that it never matches', async (t) => {
  const some = (...items: string[]) => fc.uniqueArray(fc.constantFrom(...items), { maxLength: 2 })
  const value = (name: string): fc.Arbitrary<ValueMatch[]> =>
    fc.constantFrom<ValueMatch[]>(
      [],
      [],
      [{ name, is: 'present', value: '' }],
      [{ name, is: 'absent', value: '' }],
      [{ name, is: 'equal', value: '1' }],
      [{ name, is: 'matching', value: '^1' }],
    )
  const match: fc.Arbitrary<MatchConfig> = fc
    .record({
      hosts: fc.constantFrom<string[]>([], [], ['a.example'], ['*.example', 'a.*']),
      paths: fc.constantFrom<string[]>([], [], ['/*'], ['/a', '/a/*'], ['/a']),
      regex: fc.constantFrom('', '', '^/a', '.*'),
      methods: fc.constantFrom<string[]>([], [], ['GET'], ['GET', 'OPTIONS']),
      headers: value('x'),
      cookies: value('c'),
      query: value('q'),
      sourceIp: fc.constantFrom<string[]>([], [], [], ['127.0.0.0/8'], ['127.0.0.1/32', '::1/128'], ['10.0.0.0/8']),
    })
    .map(({ regex, ...rest }) => ({ ...rest, pathRegex: regex, paths: regex === '' ? rest.paths : [] }))
  const request = fc.record({
    method: fc.constantFrom('GET', 'OPTIONS', 'POST'),
    host: fc.constantFrom('a.example', 'b.example', 'a.test', 'other'),
    path: fc.constantFrom('/', '/a', '/a/', '/a/b', '/b', '*'),
    fields: some('x: 1', 'x: 2', 'cookie: c=1', 'cookie: c=2'),
    query: fc.constantFrom('', '?q=1', '?q=2', '?r'),
  })
  const parser = new RequestParser({ maxHeaderBytes: 32_768, maxHeaders: 128, maxTargetBytes: 8_192 })
  let covered = 0
  fc.assert(
    fc.property(
      fc.array(match, { minLength: 2, maxLength: 8 }),
      fc.array(request, { minLength: 10, maxLength: 20 }),
      (matches, requests) => {
        const rules = matches.map(asRule)
        const findings = findOrder(rules, bucketsOf(rules)).filter(({ type }) => type === 'covered')
        covered += findings.length
        const matcher = new RuleMatcher(rules)
        for (const { method, host, path, fields, query } of requests) {
          if (path === '*' && (method !== 'OPTIONS' || query !== '')) continue
          const text = `${method} ${path}${query} HTTP/1.1\r\nhost: ${host}\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
          const buffer = Buffer.from(text, 'latin1')
          parser.reset()
          if (parser.parse(buffer, 0, buffer.length) !== PARSE_COMPLETE)
            throw new Error(`${text}: ${parser.errorDetail}`)
          const chosen = matcher.match({
            parser,
            buffer,
            start: 0,
            source: { family: 4, address: '127.0.0.1', port: 1 },
          })
          const finding = findings.find(({ index }) => index === chosen)
          if (finding?.type === 'covered' && !(finding.but && path === '*')) {
            throw new Error(`${text} goes by ${chosen}, of which it is said: ${JSON.stringify(finding)}`)
          }
        }
      },
    ),
    { seed: SEED, numRuns: 400 },
  )
  t.ok(covered > 5, `${covered} rules never matched`)
})
