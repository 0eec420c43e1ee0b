import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { askHttp, type From } from './support/sticky-targets.js'
import { fifo, startWithFaults, stoodStill, VICTIM, WORKERS } from './support/stuck-threads.js'
import { dial, endingOf } from './support/tcp-peers.js'
import { until } from './support/until.js'
import { never } from './support/waiting.js'

/** As sched(7) numbers them. */
const SCHED_OTHER = 0
const SCHED_BATCH = 3

/** How the kernel schedules the threads of a process, as proc(5) says: the first, and of which kinds the others are. */
function policies(pid: number): { primary: number; others: readonly number[] } {
  const of = (tid: number): number => {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1')
    // The name in brackets may hold blanks; behind it comes the third field, and the policy is the 41st.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[41 - 3])
  }
  const threads = readdirSync(`/proc/${pid}/task`).map(Number)
  return { primary: of(pid), others: [...new Set(threads.filter((tid) => tid !== pid).map(of))] }
}

const worker = `worker="${VICTIM}"`

t.test('a worker that is stuck is reported and replaced, and its connections are reset', async (t) => {
  const { castor, order } = await startWithFaults(t)
  // Placed in turn, so that each worker has two.
  const tunnels = await Promise.all(Array.from({ length: 2 * WORKERS }, () => dial(castor.port('raw'))))
  const endings: string[] = []
  for (const tunnel of tunnels) {
    tunnel.once('error', () => endings.push('reset'))
    tunnel.once('end', () => endings.push('end'))
    tunnel.write('hello')
    await once(tunnel, 'data')
  }
  order({ column: VICTIM, fault: 'spin' })
  // Some of these wait in the ring of the one that stands still until that is noticed.
  const answers = await Promise.all(
    Array.from({ length: 12 }, async () => (await request(castor.port('web'), get('/'))).status),
  )
  t.same(answers, Array(12).fill(200), 'who came meanwhile was served by the others')
  await stoodStill(castor)
  await until('it being replaced', async () => (await castor.metrics()).sum('castor_worker_up') === WORKERS, 10_000)
  await until('its connections ending', () => endings.length === 2)
  t.same(endings, ['reset', 'reset'])
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_worker_restarts_total', worker, 'reason="stuck"'), 1)
  t.equal(metrics.sum('castor_worker_restarts_total', 'reason="died"'), 0)
  t.equal(metrics.sum('castor_connections_active', 'listener="raw"'), 2, 'what it had open is not counted any more')
  t.match(castor.stderr, /"thread":"proxy-2","silentMs":\d+,"msg":"a thread is stuck/)
  t.match(castor.stderr, /"worker":2,"livedMs":\d+,"reason":"stuck","msg":"a proxy thread died/)
  t.same(policies(castor.child.pid!), { primary: SCHED_BATCH, others: [SCHED_OTHER] }, 'its successor as well')
  for (const tunnel of tunnels) tunnel.destroy()
  castor.child.kill('SIGTERM')
  t.equal(await castor.ended(), 0)
})

for (const native of ['on', 'off'] as const) {
  t.test(`a worker that cannot be ended ends the process with an error (addon ${native})`, async (t) => {
    const { castor, order } = await startWithFaults(t, {}, native === 'off' ? { CASTOR_NATIVE: 'off' } : {})
    const [web, admin] = [castor.port('web'), castor.adminPort]
    const tunnels = await Promise.all(Array.from({ length: 2 * WORKERS }, () => dial(castor.port('raw'))))
    const endings = tunnels.map((tunnel) => endingOf(tunnel, 20_000))
    order({ column: VICTIM, fault: 'block', fifo: await fifo(t) })
    await stoodStill(castor)
    t.equal(await castor.ended(15_000), native === 'on' ? 1 : 'SIGKILL')
    t.match(castor.stderr, /"thread":"proxy-2","msg":"a thread is stuck and cannot be ended/)
    if (native === 'on') t.same(await Promise.all(endings), Array(4).fill('reset'), 'nothing that was cut looks whole')
    for (const port of [web, admin])
      await t.rejects(RawClient.connect(port), { code: 'ECONNREFUSED' }, 'the address is free')
  })
}

t.test('a primary thread that is stuck ends the process with an error', async (t) => {
  const { castor, order } = await startWithFaults(t)
  const port = castor.port('web')
  order('primary')
  t.equal(await castor.ended(15_000), 1)
  t.match(castor.stderr, /"thread":"primary","silentMs":\d+,"msg":"the primary thread is stuck/)
  await t.rejects(RawClient.connect(port), { code: 'ECONNREFUSED' }, 'the address is free')
})

t.test('a process that was suspended for longer than the watchdog waits goes on as before', async (t) => {
  const { castor } = await startWithFaults(t)
  const client = await RawClient.connect(castor.port('raw'))
  client.send('before\r\n')
  t.equal(await client.reader.line(), 'before')
  castor.child.kill('SIGSTOP')
  // Longer than the watchdog waits: nothing in the process can tell that time has passed.
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  castor.child.kill('SIGCONT')
  client.send('after\r\n')
  t.equal(await client.reader.line(), 'after')
  await never('a thread being given up', () => castor.stderr.includes('is stuck'), 1_500)
  t.equal((await castor.metrics()).sum('castor_worker_restarts_total'), 0)
  client.close()
})

t.test('locks of the session table that a stuck worker held are broken', async (t) => {
  const targets = await Promise.all(
    ['one', 'two'].map((name) => RawTarget.start({ answer: (_, c) => c.write(ok(name)) })),
  )
  for (const target of targets) t.teardown(() => target.stop())
  const { castor, order } = await startWithFaults(t, {
    // Few enough that most clients need a bucket that is locked.
    sessions: { capacity: 64 },
    listeners: [
      {
        name: 'web',
        protocol: 'http',
        listen: '127.0.0.1:0',
        targetGroup: 'web',
        acceptProxyProtocol: ['127.0.0.1/32'],
      },
    ],
    targetGroups: [
      {
        name: 'web',
        protocol: 'http',
        targets: targets.map(({ address }) => ({ address })),
        stickiness: { type: 'source-ip' },
      },
    ],
  })
  order({ column: VICTIM, fault: 'spin-with-locks' })
  await stoodStill(castor)
  await until('it being replaced', async () => (await castor.metrics()).sum('castor_worker_up') === WORKERS, 10_000)
  const clients = Array.from({ length: 30 }, (_, n): From => ({ via: 'v2', address: `192.0.2.${n + 1}` }))
  for (const client of clients) await askHttp(castor.port('web'), client)
  await until('a session for each', async () => (await castor.metrics()).sum('castor_sessions') === clients.length)
})
