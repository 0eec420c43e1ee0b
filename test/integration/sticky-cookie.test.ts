import t from 'tap'
import { startTestCastor, type Test } from './support/castor.js'
import { patch, shown } from './support/operator.js'
import { get, RawClient, type RawResponse, request } from './support/raw-client.js'
import { RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'

async function targets(t: Test, count: number, script: Script = {}): Promise<RawTarget[]> {
  const all = await Promise.all(Array.from({ length: count }, () => RawTarget.start(script)))
  for (const target of all) t.teardown(() => target.stop())
  return all
}

const cookieOf = (response: RawResponse): string => response.header('set-cookie')?.split(';')[0] ?? ''
const servedBy = (all: readonly RawTarget[], path: string): RawTarget =>
  all.find(({ requests }) => requests.some(({ target }) => target === path))!

t.test('an inserted cookie keeps its client, over workers and restarts, and is sent each time', async (t) => {
  const all = await targets(t, 3)
  const addresses = all.map(({ address }) => address)
  const options = { workers: 2, group: { stickiness: { type: 'cookie', maxAge: 60 } } }
  const castor = await startTestCastor(t, addresses, options)
  const first = await request(castor.port, get('/first'))
  t.match(
    first.header('set-cookie'),
    /^CASTOR-app=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60$/,
    'as promised, and nothing more',
  )
  const home = servedBy(all, '/first')
  const again = await startTestCastor(t, addresses, options)
  for (const port of [castor.port, again.port]) {
    for (let i = 0; i < 8; i++) {
      const answer = await request(port, get(`/${port}/${i}`, [`Cookie: a=b; ${cookieOf(first)}; c=d`]))
      t.equal(cookieOf(answer), cookieOf(first))
      t.equal(servedBy(all, `/${port}/${i}`), home)
    }
  }
  t.equal(home.requests.at(-1)!.header('cookie'), `a=b; ${cookieOf(first)}; c=d`, 'passed on unchanged')
})

t.test('a draining target keeps its clients, one in maintenance loses them to a choice that lasts', async (t) => {
  const all = await targets(t, 3)
  const castor = await startTestCastor(
    t,
    all.map(({ address }) => address),
    { group: { stickiness: { type: 'cookie' } } },
  )
  const cookie = cookieOf(await request(castor.port, get('/first')))
  const home = servedBy(all, '/first')
  await patch(castor, home.address, { state: 'draining' })
  t.equal(cookieOf(await request(castor.port, get('/draining', [`Cookie: ${cookie}`]))), cookie)
  t.equal(servedBy(all, '/draining'), home)
  await patch(castor, home.address, { state: 'maintenance' })
  const moved = cookieOf(await request(castor.port, get('/moved', [`Cookie: ${cookie}`])))
  t.not(moved, cookie)
  const next = servedBy(all, '/moved')
  for (let i = 0; i < 4; i++) {
    await request(castor.port, get(`/stays${i}`, [`Cookie: ${moved}`]))
    t.equal(servedBy(all, `/stays${i}`), next)
  }
})

t.test('the application’s cookie is learned and followed, by every worker', async (t) => {
  let sessions = 0
  const all = await targets(t, 3, {
    answer: (asked, connection) => {
      const cookie =
        asked.target === '/login'
          ? `Set-Cookie: x=1\r\nSet-Cookie: SID = s${++sessions} ; Path=/\r\nSet-Cookie: SID=deleted; Max-Age=0; Path=/old\r\n`
          : ''
      connection.write(`HTTP/1.1 200 OK\r\n${cookie}Content-Length: 0\r\n\r\n`)
    },
  })
  const stickiness = { type: 'app-cookie', name: 'SID' }
  const castor = await startTestCastor(
    t,
    all.map(({ address }) => address),
    { workers: 2, group: { stickiness } },
  )
  await request(castor.port, get('/login'))
  const home = servedBy(all, '/login')
  for (let i = 0; i < 9; i++) {
    await request(castor.port, get(`/in${i}`, ['Cookie: SID=s1']))
    t.equal(servedBy(all, `/in${i}`), home)
  }
})

t.test('a client’s address is bound to a target, over workers', async (t) => {
  const all = await targets(t, 3)
  const castor = await startTestCastor(
    t,
    all.map(({ address }) => address),
    { workers: 2, group: { stickiness: { type: 'source-ip' } } },
  )
  for (let i = 0; i < 9; i++) t.equal((await request(castor.port, get('/'))).status, 200)
  t.same(all.map(({ requests }) => requests.length).sort(), [0, 0, 9])
})

const GONE = 'HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n'

for (const stickiness of [{ type: 'cookie' }, { type: 'app-cookie', name: 'SID' }]) {
  t.test(`${stickiness.type}: a client whose target goes down has a new one, and stays there`, async (t) => {
    const down = new Set<RawTarget>()
    const all: RawTarget[] = await targets(t, 3)
    for (const target of all) {
      target.script = {
        answer: (asked, connection) => {
          const learned = stickiness.type === 'app-cookie' && asked.target === '/first'
          const cookie = learned ? 'Set-Cookie: SID=abc; Path=/\r\n' : ''
          connection.write(down.has(target) ? GONE : `HTTP/1.1 200 OK\r\n${cookie}Content-Length: 0\r\n\r\n`)
        },
      }
    }
    const check = { protocol: 'http', interval: '100ms', timeout: '1s', healthyThreshold: 1, unhealthyThreshold: 1 }
    const castor = await startTestCastor(
      t,
      all.map(({ address }) => address),
      { workers: 2, group: { stickiness, healthCheck: check } },
    )
    const jar: { cookie: string } = { cookie: '' }
    const ask = async (path: string): Promise<RawTarget> => {
      const answer = await request(castor.port, get(path, jar.cookie === '' ? [] : [`Cookie: ${jar.cookie}`]))
      t.equal(answer.status, 200)
      jar.cookie = cookieOf(answer) || jar.cookie
      return servedBy(all, path)
    }
    const health = async (target: RawTarget): Promise<string> => (await shown(castor, target.address)).health
    const home = await ask('/first')
    t.equal(await ask('/again'), home)
    down.add(home)
    await until('it being left out', async () => (await health(home)) === 'unhealthy')
    const next = await ask('/next')
    t.not(next, home)
    for (let i = 0; i < 6; i++) t.equal(await ask(`/down${i}`), next, 'while it is down')
    down.delete(home)
    await until('it being well again', async () => (await health(home)) === 'healthy')
    for (let i = 0; i < 6; i++) t.equal(await ask(`/back${i}`), next, 'when it is back')
  })
}

t.test('what one worker learned of an application’s cookie every worker follows, also when it changes', async (t) => {
  const all = await targets(t, 3, {
    answer: (asked, connection) => {
      const cookie = asked.target.startsWith('/set/') ? `Set-Cookie: SID=${asked.target.slice(5)}\r\n` : ''
      connection.write(`HTTP/1.1 200 OK\r\n${cookie}Content-Length: 0\r\n\r\n`)
    },
  })
  const castor = await startTestCastor(
    t,
    all.map(({ address }) => address),
    { workers: 2, group: { stickiness: { type: 'app-cookie', name: 'SID' } } },
  )
  // Open at the same time they are on both workers, two on each.
  const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(castor.port)))
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  await until('two on each worker', async () => {
    const metrics = await castor.metrics()
    return [1, 2].every((worker) => metrics.get(`castor_worker_connections_active{worker="${worker}"}`) === 2)
  })
  let asked = 0
  const everywhere = async (cookie: string, home: RawTarget): Promise<void> => {
    for (const client of clients) {
      const path = `/${++asked}`
      await client.exchange(get(path, [`Cookie: SID=${cookie}`]))
      t.equal(servedBy(all, path), home, `${cookie} at ${path}`)
    }
  }
  await clients[0]!.exchange(get('/set/a'))
  const home = servedBy(all, '/set/a')
  await everywhere('a', home)
  await clients[3]!.exchange(get('/set/b', ['Cookie: SID=a']))
  t.equal(servedBy(all, '/set/b'), home, 'a new session of a known client begins where it is')
  await everywhere('b', home)
})

t.test('of several cookies of the name each is looked at', async (t) => {
  const all = await targets(t, 3)
  const castor = await startTestCastor(
    t,
    all.map(({ address }) => address),
    { group: { stickiness: { type: 'cookie' } } },
  )
  const cookie = cookieOf(await request(castor.port, get('/first')))
  const home = servedBy(all, '/first')
  const [name] = cookie.split('=')
  for (let i = 0; i < 6; i++) {
    const stale = `${name}=${'0'.repeat(32)}`
    const lines =
      i % 2 === 0 ? [`Cookie: ${stale}; ${cookie}`] : [`Cookie: ${name}=; a=b`, `Cookie: ${cookie}; ${stale}`]
    await request(castor.port, get(`/both${i}`, lines))
    t.equal(servedBy(all, `/both${i}`), home)
  }
})
