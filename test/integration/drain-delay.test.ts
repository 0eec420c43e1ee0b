import t from 'tap'
import { onePair } from './support/balancer.js'
import { startChild } from './support/child-castor.js'
import { get, request } from './support/raw-client.js'
import { RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

/** Far longer than the test. */
const DELAY = '10m'

async function delayed(t: Parameters<typeof startChild>[0], drainDelay: string) {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startChild(t, { ...onePair('http', [target.address]), drainDelay })
  const ready = async (): Promise<number> => (await fetch(`http://127.0.0.1:${castor.adminPort}/readyz`)).status
  return { castor, ready }
}

t.test('with drainDelay a stop says that it is not ready, and serves on until the delay is over', async (t) => {
  const { castor, ready } = await delayed(t, DELAY)
  t.equal(await ready(), 200)
  castor.child.kill('SIGTERM')
  await until('not ready', async () => (await ready()) === 503)
  t.equal((await request(castor.port(), get('/'))).status, 200, 'new connections are still served')
  t.match(castor.stderr, /not ready any more; the listeners close after drainDelay/)
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 1, 'a second signal ends the wait')
})

t.test('after the delay it stops as ever', async (t) => {
  const { castor } = await delayed(t, '200ms')
  const askedMs = performance.now()
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
  t.ok(performance.now() - askedMs >= 200)
})
