import { get as httpGet } from 'node:http'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { onePair } from './support/balancer.js'
import { type ChildCastor, startChild } from './support/child-castor.js'
import { get, RawClient, request } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { until } from './support/until.js'

const OPEN_FILES = 1_024
const ATTEMPTS = 6_000
const BATCH = 2_000
const SOURCES = 8
const REQUEST = Buffer.from(get('/'))

/** What became of a batch of connections that all ask for something and stay. */
interface Batch {
  readonly sockets: Socket[]
  answered: number
}

/** Opens connections, each from one of several addresses, so that no address runs out of ports. */
function openBatch(port: number): Batch {
  const batch: Batch = { sockets: [], answered: 0 }
  for (let i = 0; i < BATCH; i++) {
    const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.2.${1 + (i % SOURCES)}` })
    socket.on('error', () => {})
    socket.once('data', () => batch.answered++)
    socket.write(REQUEST)
    batch.sockets.push(socket)
  }
  return batch
}

/** With a reset, so that no port has to wait before it can be used again. */
function closeBatch({ sockets }: Batch): void {
  for (const socket of sockets) {
    if (socket.connecting) socket.destroy()
    else socket.resetAndDestroy()
  }
}

/** The status of a request on a connection of its own from the given address. */
function statusFrom(localAddress: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = httpGet({ host: '127.0.0.1', port, localAddress, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
    })
    request.on('error', reject)
  })
}

async function cpuShareOver(castor: ChildCastor, ms: number): Promise<number> {
  const beforeMs = castor.cpuMs
  const startMs = performance.now()
  await until(`${ms} ms`, () => performance.now() - startMs >= ms)
  return (castor.cpuMs - beforeMs) / (performance.now() - startMs)
}

t.test('far more connections than the open-file limit allows neither kill nor wedge it', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startChild(t, onePair('http', [target.address], { workers: 2 }), { openFiles: OPEN_FILES })
  for (let attempted = 0; attempted < ATTEMPTS; attempted += BATCH) {
    const batch = openBatch(castor.port())
    // As many as are let in are answered while the others hold on.
    await until('answers', () => batch.answered >= 300, 10_000)
    t.ok((await castor.metrics()).sum('castor_connections_active') <= OPEN_FILES / 2, 'within the limit')
    closeBatch(batch)
  }
  t.ok(castor.alive)
  const served = await until('an answer right after', () => request(castor.port(), get('/')), 5_000)
  t.equal(served.status, 200)
  await until('all of them gone', async () => (await castor.metrics()).sum('castor_connections_active') === 0, 10_000)
  t.match(castor.stderr, /the connection limit is reached/)
  t.ok(castor.descriptors < OPEN_FILES, `${castor.descriptors} descriptors`)
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_worker_restarts_total'), 0)
  t.equal(metrics.sum('castor_server_errors_total'), 0, 'nobody who was let in went without an answer')
  const share = await cpuShareOver(castor, 1_000)
  t.ok(share < 0.2, `${(share * 100).toFixed(1)} % of a core when idle`)
})

t.test('while the limit is reached nothing spins, and the admin API answers', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const castor = await startChild(t, onePair('http', [target.address]), { openFiles: 256 })
  const batch = openBatch(castor.port())
  await until('as many as are let in', () => batch.answered >= 60)
  const share = await cpuShareOver(castor, 1_000)
  t.ok(share < 0.2, `${(share * 100).toFixed(1)} % of a core`)
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_connections_active'), batch.answered)
  closeBatch(batch)
  const served = await until('an answer right after', () => request(castor.port(), get('/')))
  t.equal(served.status, 200)
})

t.test('idle connections to targets give way where descriptors are short', async (t) => {
  const held: (() => void)[] = []
  const targets = await Promise.all(
    Array.from({ length: 6 }, () =>
      RawTarget.start({ answer: (_, connection) => void held.push(() => connection.write(ok('done'))) }),
    ),
  )
  for (const target of targets) t.teardown(() => target.stop())
  const config = onePair(
    'http',
    targets.map(({ address }) => address),
    { group: { algorithm: 'source-ip', retries: 'off' } },
  )
  const castor = await startChild(t, config, { openFiles: 256 })
  // Each address has a target of its own, so that every round needs connections of which none is idle yet.
  const atOnce = 60
  for (let round = 0; round < 12; round++) {
    const from = `127.0.3.${1 + round}`
    const statuses = Array.from({ length: atOnce }, () => statusFrom(from, castor.port()))
    await until('all requests at the target', () => held.length === atOnce)
    for (const answer of held.splice(0)) answer()
    t.same(new Set(await Promise.all(statuses)), new Set([200]), `round ${round}`)
  }
  t.ok(targets.filter(({ requests }) => requests.length > 0).length >= 4, 'they went to different targets')
  t.equal((await castor.metrics()).sum('castor_server_errors_total'), 0)
})

t.test('the fifty-first connection waits, and is served once one of the fifty closes', async (t) => {
  const target = await RawTarget.start()
  t.teardown(() => target.stop())
  const config = { ...onePair('http', [target.address], { workers: 2 }), protection: { maxConnections: 50 } }
  const castor = await startChild(t, config)
  const clients = await Promise.all(Array.from({ length: 60 }, () => RawClient.connect(castor.port())))
  let answered = 0
  const answers = clients.map(async (client) => {
    const answer = await client.exchange(get('/'))
    answered++
    return answer
  })
  await until('fifty answers', () => answered === 50)
  const open = async (): Promise<number> => (await castor.metrics()).sum('castor_connections_active')
  t.equal(await open(), 50)
  for (let more = 1; more <= 10; more++) {
    const idle = clients.find((client) => client.reader.total > 0 && !client.socket.destroyed)!
    idle.close()
    await until('one more answer', () => answered === 50 + more)
    t.ok((await open()) <= 50, 'never more than fifty')
  }
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200)
  for (const client of clients) client.close()
})
