import t from 'tap'
import { castor, closedPort } from '../unit/cli/castor.js'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

t.test('drain-host finishes what is in flight, ends the process, and says so', async (t) => {
  let answer: () => void = () => {}
  const target = await RawTarget.start({
    answer: (_, connection) => {
      answer = () => connection.write(ok('late'))
    },
  })
  t.teardown(() => target.stop())
  // Longer than the answer takes, however busy the machine is: what is not finished by then is cut.
  const running = await startChild(t, { ...onePair('http', [target.address]), shutdownTimeout: '60s' })
  const client = await RawClient.connect(running.port())
  client.send(get('/'))
  await until('the request at the target', () => target.requests.length === 1)
  const drained = castor(['drain-host', '--admin', `127.0.0.1:${running.adminPort}`])
  await until('the drain', async () => {
    const ready = await fetch(`http://127.0.0.1:${running.adminPort}/readyz`)
    return ready.status === 503
  })
  answer()
  const { status, body } = await client.response()
  t.equal(status, 200)
  t.equal(String(body), 'late')
  const { code, stdout, stderr } = await drained
  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^draining\n(not ready any more: what is in flight finishes\n)?stopped\n$/)
  t.equal(await running.ended(), 0)
  client.close()
})

t.test('it says which addresses go to another host, and of a host without any only that it drains', async (t) => {
  const held = { address: '127.0.0.1/8', interface: 'lo', prefer: 'a', routerId: 51 }
  const elsewhere = { ...held, address: '192.0.2.10/24', routerId: 52 }
  for (const [vips, said] of [
    [[held, elsewhere], '127.0.0.1 to another host'],
    [[elsewhere], 'what is in flight finishes'],
    [[], 'what is in flight finishes'],
  ] as const) {
    const target = await RawTarget.start({ answer: () => {} })
    t.teardown(() => target.stop())
    const config = { ...onePair('http', [target.address]), shutdownTimeout: '1s', vips }
    const running = await startChild(t, config)
    // What is in flight keeps the process there for long enough to be seen not ready.
    const client = await RawClient.connect(running.port())
    client.send(get('/'))
    await until('the request at the target', () => target.requests.length === 1)
    const { stdout } = await castor(['drain-host', '--admin', `127.0.0.1:${running.adminPort}`])
    t.equal(stdout, `draining\nnot ready any more: ${said}\nstopped\n`)
    client.close()
  }
})

t.test('where nobody answers it fails, and says so', async (t) => {
  const { code, stderr } = await castor(['drain-host', '--admin', await closedPort()])
  t.equal(code, 1)
  t.match(stderr, /does not answer.*connection refused/)
})
