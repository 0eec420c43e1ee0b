import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { type Balancer, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { RawClient } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { ask, authorityFor, refusedHandshake, secured } from './support/tls.js'
import { until } from './support/until.js'
import { within } from './support/waiting.js'

const authority = authorityFor(t)
const shop = authority.issue('shop', { names: ['shop.example'] })

async function secureBalancer(t: Test, tls: object = {}, listener: object = {}): Promise<Balancer> {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  return startBalancer(t, onePair('http', [target.address], { listener: secured([shop], tls, listener) }))
}

async function failures(balancer: Balancer, reason: string): Promise<number> {
  return (await balancer.metrics()).sum('castor_tls_handshake_failures_total', 'listener="in"', `reason="${reason}"`)
}

/** A record header of a handshake that promises 200 bytes, and the first of them. */
const BEGUN = Buffer.from([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3])

t.test('silent and slow handshakes are cut in time, and cost nobody else anything', async (t) => {
  const balancer = await secureBalancer(t, { handshakeTimeout: '1s' })
  const silent = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(balancer.port)))
  const begun = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(balancer.port)))
  for (const client of begun) client.send(BEGUN)
  const slow = await RawClient.connect(balancer.port)
  let sent = 0
  const drip = setInterval(() => slow.send(BEGUN.subarray(sent, ++sent)), 200)
  t.teardown(() => clearInterval(drip))
  const startedMs = performance.now()
  for (let i = 0; i < 5; i++) t.equal((await ask(balancer.port)).status, 200)
  await Promise.all([...silent, ...begun, slow].map((client) => client.ending()))
  const tookMs = performance.now() - startedMs
  t.ok(tookMs < 4_500, `all were cut after ${Math.round(tookMs)} ms`)
  await until('the count', async () => (await failures(balancer, 'HANDSHAKE_TIMEOUT')) === 41)
  await until('nothing left open', async () => (await balancer.metrics()).sum('castor_connections_active') === 0)
  const lines = balancer.log.filter((line) => line.includes('a TLS handshake failed'))
  t.ok(lines.length >= 1 && lines.length <= 30, `${lines.length} lines: a flood fills no disk`)
  t.match(JSON.parse(lines[0]!), {
    listener: 'in',
    client: '127.0.0.1',
    reason: 'HANDSHAKE_TIMEOUT',
    meaning: 'the handshake took too long',
  })
})

t.test('plain HTTP on the TLS port is answered in plain HTTP', async (t) => {
  const balancer = await secureBalancer(t)
  const client = await RawClient.connect(balancer.port)
  const answer = await client.exchange('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
  t.equal(answer.status, 400)
  t.match(answer.text, 'this port speaks https')
  t.equal(answer.header('strict-transport-security'), undefined)
  t.equal(await client.ending(), 'end')
  client.close()
  await until('the count', async () => (await failures(balancer, 'PLAIN_HTTP')) === 1)
  const line = balancer.log.find((entry) => entry.includes('PLAIN_HTTP'))
  t.match(line, 'the client speaks plain HTTP to a TLS port')
})

t.test('what is no TLS is refused and told apart', async (t) => {
  const balancer = await secureBalancer(t)
  const garbage = await RawClient.connect(balancer.port)
  garbage.send(Buffer.from('\x05\x01\x00garbage that is no protocol at all', 'latin1'))
  await garbage.ending()
  const gone = await RawClient.connect(balancer.port)
  gone.send(BEGUN)
  gone.close()
  await until('both counts', async () => {
    return (await failures(balancer, 'NOT_TLS')) === 1 && (await failures(balancer, 'CLIENT_CLOSED')) === 1
  })
  t.equal((await ask(balancer.port)).status, 200)
})

t.test('a client that is refused may go on sending, and so gets to read why', async (t) => {
  const balancer = await secureBalancer(t)
  const socket = connect({ port: balancer.port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  const faults: unknown[] = []
  socket.on('error', (fault) => faults.push(fault))
  const send = (bytes: Uint8Array): Promise<unknown> => new Promise((resolve) => socket.write(bytes, resolve))
  // A record longer than any may be.
  await send(Buffer.from([22, 3, 1, 255, 255, 1]))
  const [alert] = (await once(socket, 'data')) as [Buffer]
  t.equal(alert[0], 21)
  await once(socket, 'end')
  // What comes behind a close is answered with a reset, which the next write would tell of.
  for (let i = 0; i < 3; i++) await send(Buffer.from('more'))
  t.same(faults, [])
})

t.test('whoever only looks whether the port is open is no failure', async (t) => {
  const balancer = await secureBalancer(t)
  for (let i = 0; i < 3; i++) {
    const socket = connect(balancer.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.end()
    await within('the end', once(socket, 'close'))
  }
  await until('nothing left open', async () => (await balancer.metrics()).sum('castor_connections_active') === 0)
  t.equal((await balancer.metrics()).sum('castor_tls_handshake_failures_total'), 0)
  t.notOk(balancer.log.some((line) => line.includes('a TLS handshake failed')))
})

t.test('clients that share nothing with the policy are told apart', async (t) => {
  const balancer = await secureBalancer(t, { policy: { minVersion: 'TLSv1.3' } })
  await refusedHandshake(balancer.port, { maxVersion: 'TLSv1.2' })
  await until('the version', async () => (await failures(balancer, 'NO_SHARED_VERSION')) === 1)
  const other = await secureBalancer(t, { policy: { maxVersion: 'TLSv1.2' } })
  await refusedHandshake(other.port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })
  await until('the cipher', async () => (await failures(other, 'NO_SHARED_CIPHER')) === 1)
})

t.test('a stop ends handshakes that are under way', async (t) => {
  const balancer = await secureBalancer(t)
  const client = await RawClient.connect(balancer.port)
  client.send(BEGUN)
  await until('it is there', async () => (await balancer.metrics()).sum('castor_connections_active') === 1)
  await within('the stop', balancer.running.stop())
  await client.ending()
  t.pass()
})
