import t from 'tap'
import { onePair } from './support/balancer.js'
import type { ChildCastor } from './support/child-castor.js'
import { startChild } from './support/child-castor.js'
import { get, RawClient } from './support/raw-client.js'
import { ok, RawTarget } from './support/raw-target.js'
import { dial } from './support/tcp-peers.js'
import { settled, until } from './support/until.js'

const MIB = 1024 * 1024
const ROUNDS = 4
const AT_ONCE = 16
/** Requests on each of so many connections, ten behind one another at a time. */
const PER_CONNECTION = 320
const NEW_CONNECTIONS = 3_000
const ABORTED = 300

const BODY = 'x'.repeat(1_000)
const SEVERAL = Buffer.from(get('/').repeat(10))

/** Runs `one` so many times, some at once. */
async function times(count: number, one: (i: number) => Promise<void>): Promise<void> {
  let begun = 0
  const run = async (): Promise<void> => {
    for (let i = begun++; i < count; i = begun++) await one(i)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, run))
}

/** A share of each kind of traffic. */
async function round(port: number, aborted: () => Promise<void>): Promise<void> {
  const clients = await Promise.all(Array.from({ length: AT_ONCE }, () => RawClient.connect(port)))
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < PER_CONNECTION; i += 10) {
        client.send(SEVERAL)
        for (let k = 0; k < 10; k++) if ((await client.response()).status !== 200) throw new Error('not answered')
      }
    }),
  )
  for (const client of clients) client.close()
  await times(NEW_CONNECTIONS / ROUNDS, async () => {
    const client = await RawClient.connect(port)
    if ((await client.exchange(get('/'))).status !== 200) throw new Error('not answered')
    client.close()
  })
  await times(ABORTED / ROUNDS, async (i) => {
    const socket = await dial(port)
    switch (i % 3) {
      case 0: // In the middle of a head.
        socket.write('GET / HTTP/1.1\r\nHost: te')
        break
      case 1: // In the middle of a body.
        socket.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nbegun')
        break
      default: // While the answer is awaited.
        socket.write(get('/never'))
        await aborted()
    }
    await new Promise((resolve) => setImmediate(resolve))
    if (i % 2 === 0) socket.resetAndDestroy()
    else socket.destroy()
  })
}

async function quiet(castor: ChildCastor): Promise<void> {
  await until(
    'every gauge at zero',
    async () => {
      const now = await castor.metrics()
      return [
        'castor_connections_active',
        'castor_worker_connections_active',
        'castor_target_connections_active',
      ].every((gauge) => now.sum(gauge) === 0)
    },
    15_000,
  )
}

t.test('requests, connections and broken connections leave nothing behind', { timeout: 60_000 }, async (t) => {
  const target = await RawTarget.start({
    answer: (request, connection) => {
      if (request.target !== '/never') connection.write(ok(BODY))
    },
  })
  t.teardown(() => target.stop())
  const castor = await startChild(t, onePair('http', [target.address]))
  let baseline = 0
  const port = castor.port()
  const reached = async (): Promise<void> => {
    const count = target.requests.length
    await until('a request at the target', () => target.requests.length > count)
  }
  const resident: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    await round(port, reached)
    for (const { socket } of target.connections.splice(0)) socket.destroy()
    target.requests.length = 0
    await quiet(castor)
    resident.push(castor.residentBytes)
    // The first round opens what a process opens once; an answer for the metrics may be one more connection.
    if (i === 0) baseline = await settled('descriptors', () => castor.descriptors)
  }
  await until(`${baseline} descriptors, or nearly`, () => castor.descriptors <= baseline + 2)
  // The first round compiles code and fills caches.
  const grownMiB = (resident.at(-1)! - resident[0]!) / MIB
  t.comment(`resident: ${resident.map((bytes) => (bytes / MIB).toFixed(1)).join(', ')} MiB`)
  t.ok(grownMiB < 16, `${grownMiB.toFixed(1)} MiB more than after the first round`)
  const metrics = await castor.metrics()
  t.equal(metrics.sum('castor_requests_total', 'code="200"'), ROUNDS * AT_ONCE * PER_CONNECTION + NEW_CONNECTIONS)
  t.equal(metrics.sum('castor_worker_restarts_total'), 0)
  t.notMatch(castor.stderr, /"level":"error"/)
})
