import { once } from 'node:events'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startTestCastor, type TestCastor } from './support/castor.js'
import { HoldingTarget } from './support/holding-target.js'
import { patch } from './support/operator.js'
import { type Asked, all200, ask, PATIENT, queued, refusals, startBefore, statusesOf } from './support/queue.js'
import { get, RawClient } from './support/raw-client.js'
import { refusingAddress } from './support/tcp-peers.js'
import { eventually, timed } from './support/waiting.js'

t.test('a target that goes while clients wait for it leaves none of them waiting', async (t) => {
  for (const state of ['draining', 'maintenance']) {
    const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT })
    const held = await ask(castor, '/held')
    await targets[0]!.holds(1)
    const waiting = await ask(castor, '/waiting')
    await queued(castor, 1)
    await patch(castor, targets[0]!.address, { state })
    const { ms, value } = await timed(waiting.answer)
    t.equal(value.status, 503)
    t.ok(ms < 3_000, `${Math.round(ms)} ms`)
    // In maintenance what was there already is ended as well.
    const ended = state === 'draining' ? 0 : 1
    await eventually(
      'what comes of it',
      async () =>
        (await refusals(castor, 'NO_TARGET')) === 1 && ((await refusals(castor, 'TARGET_REMOVED')) || 0) === ended,
    )
    if (state === 'draining') targets[0]!.release()
    t.equal((await held.answer).status, state === 'draining' ? 200 : 503)
  }
})

t.test('a target that comes back takes from the queue', async (t) => {
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT }, { targets: 2 })
  await patch(castor, targets[1]!.address, { state: 'maintenance' })
  await eventually('the change to be seen', async () => (await statusOf(castor)).targets[1]!.state === 'maintenance')
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  const waiting = await ask(castor, '/waiting')
  await queued(castor, 1)
  await patch(castor, targets[1]!.address, { state: 'active' })
  await targets[1]!.holds(1)
  for (const target of targets) target.flow()
  t.same(await statusesOf([held, waiting]), [200, 200])
})

interface ShownGroup {
  readonly maxConnectionsPerTarget: number | null
  readonly queue: { readonly waiting: number; readonly size: number; readonly timeoutMs: number }
  readonly targets: readonly { readonly state: string; readonly inFlight: number }[]
}

async function statusOf(castor: TestCastor): Promise<ShownGroup> {
  const response = await fetch(`http://127.0.0.1:${castor.running.admin.port}/api/v1/status`)
  return ((await response.json()) as { targetGroups: ShownGroup[] }).targetGroups[0]!
}

t.test('the status shows the limit, what is in flight and who waits', async (t) => {
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 2, queue: { size: 7, timeout: '9s' } })
  const answers: Asked[] = []
  for (let i = 0; i < 5; i++) answers.push(await ask(castor, `/${i}`))
  await queued(castor, 3)
  const shown = await statusOf(castor)
  t.equal(shown.maxConnectionsPerTarget, 2)
  t.same(shown.queue, { waiting: 3, size: 7, timeoutMs: 9_000 })
  t.equal(shown.targets[0]!.inFlight, 2)
  targets[0]!.flow()
  await statusesOf(answers)
})

t.test('a stop serves who waits while there is time, and tells the others', async (t) => {
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT })
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  const first = await ask(castor, '/first')
  await queued(castor, 1)
  const second = await ask(castor, '/second')
  await queued(castor, 2)
  const stopped = castor.running.stop()
  targets[0]!.release()
  t.equal((await held.answer).status, 200)
  await targets[0]!.holds(1)
  t.equal((await second.answer).status, 503, 'at the end of shutdownTimeout')
  t.equal((await first.answer).status, 503)
  await stopped
})

t.test('a body that came while its request waited arrives whole', async (t) => {
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT })
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  const body = Buffer.alloc(300_000, 'castor ')
  const client = await RawClient.connect(castor.port)
  client.send(get('/upload', [`Content-Length: ${body.length}`], 'POST'))
  client.send(body)
  await queued(castor, 1)
  targets[0]!.flow()
  t.equal((await client.response('POST')).status, 200)
  t.equal((await held.answer).status, 200)
  t.ok(targets[0]!.target.requests.find(({ target }) => target === '/upload')!.body.equals(body))
  t.equal((await client.exchange(get('/after'))).status, 200, 'the connection goes on')
  client.close()
})

t.test('pipelined requests wait one after the other', async (t) => {
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT })
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  const client = await RawClient.connect(castor.port)
  client.send(get('/a') + get('/b') + get('/c'))
  await queued(castor, 1)
  targets[0]!.flow()
  for (const path of ['/a', '/b', '/c']) t.equal((await client.response()).text, path)
  client.close()
  t.equal((await held.answer).status, 200)
})

t.test('a second try waits for a target that has not failed it', async (t) => {
  const sound = await HoldingTarget.start(t)
  const refusing = await refusingAddress()
  const castor = await startTestCastor(t, [sound.address, refusing], {
    group: { maxConnectionsPerTarget: 1, queue: PATIENT, retries: { attempts: 1, budgetPercent: 100 } },
  })
  const answers: Asked[] = []
  for (let i = 0; i < 6; i++) answers.push(await ask(castor, `/${i}`))
  await sound.holds(1)
  await queued(castor, 5)
  sound.flow()
  t.same(await statusesOf(answers), all200(answers))
})

t.test('a WebSocket has its place until it ends', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const castor = await startTestCastor(t, [`127.0.0.1:${port}`], {
    group: { maxConnectionsPerTarget: 1, queue: PATIENT },
  })
  const first = new WebSocket(`ws://127.0.0.1:${castor.port}/`)
  await once(first, 'open')
  const second = new WebSocket(`ws://127.0.0.1:${castor.port}/`)
  await queued(castor, 1)
  const opened = once(second, 'open')
  first.close()
  await opened
  second.close()
})

t.test('what is open on a target that dies frees its places', async (t) => {
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT, retries: 'off' })
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  const waiting = await ask(castor, '/waiting')
  await queued(castor, 1)
  targets[0]!.target.connections[0]!.reset()
  t.equal((await held.answer).status, 502)
  await eventually('the next to come', () => targets[0]!.seen.length === 2)
  targets[0]!.flow()
  targets[0]!.target.connections[1]!.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal((await waiting.answer).status, 200)
})
