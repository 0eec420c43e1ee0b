import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import t from 'tap'
import type { Test } from './support/castor.js'
import { Groups } from './support/groups.js'
import { get, request } from './support/raw-client.js'
import { RawTarget, type Script } from './support/raw-target.js'
import { authorityFor } from './support/tls.js'
import { until } from './support/until.js'

const BARE_LF = 'HTTP/1.1 200 OK\nContent-Length: 3\nX-Kind: a \n\nabc'
const MIXED = 'HTTP/1.1 200 OK\r\nX-Kind: a\nContent-Length: 3\r\n\nabc'
const CHUNKED = 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nX-Kind: a\n\n3\r\nabc\r\n0\r\n\r\n'
const SHORT = 'HTTP/1.1 200\r\nContent-Length: 3\r\nX-Kind: a\r\n\r\nabc'
const BOTH = 'HTTP/1.0 200\nX-Kind: a\nContent-Length: 3\n\nabc'
const HINTS = `HTTP/1.1 103\nLink: </a>\n\n${SHORT}`

/** What each set of tolerances lets pass of these. */
const PASSED: Readonly<Record<string, readonly string[]>> = {
  strict: [],
  short: [SHORT],
  bare: [BARE_LF, MIXED, CHUNKED],
  both: [BARE_LF, MIXED, CHUNKED, SHORT, BOTH, HINTS],
}
const TOLERATE: Readonly<Record<string, object>> = {
  strict: {},
  short: { tolerate: ['short-status-line'] },
  bare: { tolerate: ['bare-lf'] },
  both: { tolerate: ['bare-lf', 'short-status-line'] },
}
/** Never let pass. */
const REFUSED = [
  'HTTP/1.1 200 OK\nX: a\rSet-Cookie: b=c\nContent-Length: 3\n\nabc',
  'HTTP/1.1 200 OK\r\nX: a\nb\r\nContent-Length: 3\r\n\r\nabc',
  'HTTP/1.1 200 OK\nX: a\n b\nContent-Length: 3\n\nabc',
  'HTTP/1.1 200 OK\nContent-Length: 3\nTransfer-Encoding: chunked\n\nabc',
  'HTTP/1.1 200\rX: a\r\nContent-Length: 3\r\n\r\nabc',
]

async function target(t: Test, script: Script): Promise<RawTarget> {
  const started = await RawTarget.start(script)
  t.teardown(() => started.stop())
  return started
}

const by = (answers: readonly string[]): Script => ({
  answer: (asked, connection) => void connection.write(answers[Number(asked.target.slice(1))]!),
})

t.test(
  'unusual heads of targets are 502 unless their group tolerates the fault, and then passed on in due form',
  async (t) => {
    const answers = [...PASSED.both!, ...REFUSED]
    const served = await target(t, by(answers))
    const scenes = Object.entries(TOLERATE).map(([name, group]) => [name, { targets: [served], group }] as const)
    const groups = await Groups.start(t, Object.fromEntries(scenes), 1)
    for (const [name, passed] of Object.entries(PASSED)) {
      for (const [index, written] of answers.entries()) {
        const answer = await request(groups.portOf(name), get(`/${index}`))
        const what = `${name}: ${JSON.stringify(written)}`
        if (!passed.includes(written)) {
          t.equal(answer.status, 502, what)
          continue
        }
        t.match(answer, { status: 200, text: 'abc', version: 'HTTP/1.1' }, what)
        t.equal(answer.header('x-kind'), 'a')
        t.equal(answer.interims.length, written === HINTS ? 1 : 0)
      }
    }
  },
)

t.test('requests with the same faults are refused all the same', async (t) => {
  const served = await target(t, {})
  const groups = await Groups.start(t, { both: { targets: [served], group: TOLERATE.both! } }, 1)
  for (const head of ['GET / HTTP/1.1\nHost: a\n\n', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n']) {
    t.equal((await request(groups.portOf('both'), head)).status, 400, JSON.stringify(head))
  }
  t.same(served.requests, [])
})

t.test('what a line feed splits off an answer answers no other request', async (t) => {
  const split = 'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\n\n'
  const served = await target(t, by([split, SHORT, SHORT]))
  const groups = await Groups.start(t, { both: { targets: [served], group: TOLERATE.both! } }, 1)
  for (let index = 0; index < 3; index++) await request(groups.portOf('both'), get(`/${index}`))
  t.same(
    served.requests.map(({ connection }) => connection),
    [0, 1, 1],
    'the connection of the split answer is not used again, that of another one is',
  )
  await served.connections[0]!.ending()
})

t.test('checks tolerate what the traffic of their group does', async (t) => {
  const healthCheck = { protocol: 'http', interval: '200ms', healthyThreshold: 1, unhealthyThreshold: 1 }
  const scenes: Record<string, { targets: RawTarget[]; group: object }> = {}
  for (const [name, group] of Object.entries(TOLERATE))
    scenes[name] = { targets: [await target(t, { answer: (_, at) => at.end(BOTH) })], group: { ...group, healthCheck } }
  const groups = await Groups.start(t, scenes, 1)
  const health = { strict: 'unhealthy', short: 'unhealthy', bare: 'unhealthy', both: 'healthy' }
  for (const [name, expected] of Object.entries(health)) {
    await until(`${name} being ${expected}`, async () => (await groups.health(name))[0] === expected)
  }
  t.equal((await groups.targets('short'))[0]!.reason, 'RESPONSE_FORMAT_ERROR')
  t.equal((await request(groups.portOf('both'), get())).text, 'abc')
  t.equal((await request(groups.portOf('bare'), get())).status, 503)
})

t.test('the same over TLS, in traffic and checks', async (t) => {
  const authority = authorityFor(t)
  const { cert, key } = authority.issue('target', { names: ['127.0.0.1'] })
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write(BOTH))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const targets = [{ address: `127.0.0.1:${(server.address() as AddressInfo).port}` }]
  const group = { protocol: 'https', tls: { ca: authority.cert } }
  const healthCheck = { protocol: 'https', healthyThreshold: 1, unhealthyThreshold: 1 }
  const groups = await Groups.start(
    t,
    { strict: { targets, group }, checked: { targets, group: { ...group, ...TOLERATE.both, healthCheck } } },
    1,
  )
  t.equal((await request(groups.portOf('strict'), get())).status, 502)
  await until('passing its check', async () => (await request(groups.portOf('checked'), get())).text === 'abc')
})
