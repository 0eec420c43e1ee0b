import { Agent, request as ask } from 'node:http'
import t from 'tap'
import { toolOrSkip } from '../tools.js'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { RedisServer } from './support/redis.js'
import { until } from './support/until.js'

const CAPACITY = 96

/** Targets that give a session to whoever asks for /login, named for what follows the question mark. */
async function startApp(t: Test, more: object = {}): Promise<{ castor: TestCastor; targets: RawTarget[] }> {
  const targets = await Promise.all(
    Array.from({ length: 3 }, () =>
      RawTarget.start({
        answer: ({ target }, connection) => {
          const [path, id] = target.split('?')
          const cookie = path === '/login' ? `Set-Cookie: SID=${id}\r\n` : ''
          connection.write(`HTTP/1.1 200 OK\r\n${cookie}Content-Length: 0\r\n\r\n`)
        },
      }),
    ),
  )
  for (const target of targets) t.teardown(() => target.stop())
  const castor = await startTestCastor(
    t,
    targets.map(({ address }) => address),
    {
      workers: 2,
      group: { stickiness: { type: 'app-cookie', name: 'SID' } },
      more: { sessions: { capacity: CAPACITY }, ...more },
    },
  )
  return { castor, targets }
}

const evictions = async (castor: TestCastor): Promise<number> =>
  (await castor.metrics()).get('castor_session_evictions_total') ?? Number.NaN

/** Asks `count` times over a few connections. */
async function flood(
  castor: TestCastor,
  count: number,
  headersOf: (n: number) => Record<string, string>,
  pathOf: (n: number) => string,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  await Promise.all(
    Array.from(
      { length: count },
      (_, n) =>
        new Promise<void>((resolve, reject) => {
          const options = { host: '127.0.0.1', port: castor.port, path: pathOf(n), headers: headersOf(n), agent }
          ask(options, (response) => response.resume().on('end', resolve))
            .on('error', reject)
            .end()
        }),
    ),
  )
  agent.destroy()
}

t.test('values of the application’s cookie that clients make up are not learned', async (t) => {
  const { castor } = await startApp(t)
  await flood(
    castor,
    400,
    (n) => ({ cookie: `SID=made-up-${n}` }),
    () => '/',
  )
  await request(castor.port, get('/login?real'))
  t.equal(await evictions(castor), 0)
  const rows = await fetch(`http://127.0.0.1:${castor.running.admin.port}/api/v1/sessions?group=app`)
  t.equal(((await rows.json()) as { sessions: unknown[] }).sessions.length, 1, 'the one that a target gave out')
})

t.test('logins by the thousand push out each other, not the sessions that are in use', async (t) => {
  const { castor, targets } = await startApp(t)
  const homes: RawTarget[] = []
  const ids = Array.from({ length: 10 }, (_, n) => `user-${n}`)
  const servedBy = (path: string): RawTarget =>
    targets.find(({ requests }) => requests.some(({ target }) => target === path))!
  for (const id of ids) {
    await request(castor.port, get(`/login?${id}`))
    homes.push(servedBy(`/login?${id}`))
    await request(castor.port, get(`/in/${id}`, [`Cookie: SID=${id}`]))
  }
  await flood(
    castor,
    2_000,
    () => ({}),
    (n) => `/login?robot-${n}`,
  )
  t.ok((await evictions(castor)) > 1_000, 'the table was full many times over')
  for (const [n, id] of ids.entries()) {
    await request(castor.port, get(`/still/${id}`, [`Cookie: SID=${id}`]))
    t.equal(servedBy(`/still/${id}`), homes[n], `${id} is where it was`)
  }
})

t.test('Redis holds no more sessions than the table', async (t) => {
  if (toolOrSkip(t, 'redis-server') === undefined) return
  const redis = await RedisServer.start(t)
  const cluster = { name: 'flood', redis: redis.url, secret: 'a secret for this test' }
  const { castor } = await startApp(t, { cluster })
  await flood(
    castor,
    1_500,
    () => ({}),
    (n) => `/login?robot-${n}`,
  )
  t.ok((await evictions(castor)) > 1_000)
  const kept = async (): Promise<number> => (await redis.client.keys('castor:{flood}:k:s:*')).length
  await until('Redis to let go of what was evicted', async () => (await kept()) <= CAPACITY, 20_000)
  t.ok((await kept()) > CAPACITY / 2, 'and of no more')
})
