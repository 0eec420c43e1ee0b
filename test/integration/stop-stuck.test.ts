import t from 'tap'
import { get, request } from './support/raw-client.js'
import { fifo, startWithFaults, VICTIM, WORKERS } from './support/stuck-threads.js'
import { dial, endingOf } from './support/tcp-peers.js'
import { until } from './support/until.js'

for (const { fault, native } of [
  { fault: 'spin', native: 'on' },
  { fault: 'block', native: 'on' },
  { fault: 'block', native: 'off' },
] as const) {
  t.test(`a second SIGTERM ends the process where a worker is stuck (${fault}, addon ${native})`, async (t) => {
    const more = { watchdog: 'off', shutdownTimeout: '10m' }
    const { castor, order } = await startWithFaults(t, more, native === 'off' ? { CASTOR_NATIVE: 'off' } : {})
    const tunnels = await Promise.all(Array.from({ length: 2 * WORKERS }, () => dial(castor.port('raw'))))
    const endings = tunnels.map((tunnel) => endingOf(tunnel, 20_000))
    order({ column: VICTIM, fault, ...(fault === 'block' ? { fifo: await fifo(t) } : {}) })
    await until('standing still', async () => {
      const probe = await dial(castor.port('raw'))
      probe.destroy()
      return (await castor.metrics()).sum('castor_event_loop_delay_seconds', 'thread="proxy-2"') >= 0
    })
    castor.child.kill('SIGTERM')
    await until('the first being heard', () => castor.stderr.includes('stopping: '))
    castor.child.kill('SIGTERM')
    const ended = await castor.ended(5_000)
    t.equal(ended, native === 'off' ? 'SIGKILL' : 1)
    await Promise.all(endings)
  })
}

t.test('a second SIGTERM ends the process where the primary is stuck', async (t) => {
  const { castor, order } = await startWithFaults(t, { watchdog: 'off' })
  order('primary')
  await until('the admin API standing still', async () => {
    const answer = request(castor.adminPort, get('/healthz'))
    return Promise.race([answer.then(() => false), new Promise<true>((resolve) => setTimeout(resolve, 200, true))])
  })
  castor.child.kill('SIGTERM')
  castor.child.kill('SIGINT')
  t.equal(await castor.ended(6_000), 1)
})

t.test('a stop ends within its time where a worker is stuck', async (t) => {
  const { castor, order } = await startWithFaults(t, { watchdog: 'off', shutdownTimeout: '500ms' })
  const tunnel = await dial(castor.port('raw'))
  const ending = endingOf(tunnel, 20_000)
  order({ column: 1, fault: 'spin' })
  order({ column: 2, fault: 'spin' })
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(8_000), 0)
  await ending
})
