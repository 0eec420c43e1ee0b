import { Agent, get, request } from 'node:http'
import t from 'tap'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { ok, RawTarget } from './support/raw-target.js'
import { dial } from './support/tcp-peers.js'
import { ask as askSecurely, authorityFor, secured } from './support/tls.js'
import { until } from './support/until.js'

const WITHOUT = { env: { CASTOR_NATIVE: 'off' } }

/** The body of the answer. */
function ask(port: number, agent: Agent | false, body = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const begin = body === '' ? get : request
    const asked = begin({ host: '127.0.0.1', port, agent, method: body === '' ? 'GET' : 'POST' }, (response) => {
      let text = ''
      response.on('data', (data) => (text += String(data)))
      response.on('end', () => resolve(text))
    })
    asked.on('error', reject)
    if (body !== '') asked.end(body)
  })
}

t.test('without the addon it says so, serves, and stops cleanly', async (t) => {
  const target = await RawTarget.start({ answer: (_, connection) => void connection.write(ok('served')) })
  t.teardown(() => target.stop())
  const castor = await startChild(t, onePair('http', [target.address], { workers: 2 }), WITHOUT)
  t.match(castor.stderr, 'the native addon is not there')
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  for (let i = 0; i < 5; i++) t.equal(await ask(castor.port(), false), 'served', 'on a connection of its own')
  for (let i = 0; i < 5; i++) t.equal(await ask(castor.port(), agent), 'served', 'on a connection that is kept')
  t.equal(await ask(castor.port(), agent, 'a body'), 'served', 'with a body')
  const before = Date.now()
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
  t.ok(Date.now() - before < 2_000, 'nothing was in flight: it does not wait for shutdownTimeout')
})

t.test('without the addon a stop that comes while connections to targets half-close ends all the same', async (t) => {
  // Idle connections to targets are closed and at once reset by a stop: a reset of a socket whose half-close is under
  // way fails in libuv, and Node then kept a handle that its thread waited for at the end, for ever.
  const target = await RawTarget.start({ answer: (_, connection) => void connection.write(ok('served')) })
  t.teardown(() => target.stop())
  const castor = await startChild(t, onePair('http', [target.address], { workers: 1 }), WITHOUT)
  await Promise.all(Array.from({ length: 20 }, () => ask(castor.port(), false)))
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
})

t.test('without the addon tunnels are cut when the time to stop is over', async (t) => {
  const target = await RawTarget.start({ answer: () => undefined })
  t.teardown(() => target.stop())
  const castor = await startChild(
    t,
    { ...onePair('tcp', [target.address], { workers: 2 }), shutdownTimeout: '200ms' },
    WITHOUT,
  )
  const client = await dial(castor.port())
  t.teardown(() => client.destroy())
  client.on('error', () => {})
  await until(
    'the connection is with the target',
    async () => (await castor.metrics()).sum('castor_connections_active') === 1,
  )
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
  await until('the client noticed', () => client.destroyed || client.readableEnded)
})

t.test('where the addon finds no OpenSSL it says so, and serves https on sockets of Node', async (t) => {
  const target = await RawTarget.start({ answer: (_, connection) => void connection.write(ok('served')) })
  t.teardown(() => target.stop())
  const front = authorityFor(t).issue('front', { names: ['shop.example'] })
  const config = onePair('http', [target.address], { workers: 2, listener: secured([front]) })
  const castor = await startChild(t, config, { env: { CASTOR_NATIVE: 'no-tls' } })
  t.match(castor.stderr, 'the native addon speaks no TLS with this Node')
  const answer = await askSecurely(castor.port(), { servername: 'shop.example' })
  t.match(answer, { status: 200, text: 'served', server: 'shop.example' })
})

t.test('without TLS in the configuration nothing is missed', async (t) => {
  const target = await RawTarget.start({ answer: (_, connection) => void connection.write(ok('served')) })
  t.teardown(() => target.stop())
  const castor = await startChild(t, onePair('http', [target.address]), { env: { CASTOR_NATIVE: 'no-tls' } })
  t.notMatch(castor.stderr, 'the native addon')
  t.equal(await ask(castor.port(), false), 'served')
})
