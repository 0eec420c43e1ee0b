import { connect } from 'node:net'
import t from 'tap'
import { onePair, startBalancer } from './support/balancer.js'
import { dial, echo, endingOf, readAll, refusingAddress, silentAddress, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'
import { timed } from './support/waiting.js'

async function say(port: number, text: string): Promise<string> {
  const socket = await dial(port)
  const answer = readAll(socket)
  socket.end(text)
  return String(await answer)
}

/** Connects, ends its side, and tells how the other ends; it may do so before this side knows that it is connected. */
function knock(port: number): Promise<'end' | 'reset'> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end()
  return endingOf(socket)
}

t.test('a target that refuses is passed over, and nothing the client said is lost', async (t) => {
  const target = await TcpTarget.start(t, echo)
  const refusing = await refusingAddress()
  const castor = await startBalancer(
    t,
    onePair('tcp', [refusing, target.address], { group: { retries: { attempts: 1, budgetPercent: 100 } } }),
    { accessLog: true },
  )
  for (let i = 0; i < 10; i++) t.equal(await say(castor.port, `number ${i}`), `number ${i}`)
  for (const record of await castor.accessRecords(10)) t.match(record, { target: target.address, reason: null })
  const metrics = await castor.metrics()
  const failures = metrics.sum('castor_target_failures_total', `target="${refusing}"`)
  t.ok(failures >= 5, `${failures} of ten went there first`)
  t.equal(metrics.sum('castor_target_failures_total', `target="${target.address}"`), 0)
  t.equal(metrics.sum('castor_retries_total'), failures)
})

t.test('where all targets refuse, the client is closed and the log says why', async (t) => {
  const refusing = [await refusingAddress(), await refusingAddress()]
  const castor = await startBalancer(t, onePair('tcp', refusing), { accessLog: true })
  t.equal(await knock(castor.port), 'reset')
  const [record] = await castor.accessRecords(1)
  t.equal(record!.reason, 'CONNECT_FAILED')
  t.ok(refusing.includes(String(record!.target)), `the target that was tried last: ${record!.target}`)
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_server_errors_total', 'reason="CONNECT_FAILED"'), 1)
  t.equal(metrics.sum('castor_target_failures_total'), 2)
  t.equal(metrics.sum('castor_connections_active'), 0)
})

t.test('without retries the first refusal is the last', async (t) => {
  const target = await TcpTarget.start(t, echo)
  const castor = await startBalancer(
    t,
    onePair('tcp', [await refusingAddress(), target.address], { group: { retries: 'off' } }),
  )
  const endings = []
  for (let i = 0; i < 4; i++) {
    endings.push(await knock(castor.port))
  }
  t.same(endings.sort(), ['end', 'end', 'reset', 'reset'])
})

t.test('a target that does not answer in time is passed over', async (t) => {
  const target = await TcpTarget.start(t, echo)
  const silent = await silentAddress(t)
  const castor = await startBalancer(
    t,
    onePair('tcp', [silent, target.address], {
      group: { timeouts: { connect: '150ms' }, retries: { attempts: 1, budgetPercent: 100 } },
    }),
    { accessLog: true },
  )
  t.equal(await say(castor.port, 'one'), 'one')
  t.equal(await say(castor.port, 'two'), 'two')
  const records = await castor.accessRecords(2)
  const slow = records.filter(({ connect_ms }) => Number(connect_ms) >= 150)
  t.ok(slow.length >= 1, 'somebody waited for the silent target first')
  for (const record of records) t.match(record, { target: target.address, reason: null })
})

t.test('where no target answers in time, the client is closed after the time it was given', async (t) => {
  const silent = await silentAddress(t)
  const castor = await startBalancer(t, onePair('tcp', [silent], { group: { timeouts: { connect: '200ms' } } }), {
    accessLog: true,
  })
  const { ms, value } = await timed(knock(castor.port))
  t.equal(value, 'reset')
  t.ok(ms >= 190 && ms < 2_000, `${Math.round(ms)} ms`)
  const [record] = await castor.accessRecords(1)
  t.match(record, { reason: 'CONNECT_TIMEOUT', target: silent })
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_server_errors_total', 'reason="CONNECT_TIMEOUT"'), 1)
})

t.test('a client that leaves while its target is being reached is let go', async (t) => {
  const silent = await silentAddress(t)
  const castor = await startBalancer(t, onePair('tcp', [silent], { group: { timeouts: { connect: '10s' } } }))
  const client = await dial(castor.port)
  await until('the connection counted', async () => (await castor.metrics()).sum('castor_connections_active') === 1)
  client.resetAndDestroy()
  await until('the connection gone', async () => (await castor.metrics()).sum('castor_connections_active') === 0)
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_client_errors_total', 'reason="CLIENT_RESET"'), 1)
})

t.test('without a target that takes traffic the client is closed at once', async (t) => {
  const castor = await startBalancer(t, onePair('tcp', [{ address: '127.0.0.1:9', weight: 0 }]), { accessLog: true })
  t.equal(await knock(castor.port), 'reset')
  const [record] = await castor.accessRecords(1)
  t.match(record, { reason: 'NO_TARGET', target: null })
})

t.test('when nothing is sent either way for idleTimeout, both sides are closed', async (t) => {
  const target = await TcpTarget.start(t, echo)
  const castor = await startBalancer(t, onePair('tcp', [target.address], { listener: { idleTimeout: '1s' } }), {
    accessLog: true,
  })
  const client = await dial(castor.port)
  client.write('one')
  await new Promise((resolve) => client.once('data', resolve))
  const startedMs = performance.now()
  await Promise.all([endingOf(client), until('the target side closed', () => target.sockets[0]!.closed)])
  const tookMs = performance.now() - startedMs
  t.ok(tookMs > 900 && tookMs < 3_000, `after ${Math.round(tookMs)} ms`)
  const [record] = await castor.accessRecords(1)
  t.equal(record!.reason, 'IDLE_TIMEOUT')
})

t.test('traffic in one direction alone keeps a connection from being idle', async (t) => {
  const target = await TcpTarget.start(t, (socket) => {
    const ticking = setInterval(() => socket.write('.'), 100)
    socket.on('close', () => clearInterval(ticking))
  })
  const castor = await startBalancer(t, onePair('tcp', [target.address], { listener: { idleTimeout: '1s' } }))
  const client = await dial(castor.port)
  let dots = 0
  client.on('data', (data) => (dots += data.length))
  await until('dots for more than twice the idle timeout', () => dots >= 22)
  t.notOk(client.destroyed)
  client.destroy()
})
