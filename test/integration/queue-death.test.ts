import { fileURLToPath } from 'node:url'
import { BroadcastChannel } from 'node:worker_threads'
import t from 'tap'
import { FAULTS } from './faulty-worker.js'
import { onePair, startBalancer } from './support/balancer.js'
import { HoldingTarget } from './support/holding-target.js'
import { get, RawClient } from './support/raw-client.js'
import { until } from './support/until.js'

const WORKER_FILE = fileURLToPath(new URL('faulty-worker.js', import.meta.url))

t.test('a thread that dies gives back its places at targets and in the queue, and wakes who waits', async (t) => {
  const channel = new BroadcastChannel(FAULTS)
  t.teardown(() => channel.close())
  const target = await HoldingTarget.start(t)
  const group = { maxConnectionsPerTarget: 1, queue: { size: 2, timeout: '30s' } }
  const castor = await startBalancer(t, onePair('http', [target.address], { workers: 2, group }), {
    workerFile: WORKER_FILE,
  })
  const queued = async (): Promise<number> => (await castor.metrics()).sum('castor_target_group_queued')
  // Connections go to the threads in turn: one thread gets the first and the third, the other the second.
  const clients: RawClient[] = []
  for (const path of ['/first', '/second', '/third']) {
    const client = await RawClient.connect(castor.port)
    clients.push(client)
    client.send(get(path))
    if (path === '/first') await target.holds(1)
    else await until(`${path} in the queue`, async () => (await queued()) === clients.length - 1)
  }
  const active = async (worker: number): Promise<number> =>
    (await castor.metrics()).sum('castor_worker_connections_active', `worker="${worker}"`)
  const victim = (await active(1)) === 2 ? 1 : 2
  t.equal(await active(victim), 2)
  channel.postMessage(victim)
  await Promise.all([clients[0]!.ending(), clients[2]!.ending()])
  await until('the second at the target', () => target.seen.includes('/second'))
  t.equal(await queued(), 0)
  t.equal((await castor.metrics()).sum('castor_target_in_flight'), 1)
  target.flow()
  t.equal((await clients[1]!.response()).status, 200)
  await until('the new thread', async () => (await castor.metrics()).sum('castor_worker_up') === 2)
  for (let i = 0; i < 6; i++) {
    const client = await RawClient.connect(castor.port)
    t.equal((await client.exchange(get('/after'))).status, 200, 'no place was lost')
    client.close()
  }
  t.equal(target.most, 2, 'the dead thread’s request, which its target still has, and the next')
  clients[1]!.close()
})
