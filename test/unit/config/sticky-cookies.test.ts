import t from 'tap'
import { warnOfStickyCookies } from '../../../src/config/check-stickiness.js'
import { formatProblem } from '../../../src/config/problems.js'
import { leastCpuMs } from '../../cpu-time.js'
import { parse, problemsOf } from './support.js'

interface Sticky {
  readonly listen?: string
  readonly listener?: object
  readonly stickiness: object
  readonly name?: string
}

/** A listener and its group for each; YAML is a superset of JSON. */
function file(...all: readonly Sticky[]): string {
  const nameOf = ({ name }: Sticky, i: number): string => name ?? `g${i}`
  return JSON.stringify({
    listeners: all.map((each, i) => ({
      name: `l${i}`,
      protocol: 'http',
      listen: each.listen ?? `0.0.0.0:${8000 + i}`,
      targetGroup: nameOf(each, i),
      ...each.listener,
    })),
    targetGroups: all.map((each, i) => ({
      name: nameOf(each, i),
      protocol: 'http',
      targets: [{ address: `127.0.0.1:${9000 + i}` }],
      stickiness: each.stickiness,
    })),
  })
}

function warningsOf(...all: readonly Sticky[]): string[] {
  const warnings: string[] = []
  parse(file(...all), { onWarning: (warning) => warnings.push(formatProblem(warning)) })
  return warnings
}

const own = (more: object = {}): Sticky => ({ stickiness: { type: 'cookie', ...more } })
const learned = (name: string): Sticky => ({ stickiness: { type: 'app-cookie', name } })

t.test('the cookie’s name is its group’s, and what is written is taken', async (t) => {
  const config = parse(
    file(own(), own({ name: 'SID', sameSite: 'none', secure: true, domain: 'Shop.Example', maxAge: '1h' })),
  )
  t.same(config.targetGroups[0]!.stickiness, {
    type: 'cookie',
    name: 'CASTOR-g0',
    maxAgeSeconds: 0,
    sameSite: 'lax',
    domain: '',
    secure: 'auto',
  })
  t.same(config.targetGroups[1]!.stickiness, {
    type: 'cookie',
    name: 'SID',
    maxAgeSeconds: 3600,
    sameSite: 'none',
    domain: 'shop.example',
    secure: true,
  })
})

const REFUSED: readonly [string, object, RegExp][] = [
  [
    'SameSite=None without Secure',
    { sameSite: 'none', secure: false },
    /secure: browsers refuse a cookie of sameSite: none that is not Secure/,
  ],
  ['a prefix without Secure', { name: '__Secure-a', secure: 'off' }, /browsers refuse a cookie named __Secure-a that/],
  ['__Host- with a domain', { name: '__Host-a', secure: true, domain: 'a.example' }, /domain: browsers refuse/],
  ['an address as domain', { domain: '192.0.2.1' }, /domain: browsers take no address/],
  ['a leading dot', { domain: '.a.example' }, /domain: ".a.example" is not a host name/],
  ['a header in the domain', { domain: 'a.example; Path=/b' }, /is not a host name/],
  [
    'an unknown sameSite',
    { sameSite: 'Lax' },
    /sameSite: must be one of lax, strict, none, not "Lax" \(did you mean "lax"\?\)/,
  ],
  ['an unknown secure', { secure: 'always' }, /secure: must be auto, true or false, not "always"/],
  [
    'attributes of an application’s cookie',
    { type: 'app-cookie', name: 'a', sameSite: 'lax' },
    /unknown key "sameSite"/,
  ],
]

for (const [what, keys, message] of REFUSED) {
  t.test(`${what} is refused`, async (t) => {
    const problems = problemsOf(file({ stickiness: { type: 'cookie', ...keys } }))
    t.equal(problems.length, 1)
    t.match(problems[0], message)
  })
}

const WARNED: readonly [string, readonly Sticky[], RegExp][] = [
  [
    'the same name on two ports',
    [own({ name: 'A' }), own({ name: 'A' })],
    /targetGroups.1.stickiness.name: target group "g0" has a cookie "A" too/,
  ],
  [
    'another group’s default',
    [
      { ...own(), name: 'a' },
      { ...own({ name: 'CASTOR-a' }), name: 'b' },
    ],
    /target group "a" has a cookie "CASTOR-a" too/,
  ],
  [
    'the same by a default that comes later',
    [
      { ...own({ name: 'CASTOR-b' }), name: 'a' },
      { ...own(), name: 'b' },
    ],
    /targetGroups.1.stickiness: target group "a" has a cookie "CASTOR-b" too/,
  ],
  [
    'an application’s cookie',
    [learned('SID'), own({ name: 'SID' })],
    /the application of target group "g0" sets a cookie "SID" too/,
  ],
  [
    'a name that an application uses as well',
    [own({ name: 'SID' }), learned('SID')],
    /target group "g0" has a cookie "SID" too/,
  ],
  [
    'addresses of both families',
    [
      { ...own({ name: 'A' }), listen: '192.0.2.1:80' },
      { ...own({ name: 'A' }), listen: '[2001:db8::1]:81' },
    ],
    /too/,
  ],
  [
    'domains that overlap',
    [
      { ...own({ name: 'A', domain: 'a.example' }), listen: '192.0.2.1:80' },
      { ...own({ name: 'A', domain: 'www.a.example' }), listen: '192.0.2.2:80' },
    ],
    /too/,
  ],
  ['SameSite=None on an http listener', [own({ sameSite: 'none' })], /listener "l0" speaks http; write secure: true/],
]

for (const [what, all, message] of WARNED) {
  t.test(`${what}: the check warns`, async (t) => {
    const warnings = warningsOf(...all)
    t.equal(warnings.length, 1)
    t.match(warnings[0], message)
  })
}

const QUIET: readonly [string, readonly Sticky[]][] = [
  ['defaults', [own(), own()]],
  ['two applications', [learned('SID'), learned('SID')]],
  [
    'other addresses',
    [
      { ...own({ name: 'A' }), listen: '192.0.2.1:80' },
      { ...own({ name: 'A' }), listen: '192.0.2.2:80' },
    ],
  ],
  ['other domains', [own({ name: 'A', domain: 'a.example' }), own({ name: 'A', domain: 'b.example' })]],
  ['SameSite=None where TLS ends in front', [own({ sameSite: 'none', secure: true })]],
]

for (const [what, all] of QUIET) {
  t.test(`${what}: nothing to warn of`, async (t) => t.same(warningsOf(...all), []))
}

t.test('groups of one name by the thousand are told of in time', async (t) => {
  const all = Array.from({ length: 5_000 }, (_, i) => ({
    ...own({ name: 'A' }),
    listen: `10.0.${i >> 8}.${i & 255}:80`,
  }))
  const tree: unknown = JSON.parse(file(...all))
  const tookMs = leastCpuMs(1, () => warnOfStickyCookies(tree, () => t.fail('a warning')))
  t.ok(tookMs < 2_000, `${tookMs} ms`)
})

t.test('rules of one name that split differently, on one host, are warned of', async (t) => {
  const warningsFor = (second: object): string[] => {
    const rule = { name: 'lab', match: { path: '/*' }, stickySplit: '1h' }
    const warnings: string[] = []
    parse(
      JSON.stringify({
        listeners: [
          { rules: [{ ...rule, forward: [{ targetGroup: 'a' }, { targetGroup: 'b' }] }] },
          { rules: [{ ...rule, forward: [{ targetGroup: 'a' }, { targetGroup: 'c' }], ...second }] },
        ].map(({ rules }, i) => ({
          name: `l${i}`,
          protocol: 'http',
          listen: `127.0.0.1:${8000 + i}`,
          targetGroup: 'a',
          rules,
        })),
        targetGroups: ['a', 'b', 'c'].map((name, i) => ({
          name,
          protocol: 'http',
          targets: [{ address: `127.0.0.1:${9000 + i}` }],
        })),
      }),
      { onWarning: (warning) => warnings.push(formatProblem(warning)) },
    )
    return warnings.filter((warning) => warning.includes('CASTOR-SPLIT'))
  }
  const [warning, ...more] = warningsFor({})
  t.match(warning, /listeners\.1\.rules\.0\.name: a rule "lab" of listener "l0" keeps its clients with other groups/)
  t.same(more, [])
  t.same(warningsFor({ name: 'other' }), [])
  t.same(warningsFor({ forward: [{ targetGroup: 'b' }, { targetGroup: 'a' }] }), [], 'who splits alike shares clients')
  t.same(warningsFor({ stickySplit: undefined }), [])
})
