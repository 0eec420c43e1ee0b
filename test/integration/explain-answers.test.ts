import fc from 'fast-check'
import t from 'tap'
import type { Explanation } from '../../src/core/explanation.js'
import { SEED } from '../random.js'
import { startBalancer } from './support/balancer.js'
import { ask as askOverHttp2, connectTo } from './support/http2-peers.js'
import { ask as askAdmin } from './support/operator.js'
import { get, type RawResponse, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { startRouting } from './support/routing.js'

t.comment(`seed ${SEED}`)

type Explained = Omit<Explanation, 'version'> & {
  readonly group: string | null
  readonly target: string | null
  readonly shortened?: boolean
}

const ASKS = 'x-castor-explain: 1'
const TRUSTING = { explainFrom: ['127.0.0.1/32'] }

function explainedIn(response: RawResponse): Explained | undefined {
  const value = response.header('x-castor-explain')
  return value === undefined ? undefined : (JSON.parse(value) as Explained)
}

const RULES = [
  {
    name: 'edited',
    match: { path: '/edited/*' },
    forward: 'b',
    rewrite: { path: '/new/*', host: 'inner.test' },
    mirror: { targetGroup: 'a', percent: 0 },
    requestHeaders: { set: { 'x-tier': '${query.tier}' }, remove: ['x-debug'] },
    responseHeaders: { add: { 'x-from': '${target}' } },
    timeouts: { response: '7s' },
  },
  { name: 'moved', match: { path: '/moved/*' }, redirect: { status: 302, path: '/to${path}' } },
  { name: 'said', match: { path: '/said' }, respond: { status: 200, body: 'x', headers: { a: 'b' } } },
  {
    name: 'split',
    match: { path: '/split' },
    forward: [
      { targetGroup: 'a', weight: 1 },
      { targetGroup: 'b', weight: 1 },
    ],
    stickySplit: '1h',
  },
  { name: 'down', match: { path: '/down' }, forward: 'nobody' },
]
const NOBODY = {
  ...{ name: 'nobody', protocol: 'http', healthCheck: { protocol: 'off' } },
  targets: [{ address: '127.0.0.1:1', id: 'none', weight: 0 }],
}

t.test('a client in explainFrom is told how its request was routed, whoever answers', async (t) => {
  const { port, targets } = await startRouting(t, ['a', 'b'], RULES, { listener: TRUSTING, groups: [NOBODY] })
  const said = async (target: string, ...lines: string[]): Promise<Explained> =>
    explainedIn(await request(port, get(target, [ASKS, ...lines])))!
  const edited = await said('/edited/x?tier=gold')
  t.match(edited, {
    ...{ listener: 'web', rule: 'edited', outcome: 'forward', group: 'b', target: targets.get('b')!.address },
    mirror: { targetGroup: 'a', percent: 0 },
    limits: { responseTimeoutMs: 7000, maxHeaders: 128 },
  })
  t.same(edited.edits, {
    refused: null,
    rewritten: { target: '/new/x?tier=gold', host: 'inner.test' },
    request: { removed: ['x-tier', 'x-debug'], written: ['x-tier: gold'] },
    response: { removed: [], written: ['x-from: ${target}'] },
  })
  t.match(await said('/moved/a'), {
    rule: 'moved',
    outcome: 'redirect',
    status: 302,
    group: null,
    location: /to\/moved/,
  })
  t.match(await said('/said'), { rule: 'said', outcome: 'respond', group: null, target: null })
  t.match(await said('/moved'), { rule: null, outcome: 'slash', status: 301 })
  t.match(await said('/'), { rule: null, outcome: 'forward', group: 'a', edits: null, split: null })
  t.match(await said('/down'), { group: 'nobody', target: null, groups: [{ why: 'no target is available: 503' }] })
  const first = await request(port, get('/split', [ASKS]))
  const [, cookie, group] = /(CASTOR-SPLIT-split=[0-9a-f]+)/.exec(first.header('set-cookie')!)!.concat(first.text)
  for (let i = 0; i < 3; i++) {
    t.match(await said('/split', `Cookie: ${cookie}`), { split: { cookie: 'CASTOR-SPLIT-split', group }, group })
  }
})

t.test('nobody else is told, and no target sees the field, whatever its spelling', async (t) => {
  const { port, targets } = await startRouting(t, ['a'], [], { listener: { explainFrom: ['192.0.2.0/24'] } })
  const lines = [ASKS, 'X_Castor_Explain: 1', 'X-Forwarded-For: 192.0.2.1', 'x-castor-other: 2']
  const response = await request(port, get('/', lines))
  t.equal(response.header('x-castor-explain'), undefined)
  const trusting = await startRouting(t, ['a'], [], { listener: TRUSTING })
  t.equal((await request(trusting.port, get('/'))).header('x-castor-explain'), undefined, 'nor who does not ask')
  t.equal((await request(trusting.port, get('/', ['x-castor-explain: 0']))).header('x-castor-explain'), undefined)
  t.ok((await request(trusting.port, get('/', lines))).header('x-castor-explain'))
  for (const target of [targets.get('a')!, trusting.targets.get('a')!]) {
    const seen = target.requests.map(({ fields }) => fields.flat().join('\n').toLowerCase())
    t.ok(seen.length > 0)
    for (const head of seen) t.notMatch(head, /x.castor.explain/)
  }
  t.match(targets.get('a')!.requests[0]!.header('x-castor-other'), '2')
})

t.test('over HTTP/2 it is told the same', async (t) => {
  const { port } = await startRouting(t, ['a', 'b'], RULES, {
    listener: { ...TRUSTING, http2: true },
    groups: [NOBODY],
  })
  const session = await connectTo(t, port)
  for (const [path, rule] of [
    ['/edited/x', 'edited'],
    ['/moved/x', 'moved'],
    ['/said', 'said'],
    ['/down', 'down'],
  ]) {
    const { headers } = await askOverHttp2(session, { ':path': path, 'x-castor-explain': '1' })
    t.match(JSON.parse(String(headers['x-castor-explain'])), { rule }, `${path}`)
  }
})

t.test('what is told is one line of ASCII and bounded, however much there would be to tell', async (t) => {
  const rules = Array.from({ length: 300 }, (_, index) => ({
    name: `n-${index}-${'n'.repeat(50)}`,
    match: { path: '/x', headers: { [`x-${index}`]: '1' } },
    forward: 'a',
    responseHeaders: { set: { 'x-long': 'e'.repeat(3_000), 'x-client': 'e${header.x-e}e' } },
  }))
  const everything = {
    name: 'all',
    match: { path: '/x' },
    forward: 'a',
    requestHeaders: { set: { y: 'z'.repeat(4_000) } },
  }
  const { port } = await startRouting(t, ['a'], [...rules, everything], { listener: TRUSTING })
  for (const lines of [[], ['x-7: 1', 'x-e: \u00fc\u0080"']]) {
    const response = await request(port, get('/x', [ASKS, ...lines]))
    const value = response.header('x-castor-explain')!
    t.ok(value.length <= 4 * 1024, `${value.length} bytes`)
    t.match(value, /^[\x20-\x7e]+$/)
    t.match(JSON.parse(value), { shortened: true, group: 'a', rule: lines.length === 0 ? 'all' : /^n-7-/ })
  }
})

const ALGORITHMS = ['round-robin', 'least-connections', 'source-ip', 'random-two', 'peak-ewma', 'maglev'] as const
const STICKY = [
  'off',
  { type: 'cookie', name: 'CK' },
  { type: 'app-cookie', name: 'SID', timeout: '1h' },
  { type: 'source-ip' },
] as const

const anyMatch = fc.record(
  {
    host: fc.constantFrom('a.test', '*.test', 'a.*'),
    path: fc.constantFrom('/a', '/a/*', '/a/b/*', '/*'),
    methods: fc.constantFrom(['GET'], ['POST']),
    headers: fc.constantFrom({ 'x-beta': '1' }, { 'x-beta': '!' }),
    query: fc.constantFrom({ v: '1' }),
    cookies: fc.constantFrom({ lab: '~^b' }),
  },
  { requiredKeys: [] },
)
const anyRequest = fc.record({
  host: fc.constantFrom('a.test', 'b.test', 'a.example'),
  path: fc.constantFrom('/', '/a', '/a/', '/a/b/c', '/%61/x', '/a/../b'),
  query: fc.constantFrom('', '?v=1', '?v=2'),
  method: fc.constantFrom('GET', 'GET', 'HEAD'),
  beta: fc.constantFrom('', '1'),
  lab: fc.constantFrom('', 'bb', 'c'),
})

t.test('what is explained is what happens: rule, group and target, on random rules, states and clients', async (t) => {
  const byTarget = new Map<string, RawTarget>()
  const groups = []
  const names: string[] = []
  for (const [at, algorithm] of ALGORITHMS.entries()) {
    const name = `g${at}`
    names.push(name)
    const targets = []
    for (let index = 0; index < 3; index++) {
      const id = `${name}-${index}`
      const target = await RawTarget.start({
        answer: (_asked, connection) => connection.write(ok(id, [`Set-Cookie: SID=of-${id}`, `x-id: ${id}`])),
      })
      t.teardown(() => target.stop())
      byTarget.set(id, target)
      targets.push({ address: target.address, id, weight: (index * 7 + at) % 12 })
    }
    const stickiness = STICKY[at % STICKY.length]
    groups.push({ ...{ name, protocol: 'http', algorithm, stickiness, targets }, healthCheck: { protocol: 'off' } })
  }
  const matches = fc.sample(anyMatch, { seed: SEED, numRuns: 40 })
  const rules = matches.map((match, at) => ({ name: `r${at}`, match, forward: names[at % names.length] }))
  const castor = await startBalancer(t, {
    workers: 1,
    listeners: [{ ...{ name: 'web', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'g0', rules }, ...TRUSTING }],
    targetGroups: groups,
  })
  const admin = castor.running.admin.port
  for (const [at, id] of [...byTarget.keys()].entries()) {
    if (at % 5 !== 3) continue
    const state = at % 2 === 0 ? 'draining' : 'maintenance'
    await askAdmin(admin, 'PATCH', `/api/v1/target-groups/${id.slice(0, 2)}/targets/${id}`, { state })
  }
  const jar = new Map<string, string>()
  let fixed = 0
  for (const { host, path, query, method, beta, lab } of fc.sample(anyRequest, { seed: SEED, numRuns: 120 })) {
    const cookies = [...jar].map(([name, value]) => `${name}=${value}`)
    if (lab !== '') cookies.push(`lab=${lab}`)
    const lines = [
      ...(beta === '' ? [] : [`X-Beta: ${beta}`]),
      ...(cookies.length > 0 ? [`Cookie: ${cookies.join('; ')}`] : []),
    ]
    const about = new URLSearchParams({ url: `http://${host}${path}${query}`, listener: 'web', method })
    for (const line of lines) about.append('header', line)
    const before = (await askAdmin(admin, 'GET', `/api/v1/explain?${about}`)).json as Explanation
    const head = `${method} ${path}${query} HTTP/1.1\r\nHost: ${host}\r\n${[ASKS, ...lines].join('\r\n')}\r\n\r\n`
    const response = await request(castor.port, head, method)
    const value = response.header('x-castor-explain')
    const explained = JSON.parse(value!) as Explained
    const what = `${head} ${value}`
    if (explained.rule !== before.rule || explained.outcome !== before.outcome)
      t.fail(`${what} ${JSON.stringify(before)}`)
    const served = response.header('x-id')
    if (explained.outcome !== 'forward' || served === undefined) {
      if (explained.outcome === 'slash' ? response.status !== 301 : response.status !== 503) t.fail(what)
      continue
    }
    if (explained.target !== served || explained.group !== served.slice(0, 2)) t.fail(`${what} ${served}`)
    for (const [one] of [explained.groups, before.groups]) {
      const picked = one?.picked ?? []
      if (one?.name !== explained.group || !picked.includes(served))
        t.fail(`${what} ${served} ${JSON.stringify(before)}`)
      if (picked.length === 1) fixed++
    }
    for (const line of response.fields
      .filter(([name]) => name.toLowerCase() === 'set-cookie')
      .map(([, line]) => line)) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (name !== 'SID' || explained.group === 'g2') jar.set(name!, value!)
    }
  }
  t.ok(fixed > 8, `${fixed} told one target`)
})
