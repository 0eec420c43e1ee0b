import t from 'tap'
import { LatencyWindow } from '../../../src/admin/latency-window.js'
import { buildStatus } from '../../../src/admin/status.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  TARGET_CONNECTIONS,
  TARGET_FAILURES,
  TARGET_REQUESTS,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_LOOP_DELAY_P99_MS,
} from '../../../src/shm/layout.js'
import { FakeFacts, SECRET } from './fake-facts.js'

function windowOf(t: { teardown(end: () => void): unknown }, facts: FakeFacts): LatencyWindow {
  const latency = new LatencyWindow(facts.columns, () => facts.targets)
  t.teardown(() => latency.stop())
  return latency
}

t.test('the status says what shared memory and the configuration say', async (t) => {
  const facts = new FakeFacts()
  facts.startedAtMs = 1_700_000_000_000
  for (const column of [0, 1, 2]) {
    facts.listener(column, 0, LISTENER_CONNECTIONS_TOTAL, 10)
    facts.listener(column, 0, LISTENER_RECEIVED_BYTES, 100)
    facts.listener(column, 0, LISTENER_SENT_BYTES, 200)
    facts.answer(column, 0, 200, 1)
    facts.answer(column, 0, 101, 1)
    facts.answer(column, 0, 599, 1)
    facts.reason(column, 0, 'CLIENT_RESET')
    facts.reason(column, 0, 'TARGET_CUT', 2)
    facts.target(column, 1, TARGET_REQUESTS, 4)
    facts.target(column, 1, TARGET_FAILURES, 1)
  }
  facts.listener(1, 0, LISTENER_CONNECTIONS_ACTIVE, 5)
  facts.target(1, 1, TARGET_CONNECTIONS, 2)
  facts.worker(2, WORKER_CONNECTIONS_ACTIVE, 5)
  facts.worker(2, WORKER_LOOP_DELAY_P99_MS, 1.5)
  facts.latency(1, 1, 3)
  const status = buildStatus(facts, windowOf(t, facts), 1_700_000_060_000)
  t.match(status, {
    node: 'lb-a',
    version: '0.1.0',
    time: '2023-11-14T22:14:20.000Z',
    uptimeMs: 60_000,
    state: 'running',
    health: 'healthy',
    problems: [],
  })
  t.same(status.workers[1], {
    id: 2,
    state: 'running',
    connections: 5,
    restarts: 1,
    stuck: 0,
    loopDelayMs: { p50: 0, p99: 1.5, max: 0 },
  })
  t.same(status.listeners[0], {
    name: 'web',
    protocol: 'http',
    addresses: ['0.0.0.0:8080', '[::]:8080'],
    targetGroup: 'app',
    connections: 5,
    connectionsTotal: 30,
    requests: 9,
    responses: { '1xx': 3, '2xx': 3, '3xx': 0, '4xx': 0, '5xx': 3 },
    rules: [],
    receivedBytes: 300,
    sentBytes: 600,
    errors: { client: 3, server: 6, reasons: { CLIENT_RESET: 3, TARGET_CUT: 6 } },
    tls: null,
  })
  const [app, postgres] = status.targetGroups
  t.match(app, { name: 'app', protocol: 'http', algorithm: 'round-robin' })
  t.equal(app!.maxConnectionsPerTarget, null)
  t.same(app!.queue, { waiting: 0, size: 0, timeoutMs: 1_000 })
  t.equal(app!.targets.length, 3)
  const { latency, ...target } = app!.targets[1]!
  t.same(target, {
    id: '10.0.0.12:9002',
    address: '10.0.0.12:9002',
    weight: 10,
    state: 'active',
    health: 'unchecked',
    reason: null,
    since: '2023-11-14T22:13:20.000Z',
    leaves: null,
    connections: 2,
    inFlight: 0,
    requests: 12,
    failures: 3,
  })
  t.ok(latency.p50! >= 3 && latency.p50! < 3.5, `p50 ${latency.p50} ms`)
  t.same(app!.targets[0]!.latency, { p50: null, p99: null })
  t.same(
    postgres!.targets.map(({ weight, requests }) => [weight, requests]),
    [
      [10, 0],
      [0, 0],
    ],
  )
})

t.test('whatever does not work makes it degraded, and is named', async (t) => {
  const cases: [string, (facts: FakeFacts) => void, string][] = [
    [
      'a worker restarts',
      (f) => (f.workers = [{ id: 1, state: 'restarting', restarts: 4, stuck: 0 }]),
      'worker 1 is restarting',
    ],
    ['nothing is bound', (f) => (f.listeners = f.listeners.slice(0, 1)), 'listener db is not listening'],
    [
      'no target has a weight',
      (f) => f.removeTarget(3, true),
      'target group postgres has no target that takes traffic',
    ],
  ]
  for (const [name, change, problem] of cases) {
    const facts = new FakeFacts()
    change(facts)
    const status = buildStatus(facts, windowOf(t, facts))
    t.equal(status.health, 'degraded', name)
    t.same(status.problems, [problem], name)
  }
})

t.test('a target that was added is shown, and one that was removed with the time at which it goes', async (t) => {
  const facts = new FakeFacts()
  await facts.addTarget(0, { id: 'new', host: '2001:db8::9', port: 80, weight: 1 })
  const leavesMs = facts.removeTarget(0, false)
  const { targets } = buildStatus(facts, windowOf(t, facts)).targetGroups[0]!
  t.equal(targets[0]!.leaves, new Date(leavesMs).toISOString())
  const expected = {
    id: 'new',
    address: '[2001:db8::9]:80',
    leaves: null,
    requests: 0,
    latency: { p50: null, p99: null },
  }
  t.match(targets[3], expected)
})

t.test('sessions are counted in groups that learn them, and nowhere else', async (t) => {
  const facts = new FakeFacts()
  Object.assign(facts.config.targetGroups[0]!, { stickiness: { type: 'source-ip', timeoutMs: 1_000 } })
  facts.sessionTotals = { asOfMs: 1, ofGroup: () => 7, ofTarget: () => 0 }
  const status = buildStatus(facts, windowOf(t, facts))
  t.same(
    status.targetGroups.map(({ sessions }) => sessions),
    [7, null],
  )
  t.same(status.sessions, { live: 0, capacity: 64, evictions: 0 })
})

t.test('no secret of the configuration gets into it', async (t) => {
  const facts = new FakeFacts({ token: SECRET })
  t.notMatch(JSON.stringify(buildStatus(facts, windowOf(t, facts))), SECRET)
})

t.test('latencies are those of the last windows, not since the start', async (t) => {
  const facts = new FakeFacts()
  const latency = windowOf(t, facts)
  for (let i = 0; i < 1000; i++) facts.latency(1, 0, 100)
  t.ok(latency.of(0).p50! > 90)
  latency.rotate()
  t.ok(latency.of(0).p50! > 90, 'the window reaches one rotation back')
  for (let i = 0; i < 10; i++) facts.latency(2, 0, 1)
  latency.rotate()
  t.ok(latency.of(0).p99! < 2, `p99 ${latency.of(0).p99} ms: the slow ones are past`)
  latency.rotate()
  t.same(latency.of(0), { p50: null, p99: null }, 'nothing was answered lately')
})

t.test('a worker that dies does not make latencies wrong', async (t) => {
  const facts = new FakeFacts()
  const latency = windowOf(t, facts)
  for (let i = 0; i < 100; i++) facts.latency(1, 0, 10)
  latency.rotate()
  latency.rotate()
  facts.columns.retire(1)
  t.same(latency.of(0), { p50: null, p99: null })
  facts.latency(1, 0, 10)
  t.ok(latency.of(0).p50! > 9)
})
