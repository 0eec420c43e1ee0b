import t from 'tap'
import { startTestCastor, type Test } from './support/castor.js'
import { patch } from './support/operator.js'
import { get, type RawResponse, request } from './support/raw-client.js'
import { RawTarget, type Script } from './support/raw-target.js'

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
    /^CASTOR=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=60$/,
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
      const cookie = asked.target === '/login' ? `Set-Cookie: x=1\r\nSet-Cookie: SID=s${++sessions}; Path=/\r\n` : ''
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
