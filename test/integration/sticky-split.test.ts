import t from 'tap'
import type { Test } from './support/castor.js'
import { ask, connectTo } from './support/http2-peers.js'
import { patch } from './support/operator.js'
import { get, RawClient, type RawResponse, request } from './support/raw-client.js'
import { ok } from './support/raw-target.js'
import { type Routing, type RoutingOptions, startRouting } from './support/routing.js'
import { authorityFor, ask as secureAsk, secured } from './support/tls.js'

const GROUPS = ['blue', 'green', 'red'] as const
const SECRET = { secret: 'one and the same for all hosts' }
const COOKIE = /^CASTOR-SPLIT-lab=[0-9a-f]{32}$/

/** A balancer with a rule `lab` that splits by these weights and keeps clients on their side for an hour. */
function startSplit(
  t: Test,
  weights: Readonly<Record<string, number>>,
  options: RoutingOptions = {},
): Promise<Routing> {
  const forward = Object.entries(weights).map(([targetGroup, weight]) => ({ targetGroup, weight }))
  const rules = [{ name: 'lab', match: { path: '/*' }, forward, stickySplit: '1h' }]
  return startRouting(t, GROUPS, rules, { more: SECRET, ...options })
}

const cookies = ({ fields }: Pick<RawResponse, 'fields'>): string[] =>
  fields.flatMap(([name, value]) => (name.toLowerCase() === 'set-cookie' ? [value] : []))
const pair = (line: string | undefined): string => line?.split(';')[0] ?? ''
const withCookie = (cookie: string): string => get('/', [`Cookie: a=b; ${cookie}; c=d`])

/** A client of each group: the cookie that it has been given. */
async function clientsOf(port: number): Promise<Map<string, string>> {
  const clients = new Map<string, string>()
  for (let i = 0; i < 4; i++) {
    const answer = await request(port, get('/'))
    clients.set(answer.text, pair(cookies(answer)[0]))
  }
  return clients
}

t.test('a client stays on the side that it was given to, on every thread and host of the same secret', async (t) => {
  const one = await startSplit(t, { blue: 1, green: 1 }, { workers: 2 })
  const other = await startSplit(t, { green: 1, blue: 9, red: 1 })
  const first = await request(one.port, get('/'))
  t.match(
    cookies(first)[0],
    /^CASTOR-SPLIT-lab=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600$/,
    'as promised, and nothing more',
  )
  const clients = await clientsOf(one.port)
  t.same([...clients.keys()].sort(), ['blue', 'green'], 'new clients go to both')
  for (const [side, cookie] of clients) {
    t.match(cookie, COOKIE)
    for (const { port } of [one, other]) {
      for (let i = 0; i < 6; i++) {
        const answer = await request(port, withCookie(cookie))
        t.equal(answer.text, side)
        t.same(cookies(answer).map(pair), [cookie], 'and is given it anew')
      }
    }
  }
})

t.test(
  'a side that is gone, has no weight or has no available target loses its clients to one that serves',
  async (t) => {
    const { port, balancer, targets } = await startSplit(t, { blue: 1, green: 1 })
    const green = (await clientsOf(port)).get('green')!
    for (const weights of [
      { blue: 1, green: 0 },
      { blue: 1, red: 1 },
    ]) {
      const other = await startSplit(t, weights)
      const answer = await request(other.port, withCookie(green))
      t.not(answer.text, 'green', JSON.stringify(weights))
      t.not(pair(cookies(answer)[0]), green)
      t.equal((await request(other.port, withCookie(pair(cookies(answer)[0])))).text, answer.text, 'and stays there')
    }
    await patch(balancer, targets.get('green')!.address, { state: 'maintenance' }, 'green')
    for (let i = 0; i < 6; i++) {
      t.equal((await request(port, withCookie(green))).text, 'blue')
      t.equal((await request(port, get('/'))).text, 'blue', 'nor is a new client given to it')
    }
    await patch(balancer, targets.get('green')!.address, { state: 'active' }, 'green')
    t.equal((await request(port, withCookie(green))).text, 'green')
  },
)

t.test('a value that is forged or of another rule is ignored', async (t) => {
  const { port } = await startSplit(t, { blue: 0, green: 1 })
  const forged = ['', 'blue', '0'.repeat(32), 'f'.repeat(31), `${'0'.repeat(32)}0`, '"', 'ü'.repeat(16)]
  for (const value of forged) {
    const answer = await request(port, withCookie(`CASTOR-SPLIT-lab=${value}`))
    t.equal(answer.text, 'green', value)
    t.match(pair(cookies(answer)[0]), COOKIE)
  }
  const both = await startSplit(t, { blue: 1, green: 1 })
  const clients = await clientsOf(both.port)
  const many = `CASTOR-SPLIT-lab=${'0'.repeat(32)}; ${clients.get('blue')}`
  for (let i = 0; i < 4; i++)
    t.equal((await request(both.port, withCookie(many))).text, 'blue', 'the one that is right')
  const { port: another } = await startRouting(
    t,
    GROUPS,
    [
      {
        name: 'other',
        forward: [
          { targetGroup: 'blue', weight: 1 },
          { targetGroup: 'green', weight: 1 },
        ],
        stickySplit: '1h',
      },
    ],
    { more: SECRET },
  )
  const renamed = clients.get('blue')!.replace('-lab=', '-other=')
  const client = await RawClient.connect(another)
  t.teardown(() => client.close())
  const [one, two] = [await client.exchange(withCookie(renamed)), await client.exchange(withCookie(renamed))]
  t.same([one.text, two.text].sort(), ['blue', 'green'], 'taken in turn')
})

t.test('a group with a cookie of its own has both set', async (t) => {
  const { port } = await startSplit(
    t,
    { blue: 1, green: 1 },
    { group: { stickiness: { type: 'cookie', name: 'own' } } },
  )
  for (let i = 0; i < 4; i++) {
    const answer = await request(port, get('/'))
    const [own, split, ...more] = cookies(answer).map(pair)
    t.match(own, /^own=[0-9a-f]{32}$/)
    t.match(split, COOKIE)
    t.same(more, [])
    const again = await request(port, get('/', [`Cookie: ${split}; ${own}`]))
    t.equal(again.text, answer.text)
    t.same(cookies(again).map(pair), [own, split])
  }
})

t.test('HTTP/2 clients stay on their side, with the group’s own cookie too', async (t) => {
  for (const [group, count] of [
    [{}, 1],
    [{ stickiness: { type: 'cookie' } }, 2],
  ] as const) {
    const { port } = await startSplit(t, { blue: 1, green: 1 }, { listener: { http2: true }, group })
    const client = await connectTo(t, port)
    const first = await ask(client)
    const set = first.headers['set-cookie']!
    t.equal(set.length, count)
    for (let i = 0; i < 4; i++) {
      const again = await ask(client, { cookie: set.map(pair) })
      t.equal(String(again.body), String(first.body))
    }
  }
})

t.test('clients of https get a cookie that is Secure', async (t) => {
  const certificate = authorityFor(t).issue('lab.example')
  const { port } = await startSplit(t, { blue: 1, green: 1 }, { listener: { ...secured([certificate]) } })
  const answer = await secureAsk(port)
  t.match(answer.headers['set-cookie']?.[0], /^CASTOR-SPLIT-lab=[0-9a-f]{32}; Path=\/; .*; Secure$/)
})

t.test('a WebSocket goes to its client’s side and gets the cookie with the 101', async (t) => {
  const { port, targets } = await startSplit(t, { blue: 1, green: 1 })
  const clients = await clientsOf(port)
  for (const [name, target] of targets) {
    target.script = {
      onHead: (_, connection) => {
        connection.write(`HTTP/1.1 101 ${name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`)
        return false
      },
      answer: (_, connection) => connection.write(ok(name)),
    }
  }
  for (const [side, cookie] of clients) {
    const lines = ['Connection: Upgrade', 'Upgrade: websocket', `Cookie: ${cookie}`]
    for (let i = 0; i < 3; i++) {
      const client = await RawClient.connect(port)
      const answer = await client.exchange(get('/', lines))
      t.equal(answer.status, 101)
      t.equal(answer.reason, side)
      t.same(cookies(answer).map(pair), [cookie])
      client.close()
    }
  }
})
