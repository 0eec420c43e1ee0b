import t from 'tap'
import { type Asked, all200, ask, PATIENT, queued, refusals, startBefore, statusesOf } from './support/queue.js'
import { get, RawClient, request } from './support/raw-client.js'
import { eventually, timed } from './support/waiting.js'

for (const workers of [1, 3]) {
  t.test(`without a queue, who comes when every target is full gets 503 at once (${workers} workers)`, async (t) => {
    const { castor, targets } = await startBefore(
      t,
      { maxConnectionsPerTarget: 2, queue: { size: 0, timeout: '60s' } },
      { targets: 2, workers },
    )
    const held: Asked[] = []
    for (let i = 0; i < 4; i++) held.push(await ask(castor, `/held${i}`))
    await Promise.all(targets.map((target) => target.holds(2)))
    for (let i = 0; i < 5; i++) {
      const answer = await request(castor.port, get('/more'))
      t.equal(answer.status, 503)
      t.equal(answer.header('retry-after'), '1')
    }
    t.equal(await refusals(castor, 'QUEUE_FULL'), 5)
    targets[1]!.flow()
    await eventually('a place that became free', async () => (await request(castor.port, get('/'))).status === 200)
    targets[0]!.flow()
    t.same(await statusesOf(held), all200(held))
  })

  t.test(`first come, first served (${workers} workers)`, async (t) => {
    const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT }, { workers })
    const target = targets[0]!
    const paths = ['/first', ...Array.from({ length: 8 }, (_, i) => `/${i}`)]
    const answers: Asked[] = []
    for (const [index, path] of paths.entries()) {
      answers.push(await ask(castor, path))
      if (index === 0) await target.holds(1)
      else await queued(castor, index)
    }
    for (let i = 0; i < paths.length; i++) {
      await target.holds(1)
      target.release()
    }
    t.same(await statusesOf(answers), all200(answers))
    t.same(target.seen, paths)
    await queued(castor, 0)
  })

  t.test(`no target is ever given more than its limit, and all are served (${workers} workers)`, async (t) => {
    const LIMIT = 3
    const group = { maxConnectionsPerTarget: LIMIT, queue: PATIENT, algorithm: 'least-connections' }
    const { castor, targets } = await startBefore(t, group, { targets: 2, workers })
    for (const target of targets) target.flow(1)
    const statuses: number[] = []
    const clients = Array.from({ length: 30 }, async () => {
      const client = await RawClient.connect(castor.port)
      for (let i = 0; i < 30; i++) statuses.push((await client.exchange(get('/'))).status)
      client.close()
    })
    await Promise.all(clients)
    t.equal(statuses.filter((status) => status === 200).length, 900)
    for (const target of targets) t.equal(target.most, LIMIT, 'the limit was reached and not exceeded')
    await queued(castor, 0)
    const metrics = await castor.metrics()
    const inFlight = [...metrics].filter(([name]) => name.startsWith('castor_target_in_flight{'))
    t.same(
      inFlight.map(([, value]) => value),
      [0, 0],
    )
  })

  t.test(`a place that another thread gives back wakes who waits, without a poll (${workers} workers)`, async (t) => {
    const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue: PATIENT }, { workers })
    targets[0]!.flow()
    const statuses: number[] = []
    const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect(castor.port)))
    const { ms } = await timed(
      Promise.all(
        clients.map(async (client) => {
          for (let i = 0; i < 100; i++) statuses.push((await client.exchange(get('/'))).status)
        }),
      ),
    )
    for (const client of clients) client.close()
    t.equal(statuses.filter((status) => status === 200).length, 600)
    // Looking ten times a second alone would take a minute.
    t.ok(ms < 20_000, `600 requests one after the other in ${Math.round(ms)} ms`)
    t.equal(targets[0]!.most, 1)
  })
}

t.test('who waits too long gets 503 with a reason of its own', async (t) => {
  const queue = { size: 10, timeout: '300ms' }
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue }, { accessLog: true })
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  const { ms, value } = await timed(request(castor.port, get('/late')))
  t.equal(value.status, 503)
  t.equal(value.header('retry-after'), '1')
  t.ok(ms >= 290 && ms < 2_000, `${Math.round(ms)} ms`)
  await queued(castor, 0)
  targets[0]!.release()
  t.equal((await held.answer).status, 200)
  t.same(targets[0]!.seen, ['/held'])
  const records = await castor.accessRecords(2)
  t.match(
    records.find(({ uri }) => uri === '/late'),
    { status: 503, reason: 'QUEUE_TIMEOUT', target: null },
  )
  const metrics = await castor.metrics()
  t.equal(metrics.get('castor_rejected_total{listener="web",reason="QUEUE_TIMEOUT"}'), 1)
})

for (const workers of [1, 3]) {
  t.test(`the queue holds as many as its size over all threads (${workers} workers)`, async (t) => {
    const queue = { size: 2, timeout: '10s' }
    const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue }, { workers })
    const answers = [await ask(castor, '/held')]
    await targets[0]!.holds(1)
    answers.push(await ask(castor, '/1'), await ask(castor, '/2'))
    await queued(castor, 2)
    for (let i = 0; i < 4; i++) t.equal((await request(castor.port, get('/more'))).status, 503)
    t.equal(await refusals(castor, 'QUEUE_FULL'), 4)
    targets[0]!.flow()
    t.same(await statusesOf(answers), all200(answers))
  })
}

t.test('a client that leaves gives its place in the queue up', async (t) => {
  const queue = { size: 1, timeout: '10s' }
  const { castor, targets } = await startBefore(t, { maxConnectionsPerTarget: 1, queue })
  const held = await ask(castor, '/held')
  await targets[0]!.holds(1)
  for (const leave of ['close', 'reset'] as const) {
    const client = await RawClient.connect(castor.port)
    client.send(get(`/${leave}`))
    await queued(castor, 1)
    client[leave]()
    await queued(castor, 0)
  }
  const next = await ask(castor, '/next')
  await queued(castor, 1)
  targets[0]!.flow()
  t.same(await statusesOf([held, next]), [200, 200])
  t.same(targets[0]!.seen, ['/held', '/next'])
})
