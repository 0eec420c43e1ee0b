import { fileURLToPath } from 'node:url'
import { BroadcastChannel } from 'node:worker_threads'
import t from 'tap'
import { FAULT_CHANNEL, type Fault, type FaultOrder } from '../fixtures/faulty-proxy.js'
import { type Balancer, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { ask, targetsPath } from './support/operator.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget, type Script } from './support/raw-target.js'
import { until } from './support/until.js'

const WORKER_FILE = fileURLToPath(new URL('../fixtures/faulty-proxy.js', import.meta.url))
const WORKERS = 3
const CLIENTS = 24
const CHECKED = { protocol: 'http', path: '/check', interval: '100ms' }

const channel = new BroadcastChannel(FAULT_CHANNEL)
t.teardown(() => channel.close())

/** A target that names itself in its answers. */
async function named(t: Test, name: string, script: Script = {}): Promise<RawTarget> {
  const target = await RawTarget.start({ answer: (_, connection) => connection.write(ok(name)), ...script })
  t.teardown(() => target.stop())
  return target
}

/** A client with an address of its own, which comes again when its connection is lost, and never stops asking. */
class StickyClient {
  /** The names of the targets that have answered. */
  readonly servedBy = new Set<string>()
  readonly odd: number[] = []
  done = 0
  losses = 0
  #stopping = false
  readonly #ended: Promise<void>

  constructor(port: number, address: string) {
    this.#ended = this.#run(port, address)
  }

  stop(): Promise<void> {
    this.#stopping = true
    return this.#ended
  }

  async #run(port: number, address: string): Promise<void> {
    while (!this.#stopping) {
      const client = await RawClient.connect(port)
      try {
        client.send(`PROXY TCP4 ${address} 192.0.2.1 40000 80\r\n`)
        while (!this.#stopping) {
          const { status, text } = await client.exchange(get('/'))
          if (status === 200) this.servedBy.add(text)
          else this.odd.push(status)
          this.done++
          // All of them, and the balancer, share this process.
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      } catch {
        this.losses++
      } finally {
        client.close()
      }
    }
  }
}

interface Status {
  readonly targetGroups: readonly { readonly targets: readonly { readonly id: string; readonly health: string }[] }[]
}

async function health(castor: Balancer): Promise<Record<string, string>> {
  const { json } = await ask(castor.running.admin.port, 'GET', '/api/v1/status')
  return Object.fromEntries((json as Status).targetGroups[0]!.targets.map((target) => [target.id, target.health]))
}

async function die(castor: Balancer, column: number, fault: Fault): Promise<void> {
  const worker = `worker="${column}"`
  const before = (await castor.metrics()).sum('castor_worker_restarts_total', worker)
  channel.postMessage({ column, fault } satisfies FaultOrder)
  await until(
    `worker ${column} being back`,
    async () => {
      const now = await castor.metrics()
      return now.sum('castor_worker_restarts_total', worker) > before && now.sum('castor_worker_up', worker) === 1
    },
    10_000,
  )
}

t.test('workers die under load, and counts, sessions, health and added targets stay right', async (t) => {
  const sick: Script = { answer: (_, connection) => connection.write(ok('sick', [], '500 Sick')) }
  const [one, two] = [await named(t, 'one'), await named(t, 'two')]
  const [ill, late] = [await named(t, 'ill', sick), await named(t, 'late')]
  const castor = await startBalancer(
    t,
    {
      workers: WORKERS,
      listeners: [
        {
          name: 'in',
          protocol: 'http',
          listen: '127.0.0.1:0',
          targetGroup: 'out',
          acceptProxyProtocol: ['127.0.0.0/8'],
        },
      ],
      targetGroups: [
        {
          name: 'out',
          protocol: 'http',
          targets: [
            { address: one.address, id: 'one' },
            { address: two.address, id: 'two' },
            { address: ill.address, id: 'ill' },
          ],
          healthCheck: CHECKED,
          stickiness: { type: 'source-ip', timeout: '10m' },
        },
      ],
    },
    { workerFile: WORKER_FILE },
  )
  const { port: adminPort } = castor.running.admin
  const clients = Array.from({ length: CLIENTS }, (_, i) => new StickyClient(castor.port, `10.1.0.${i + 1}`))
  await until('everybody being served', () => clients.every(({ done }) => done >= 3), 10_000)
  const added = await ask(adminPort, 'POST', targetsPath('out'), { address: late.address, id: 'late' })
  t.equal(added.code, 201)
  const steady = { one: 'healthy', two: 'healthy', ill: 'unhealthy', late: 'healthy' }
  await until('the first verdict on the late one', async () => (await health(castor)).late === 'healthy')

  for (const [column, fault] of [
    [2, 'throw'],
    [1, 'exit'],
    [3, 'throw'],
  ] as const) {
    await die(castor, column, fault)
    t.same(await health(castor), steady, `after worker ${column}`)
    const done = clients.map((client) => client.done)
    await until('everybody going on', () => clients.every((client, i) => client.done >= done[i]! + 3), 10_000)
  }
  t.ok(clients.reduce((sum, { losses }) => sum + losses, 0) >= CLIENTS / WORKERS, 'connections were lost')
  for (const [i, { servedBy, odd }] of clients.entries()) {
    t.equal(servedBy.size, 1, `client ${i} was served by ${[...servedBy].join(' and ')}`)
    t.same(odd, [], `client ${i} got nothing but answers of targets`)
  }
  t.equal(ill.requests.filter(({ target }) => target !== '/check').length, 0, 'nobody was sent to the one that is down')
  t.equal((await castor.metrics()).sum('castor_session_entries'), CLIENTS, 'a session each, none twice and none lost')

  // What was added while running is known to threads that started later.
  for (const id of ['one', 'two']) {
    t.equal((await ask(adminPort, 'DELETE', `${targetsPath('out')}/${id}?now=true`)).code, 200)
  }
  await until('everybody being at the late one', () => clients.every(({ servedBy }) => servedBy.has('late')), 10_000)

  await Promise.all(clients.map((client) => client.stop()))
  for (const { socket } of late.connections) socket.destroy()
  await until('every gauge at zero', async () => {
    const now = await castor.metrics()
    return now.sum('castor_connections_active') === 0 && now.sum('castor_target_connections_active') === 0
  })
  await until('the count of sessions', async () => {
    const now = await castor.metrics()
    return now.sum('castor_sessions') === CLIENTS && now.sum('castor_session_entries') === CLIENTS
  })
})
