import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { fetchText, startTestCastor } from './support/castor.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { refusingAddress } from './support/tcp-peers.js'

const REQUESTS = 120
const SLOW_MS = 15

t.test('peak-ewma does not take a target that fails fast for a fast one, and its times are shown', async (t) => {
  const failing = await RawTarget.start({
    answer: (_, connection) => connection.write(ok('no', [], '503 Service Unavailable')),
  })
  t.teardown(() => failing.stop())
  const sound = await RawTarget.start({
    answer: async (_, connection) => {
      await wait(SLOW_MS)
      connection.write(ok())
    },
  })
  t.teardown(() => sound.stop())
  const castor = await startTestCastor(t, [failing.address, sound.address], {
    workers: 2,
    group: { algorithm: 'peak-ewma' },
  })
  const client = await RawClient.connect(castor.port)
  for (let i = 0; i < REQUESTS; i++) await client.exchange(get('/'))
  client.close()
  const failed = failing.requests.length
  t.ok(failed > 0 && failed <= REQUESTS / 5, `${failed} of ${REQUESTS} went to the failing one`)

  const status = JSON.parse(await fetchText(castor.running.admin.port, '/api/v1/status')) as {
    targetGroups: { targets: { id: string; failures: number; latency: { p50: number | null } }[] }[]
  }
  const [first, second] = status.targetGroups[0]!.targets
  t.equal(first!.failures, failed)
  t.ok(first!.latency.p50 !== null && first!.latency.p50 < SLOW_MS, `${first!.latency.p50} ms`)
  t.ok(second!.latency.p50! >= SLOW_MS - 1, `${second!.latency.p50} ms`)
})

t.test('peak-ewma does not take a target that refuses for an idle one', async (t) => {
  const refusing = await refusingAddress()
  const sound = await RawTarget.start()
  t.teardown(() => sound.stop())
  const castor = await startTestCastor(t, [refusing, sound.address], {
    group: { algorithm: 'peak-ewma', retries: 'off' },
  })
  const client = await RawClient.connect(castor.port)
  const statuses: number[] = []
  for (let i = 0; i < REQUESTS; i++) statuses.push((await client.exchange(get('/'))).status)
  client.close()
  const failed = statuses.filter((status) => status === 502).length
  t.ok(failed <= REQUESTS / 10, `${failed} of ${REQUESTS} were refused`)
})
