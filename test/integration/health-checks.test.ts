import t from 'tap'
import { startTestCastor, type Test, type TestCastor } from './support/castor.js'
import { shown } from './support/operator.js'
import { get, request } from './support/raw-client.js'
import { RawTarget, type Script } from './support/raw-target.js'
import { refusingAddress, silentAddress, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'
import { timed } from './support/waiting.js'

const INTERVAL_MS = 1_000
const CHECK = {
  protocol: 'http',
  path: '/health',
  interval: `${INTERVAL_MS}ms`,
  timeout: '500ms',
  healthyThreshold: 2,
  unhealthyThreshold: 2,
}
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

async function target(t: Test, script: Script = {}): Promise<RawTarget> {
  const started = await RawTarget.start(script)
  t.teardown(() => started.stop())
  return started
}

const healthIs = (castor: TestCastor, id: string, health: string, timeoutMs = 8_000): Promise<unknown> =>
  until(`${id} being ${health}`, async () => (await shown(castor, id)).health === health, timeoutMs)

/** How a target is broken, and what the checks call it. */
const FAULTS: readonly [string, string, Script][] = [
  ['hangs', 'RECEIVE_RESPONSE_TIMEOUT', { answer: () => {} }],
  ['resets', 'RECEIVE_RESPONSE_FAILED', { answer: (_, connection) => connection.reset() }],
  ['closes without an answer', 'RECEIVE_RESPONSE_FAILED', { answer: (_, connection) => connection.end() }],
  [
    'answers 500',
    'HTTP_CODE_MISMATCH',
    { answer: (_, connection) => connection.write('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n') },
  ],
  ['answers garbage', 'RESPONSE_FORMAT_ERROR', { answer: (_, connection) => connection.end('SSH-2.0-x\r\n\r\n') }],
]

for (const [name, reason, fault] of FAULTS) {
  t.test(`a target that ${name} is left out in time, and comes back in time`, async (t) => {
    const sound = await target(t)
    const broken = await target(t)
    const castor = await startTestCastor(t, [sound.address, broken.address], { group: { healthCheck: CHECK } })
    t.equal((await shown(castor, broken.address)).health, 'healthy', 'checked before it was ready')

    broken.script = fault
    const out = await timed(healthIs(castor, broken.address, 'unhealthy'))
    t.ok(out.ms < 2_600, `left out after ${Math.round(out.ms)} ms`)
    t.equal((await shown(castor, broken.address)).reason, reason)
    const asked = (): number => broken.requests.filter((seen) => seen.target === '/').length
    const before = asked()
    for (let i = 0; i < 10; i++) t.equal((await request(castor.port, get('/'))).status, 200)
    t.equal(asked(), before, 'it gets nothing meanwhile')

    broken.script = {}
    const back = await timed(healthIs(castor, broken.address, 'healthy'))
    t.ok(back.ms < 2 * INTERVAL_MS + 600, `back after ${Math.round(back.ms)} ms`)
    await until('it being used again', async () => {
      await request(castor.port, get('/'))
      return asked() > before
    })
    const metric = await castor.metrics()
    const healthy = [...metric].filter(([sample]) => sample.startsWith('castor_target_healthy{'))
    t.same(
      healthy.map(([, value]) => value),
      [1, 1],
    )
  })
}

t.test('targets that cannot be connected to are called by their reasons, and get nothing from the start', async (t) => {
  const sound = await target(t)
  const [refusing, silent] = [await refusingAddress(), await silentAddress(t)]
  const healthCheck = { protocol: 'tcp', timeout: '300ms', interval: '1s' }
  const castor = await startTestCastor(t, [refusing, silent, sound.address], { group: { healthCheck, retries: 'off' } })
  const reasons = await Promise.all([refusing, silent, sound.address].map((id) => shown(castor, id)))
  t.same(
    reasons.map(({ health, reason }) => [health, reason]),
    [
      ['unhealthy', 'CONNECT_FAILED'],
      ['unhealthy', 'CONNECT_TIMEOUT'],
      ['healthy', null],
    ],
  )
  for (let i = 0; i < 9; i++) t.equal((await request(castor.port, get('/'))).status, 200)
})

t.test('a target gets no request before its first check has passed', async (t) => {
  let answerNow: () => void = () => {}
  const first = new Promise<void>((resolve) => (answerNow = resolve))
  const late = await target(t, {
    answer: async (asked, connection) => {
      if (asked.target === '/health') await first
      connection.write(OK)
    },
  })
  const healthCheck = { ...CHECK, timeout: '300ms' }
  const castor = await startTestCastor(t, [late.address], { group: { healthCheck } })
  t.equal((await request(castor.port, get('/'))).status, 503)
  answerNow()
  await healthIs(castor, late.address, 'healthy')
  t.equal((await request(castor.port, get('/'))).status, 200)
})

t.test('what the check asks, and which codes are well', async (t) => {
  const seen = await target(t, {
    answer: (_, connection) => connection.write('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'),
  })
  const healthCheck = { ...CHECK, host: 'app.example', codes: '418', path: '/h?x=1' }
  const castor = await startTestCastor(t, [seen.address], { group: { healthCheck } })
  t.equal((await shown(castor, seen.address)).health, 'healthy')
  t.equal(seen.requests[0]!.target, '/h?x=1')
  t.equal(seen.requests[0]!.header('host'), 'app.example')
  await until('a second check', () => seen.connections.length > 1)
  t.equal(seen.connections[0]!.requests.length, 1, 'a connection is never used twice')
})

t.test('with every target down clients get 503, with failOpen the target itself', async (t) => {
  const broken: Script = {
    answer: (asked, connection) =>
      connection.write(asked.target === '/health' ? 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n' : OK),
  }
  const down = await target(t, broken)
  const closed = await startTestCastor(t, [down.address], { group: { healthCheck: CHECK } })
  const answer = await request(closed.port, get('/'))
  t.equal(answer.status, 503)
  t.ok(answer.header('retry-after'))
  const open = await startTestCastor(t, [down.address], { group: { healthCheck: CHECK, failOpen: true } })
  t.equal((await request(open.port, get('/'))).status, 200)
})

t.test('checks of a group with proxyProtocol send the header, of nobody', async (t) => {
  for (const [version, header] of [
    ['v1', Buffer.from('PROXY UNKNOWN\r\n')],
    ['v2', Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')],
  ] as const) {
    for (const protocol of ['tcp', 'http']) {
      const seen: Buffer[] = []
      const peer = await TcpTarget.start(t, (socket) => {
        const parts: Buffer[] = []
        socket.on('data', (data: Buffer) => {
          parts.push(data)
          const all = Buffer.concat(parts)
          if (!all.subarray(0, header.length).equals(header)) socket.resetAndDestroy()
          else if (all.includes('\r\n\r\n', header.length)) socket.write(OK)
        })
        socket.on('end', () => {
          seen.push(Buffer.concat(parts))
          socket.end()
        })
      })
      const castor = await startTestCastor(t, [peer.address], {
        listener: { protocol: 'tcp' },
        group: { protocol: 'tcp', proxyProtocol: version, healthCheck: { protocol, interval: '100ms' } },
      })
      await until('a check that was read to its end', () => seen.length > 0)
      t.same(seen[0]!.subarray(0, header.length), header, `${version} ahead of ${protocol}`)
      t.equal(seen[0]!.length > header.length, protocol === 'http')
      t.equal((await shown(castor, peer.address)).health, 'healthy')
    }
  }
})
