import t from 'tap'
import { startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { type Answer, ask } from './support/operator.js'
import { get, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { dial, echo, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'

interface Shown {
  readonly group: string
  readonly target: string | null
  readonly kind: string
  readonly expires: string
  readonly lastUsed: string
  readonly key: string
}

interface Page {
  readonly kind?: string
  readonly stateless?: boolean
  readonly note?: string
  readonly sessions: readonly Shown[]
  readonly next: string | null
  readonly totals: {
    readonly asOf: string | null
    readonly groups: Readonly<Record<string, { readonly sessions: number; readonly targets: Record<string, number> }>>
  }
}

/** Groups of every kind of stickiness, each with a listener of its name. */
async function setting(t: Test, capacity = 131_072) {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const raw = await TcpTarget.start(t, echo)
  const http = (name: string, stickiness: unknown) => ({
    name,
    protocol: 'http',
    targets: [{ address: target.address, id: `${name}-1` }],
    stickiness,
  })
  const groups = [
    http('learned', { type: 'app-cookie', name: 'SID', timeout: '1h' }),
    http('inserted', { type: 'cookie' }),
    http('none', 'off'),
    {
      name: 'raw',
      protocol: 'tcp',
      targets: [{ address: raw.address, id: 'raw-1' }],
      stickiness: { type: 'source-ip', timeout: '60s' },
    },
  ]
  const castor = await startBalancer(t, {
    workers: 2,
    sessions: { capacity },
    listeners: groups.map(({ name, protocol }) => ({ name, protocol, listen: '127.0.0.1:0', targetGroup: name })),
    targetGroups: groups,
  })
  const question = (query: string): Promise<Answer> => ask(castor.running.admin.port, 'GET', `/api/v1/sessions${query}`)
  const page = async (query: string): Promise<Page> => (await question(query)).json as Page
  return { castor, target, question, page }
}

const BAD: readonly [string, number, string][] = [
  ['?group=nowhere', 404, 'there are: learned, inserted, none, raw'],
  ['?limit=0', 400, 'limit'],
  ['?limit=1001', 400, 'limit'],
  ['?limit=ten', 400, 'limit'],
  ['?limit=-1', 400, 'limit'],
  ['?cursor=-1', 400, 'cursor'],
  ['?cursor=99999999', 400, 'cursor'],
  ['?cursor=x', 400, 'cursor'],
  ['?group=raw&group=raw', 400, 'twice'],
  ['?gruop=raw', 400, 'did you mean \\"group\\"'],
]

t.test('questions that are none are refused', async (t) => {
  const { question } = await setting(t)
  for (const [query, code, why] of BAD) {
    const answer = await question(query)
    t.equal(answer.code, code, query)
    t.ok(answer.text.includes(why), `${query}: ${answer.text}`)
  }
})

t.test(
  'learned sessions are listed by group, with target, kind and time, and without saying who the client is',
  async (t) => {
    const { castor, page } = await setting(t)
    const client = await dial(castor.portOf('raw'))
    t.teardown(() => client.destroy())
    const beganMs = Date.now()
    const { sessions } = await until('the session', async () => {
      const found = await page('?group=raw')
      return found.sessions.length > 0 && found
    })
    t.equal(sessions.length, 1)
    const [session] = sessions
    t.match(session, { group: 'raw', target: 'raw-1', kind: 'source-ip' })
    t.match(session!.key, /^[0-9a-f]{32}$/)
    t.equal(Date.parse(session!.expires) - Date.parse(session!.lastUsed), 60_000)
    t.ok(Math.abs(Date.parse(session!.lastUsed) - beganMs) < 5_000, session!.lastUsed)
    t.same((await page('?group=learned')).sessions, [], 'another group has none of it')
    t.equal((await page('')).sessions.length, 1, 'all groups together do')
    const { totals } = await until('a round of counting', async () => {
      const found = await page('?group=raw')
      return found.totals.groups.raw?.sessions === 1 && found
    })
    t.same(totals.groups, { raw: { sessions: 1, targets: { 'raw-1': 1 } } })
    t.ok(Date.parse(totals.asOf!) >= beganMs - 1)
  },
)

t.test('groups that remember nothing say so', async (t) => {
  const { castor, page } = await setting(t)
  await request(castor.portOf('inserted'), get('/'))
  for (const [group, kind, note] of [
    ['inserted', 'cookie', /the cookie itself/],
    ['none', 'off', /off/],
  ] as const) {
    const answer = await page(`?group=${group}`)
    t.match(answer, { kind, stateless: true, note, sessions: [], next: null, totals: { groups: {} } })
  }
  t.match(await page('?group=raw'), { kind: 'source-ip', stateless: false })
})

const COUNT = 60

t.test(
  'pages hold every session once, also while others come; counts and places are in metrics and status',
  async (t) => {
    const { castor, target, page } = await setting(t, 1_000)
    let n = 0
    target.script = { answer: (_, connection) => connection.write(ok('', [`Set-Cookie: SID=client-${n++}`])) }
    while (n < COUNT) await request(castor.portOf('learned'), get('/'))
    const keys = new Set<string>()
    let pages = 0
    for (let next: string | null = '0'; next !== null; pages++) {
      const found: Page = await page(`?group=learned&limit=7&cursor=${next}`)
      t.ok(found.sessions.length <= 7)
      for (const { key } of found.sessions) {
        t.notOk(keys.has(key), 'none twice')
        keys.add(key)
      }
      next = found.next
    }
    t.equal(keys.size, COUNT)
    t.ok(pages >= Math.ceil(COUNT / 7))
    const metrics = await until('a round of counting', async () => {
      const found = await castor.metrics()
      return found.sum('castor_sessions', 'target_group="learned"') === COUNT && found
    })
    t.equal(metrics.sum('castor_session_entries'), COUNT)
    t.equal(metrics.sum('castor_session_capacity'), 1_008, 'rounded up to whole buckets')
    t.equal(metrics.sum('castor_session_evictions_total'), 0)
    t.same(metrics.all('castor_sessions', 'target_group="inserted"'), [], 'only groups that learn')
    const status = (await ask(castor.running.admin.port, 'GET', '/api/v1/status')).json as {
      sessions: object
      targetGroups: { name: string; sessions: number | null }[]
    }
    t.same(status.sessions, { live: COUNT, capacity: 1_008, evictions: 0 })
    t.same(
      status.targetGroups.map(({ sessions }) => sessions),
      [COUNT, null, null, 0],
    )
  },
)

t.test('a full table lets those go that are nearest their end, and says so; what has expired is swept', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startBalancer(t, {
    workers: 1,
    sessions: { capacity: 64 },
    listeners: [{ name: 'in', protocol: 'http', listen: '127.0.0.1:0', targetGroup: 'out' }],
    targetGroups: [
      {
        name: 'out',
        protocol: 'http',
        targets: [{ address: target.address }],
        stickiness: { type: 'app-cookie', name: 'SID', timeout: '2s' },
      },
    ],
  })
  let n = 0
  target.script = { answer: (_, connection) => connection.write(ok('', [`Set-Cookie: SID=client-${n++}`])) }
  while (n < 200) await request(castor.port, get('/'))
  const full = await castor.metrics()
  const capacity = full.sum('castor_session_capacity')
  t.equal(capacity, 72)
  t.ok(full.sum('castor_session_entries') <= capacity)
  t.ok(full.sum('castor_session_evictions_total') > 0, `${full.sum('castor_session_evictions_total')} were evicted`)
  await until('every place being free again', async () => (await castor.metrics()).sum('castor_session_entries') === 0)
  await until('none being counted', async () => (await castor.metrics()).sum('castor_sessions') === 0)
})
