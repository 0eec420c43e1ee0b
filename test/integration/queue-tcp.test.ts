import { connect, type Socket } from 'node:net'
import t from 'tap'
import { type Balancer, onePair, startBalancer } from './support/balancer.js'
import type { Test } from './support/castor.js'
import { dial, echo, endingOf, TcpTarget } from './support/tcp-peers.js'
import { until } from './support/until.js'
import { timed, within } from './support/waiting.js'

const GAUGE = 'castor_target_group_queued'

async function start(
  t: Test,
  group: object,
  options: { readonly workers?: number; readonly targets?: number } = {},
): Promise<{ readonly castor: Balancer; readonly targets: readonly TcpTarget[] }> {
  const targets = await Promise.all(Array.from({ length: options.targets ?? 1 }, () => TcpTarget.start(t, echo)))
  const addresses = targets.map(({ address }) => address)
  const castor = await startBalancer(t, onePair('tcp', addresses, { workers: options.workers ?? 1, group }), {
    accessLog: true,
  })
  return { castor, targets }
}

const queued = (castor: Balancer, count: number): Promise<unknown> =>
  until(`${count} queued`, async () => (await castor.metrics()).sum(GAUGE) === count)

async function echoes(socket: Socket, text: string): Promise<void> {
  const answer = new Promise<string>((resolve) => socket.once('data', (data: Buffer) => resolve(String(data))))
  socket.write(text)
  if ((await within(`the echo of ${text}`, answer)) !== text) throw new Error(`not the echo of ${text}`)
}

/** The end may come before the client has seen that it was connected. */
function turnedAway(port: number): Promise<unknown> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  return within('the connection being closed', new Promise((resolve) => socket.once('close', resolve)))
}

for (const workers of [1, 2]) {
  t.test(`connections wait their turn, and what they sent meanwhile is not lost (${workers} workers)`, async (t) => {
    const queue = { size: 10, timeout: '10s' }
    const { castor, targets } = await start(t, { maxConnectionsPerTarget: 1, queue }, { workers })
    const first = await dial(castor.port)
    await echoes(first, 'first')
    const second = await dial(castor.port)
    const heard = new Promise<string>((resolve) => second.once('data', (data: Buffer) => resolve(String(data))))
    second.write('early')
    await queued(castor, 1)
    const third = await dial(castor.port)
    await queued(castor, 2)
    t.equal(targets[0]!.sockets.length, 1)
    first.destroy()
    t.equal(await within('the second having its turn', heard), 'early')
    t.equal(targets[0]!.sockets.length, 2)
    second.resetAndDestroy()
    await echoes(third, 'third')
    third.destroy()
    await queued(castor, 0)
  })
}

t.test('without room in the queue a connection is closed at once, after its time in it later', async (t) => {
  const queue = { size: 1, timeout: '300ms' }
  const { castor } = await start(t, { maxConnectionsPerTarget: 1, queue })
  const first = await dial(castor.port)
  await echoes(first, 'first')
  const second = await dial(castor.port)
  const late = timed(endingOf(second))
  await queued(castor, 1)
  await turnedAway(castor.port)
  t.ok((await late).ms >= 290)
  first.destroy()
  const reasons = (await castor.accessRecords(3)).map(({ reason }) => reason)
  t.same(new Set(reasons.slice(0, 2)), new Set(['QUEUE_FULL', 'QUEUE_TIMEOUT']))
  const metrics = await castor.metrics()
  for (const reason of ['QUEUE_FULL', 'QUEUE_TIMEOUT']) {
    t.equal(metrics.sum('castor_rejected_total', `reason="${reason}"`), 1)
  }
})

t.test('a client that resets its connection gives its place in the queue up', async (t) => {
  const { castor, targets } = await start(t, { maxConnectionsPerTarget: 1, queue: { size: 1, timeout: '10s' } })
  const first = await dial(castor.port)
  await echoes(first, 'first')
  const second = await dial(castor.port)
  await queued(castor, 1)
  second.resetAndDestroy()
  await queued(castor, 0)
  first.destroy()
  const third = await dial(castor.port)
  await echoes(third, 'third')
  t.equal(targets[0]!.sockets.length, 2)
})

t.test('a client bound by its address waits for its target, or goes elsewhere where it may not', async (t) => {
  for (const size of [1, 0]) {
    const group = {
      maxConnectionsPerTarget: 1,
      queue: { size, timeout: '10s' },
      stickiness: { type: 'source-ip', timeout: '60s' },
    }
    const { castor, targets } = await start(t, group, { targets: 2 })
    const first = await dial(castor.port)
    await echoes(first, 'first')
    const home = targets.find(({ sockets }) => sockets.length === 1)!
    const second = await dial(castor.port)
    if (size === 1) await queued(castor, 1)
    else await echoes(second, 'elsewhere')
    t.equal(home.sockets.length, 1)
    first.destroy()
    if (size === 1) await echoes(second, 'second')
    second.destroy()
    await until('both being gone', async () => (await castor.metrics()).sum('castor_connections_active') === 0)
    await echoes(await dial(castor.port), 'third')
    t.equal(home.sockets.length, size + 2, 'it stayed bound')
  }
})

t.test('whoever waits is let go at the end of shutdownTimeout', async (t) => {
  const { castor } = await start(t, { maxConnectionsPerTarget: 1, queue: { size: 1, timeout: '60s' } })
  const first = await dial(castor.port)
  await echoes(first, 'first')
  const second = await dial(castor.port)
  await queued(castor, 1)
  const ended = endingOf(second)
  await castor.running.stop()
  await ended
  const reasons = (await castor.accessRecords(2)).map(({ reason }) => reason)
  t.same(reasons, ['SHUTTING_DOWN', 'SHUTTING_DOWN'])
})
