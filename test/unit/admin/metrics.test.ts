import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Counter, Histogram, Registry } from 'prom-client'
import t from 'tap'
import { renderMetrics } from '../../../src/admin/metrics.js'
import { measureProcess, type ProcessFacts } from '../../../src/admin/process-facts.js'
import { REASONS } from '../../../src/core/reasons.js'
import { recordDuration } from '../../../src/shm/columns.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  SERIES_CONNECT_DURATION,
  SERIES_RESPONSE_DURATION,
  TARGET_CONNECTIONS,
  TARGET_FAILURES,
  TARGET_REQUESTS,
  WORKER_ACCESS_RECORDS_DROPPED,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_RETRIES_TOTAL,
  WORKER_UPSTREAM_IDLE,
} from '../../../src/shm/layout.js'
import { packageRoot } from '../../meta/sources.js'
import { SEED, seededRandom } from '../../random.js'
import { toolOrSkip } from '../../tools.js'
import { type ReadFamily, readExposition, sampleKey } from '../observe/prometheus-reader.js'
import { CLUSTER, FakeFacts } from './fake-facts.js'
import { tlsFacts } from './tls-facts.js'

const process: ProcessFacts = {
  node: 'lb-a',
  version: '0.1.0',
  startedAtMs: 1_700_000_000_500,
  workers: [
    { id: 1, state: 'running', restarts: 0, stuck: 0 },
    { id: 2, state: 'restarting', restarts: 3, stuck: 1 },
  ],
  cpuSeconds: 12.5,
  residentBytes: 1e8,
  openFds: 42,
  configuration: new FakeFacts().reloading.state,
  cluster: CLUSTER,
  primaryLoopDelay: { p50Ms: 0.5, p99Ms: 1, maxMs: 2 },
  certificates: () => [],
}

const render = (facts: FakeFacts): Map<string, ReadFamily> => readExposition(renderMetrics(facts, process))

/** The value of one sample; undefined when there is no such line. */
function value(
  families: Map<string, ReadFamily>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  return families.get(name)?.samples.get(sampleKey(name, labels))
}

t.test('counts of all workers, and what dead ones left behind, are added up', async (t) => {
  const facts = new FakeFacts()
  for (const column of [0, 1, 2]) {
    facts.listener(column, 0, LISTENER_CONNECTIONS_TOTAL, 100)
    facts.listener(column, 0, LISTENER_RECEIVED_BYTES, 1000)
    facts.listener(column, 0, LISTENER_SENT_BYTES, 5000)
    facts.reason(column, 0, 'BAD_REQUEST', 2)
    facts.reason(column, 0, 'CONNECTION_LIMIT', 1)
    facts.target(column, 2, TARGET_REQUESTS, 7)
    facts.target(column, 2, TARGET_FAILURES, 1)
    facts.answer(column, 0, 200, 5)
  }
  for (const column of [1, 2]) {
    facts.listener(column, 0, LISTENER_CONNECTIONS_ACTIVE, 3)
    facts.target(column, 2, TARGET_CONNECTIONS, 4)
    facts.worker(column, WORKER_CONNECTIONS_ACTIVE, column * 10)
    facts.worker(column, WORKER_UPSTREAM_IDLE, column)
    facts.worker(column, WORKER_RETRIES_TOTAL, 5)
    facts.worker(column, WORKER_ACCESS_RECORDS_DROPPED, 6)
    facts.worker(column, WORKER_LOOP_DELAY_P50_MS, 1)
    facts.worker(column, WORKER_LOOP_DELAY_P99_MS, 20)
    facts.worker(column, WORKER_LOOP_DELAY_MAX_MS, 300)
  }
  const families = render(facts)
  const web = { listener: 'web' }
  const target = { target_group: 'app', target: '10.0.0.13:9003' }
  const cases: [string, Record<string, string>, number | undefined][] = [
    ['castor_requests_total', { ...web, target_group: 'app', code: '200' }, 3],
    ['castor_requests_total', { ...web, target_group: 'app', code: '404' }, undefined],
    ['castor_connections_active', web, 6],
    ['castor_connections_active', { listener: 'db' }, 0],
    ['castor_connections_total', web, 300],
    ['castor_received_bytes_total', web, 3000],
    ['castor_sent_bytes_total', web, 15_000],
    ['castor_client_errors_total', { ...web, reason: 'BAD_REQUEST' }, 6],
    ['castor_client_errors_total', { ...web, reason: 'CONNECTION_LIMIT' }, undefined],
    ['castor_server_errors_total', { ...web, reason: 'CONNECTION_LIMIT' }, 3],
    ['castor_rejected_total', { ...web, reason: 'CONNECTION_LIMIT' }, 3],
    ['castor_rejected_total', { ...web, reason: 'BAD_REQUEST' }, undefined],
    ['castor_target_connections_active', target, 8],
    ['castor_target_requests_total', target, 21],
    ['castor_target_failures_total', target, 3],
    ['castor_target_requests_total', { target_group: 'postgres', target: '10.0.0.11:5432' }, 0],
    ['castor_worker_connections_active', { worker: '2' }, 20],
    ['castor_worker_upstream_idle', { worker: '1' }, 1],
    ['castor_worker_up', { worker: '1' }, 1],
    ['castor_worker_up', { worker: '2' }, 0],
    ['castor_worker_restarts_total', { worker: '2', reason: 'died' }, 2],
    ['castor_worker_restarts_total', { worker: '2', reason: 'stuck' }, 1],
    ['castor_retries_total', {}, 10],
    ['castor_access_log_dropped_total', {}, 12],
    ['castor_event_loop_delay_seconds', { thread: 'primary', percentile: '99' }, 0.001],
    ['castor_event_loop_delay_seconds', { thread: 'proxy-2', percentile: '100' }, 0.3],
    ['castor_build_info', { version: '0.1.0', node_version: globalThis.process.version, node: 'lb-a' }, 1],
    ['process_cpu_seconds_total', {}, 12.5],
    ['process_resident_memory_bytes', {}, 1e8],
    ['process_open_fds', {}, 42],
    ['process_start_time_seconds', {}, 1_700_000_000.5],
  ]
  for (const [name, labels, expected] of cases) {
    t.equal(value(families, name, labels), expected, `${name} ${JSON.stringify(labels)}`)
  }
})

t.test('every reason of the catalogue but success shows up in one of the two error metrics', async (t) => {
  const facts = new FakeFacts()
  for (const { code } of REASONS) facts.reason(1, 1, code)
  const families = render(facts)
  for (const { code, fault } of REASONS) {
    const isServers = fault === 'target' || fault === 'us'
    const labels = { listener: 'db', reason: code }
    t.equal(value(families, 'castor_client_errors_total', labels), fault === 'client' ? 1 : undefined, code)
    t.equal(value(families, 'castor_server_errors_total', labels), isServers ? 1 : undefined, code)
  }
})

t.test('without traffic there are no series for codes and durations, and the text is well-formed', async (t) => {
  const families = render(new FakeFacts())
  for (const name of ['castor_requests_total', 'castor_request_duration_seconds', 'castor_server_errors_total']) {
    t.equal(families.get(name)?.samples.size, 0, name)
  }
  for (const [name, { help, type }] of families) {
    t.ok(help.length > 10, `${name} is explained`)
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
  }
})

t.test('counters and histograms say the same as prom-client given the same events', async (t) => {
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const facts = new FakeFacts()
  const register = new Registry()
  const octaves = Array.from({ length: 20 }, (_, octave) => 2 ** (octave - 2) / 1000)
  const requests = new Counter({
    name: 'castor_requests_total',
    help: 'h',
    labelNames: ['listener', 'target_group', 'code'],
    registers: [register],
  })
  const histogram = (name: string): Histogram<'listener' | 'target_group'> =>
    new Histogram({
      name,
      help: 'h',
      labelNames: ['listener', 'target_group'],
      buckets: octaves,
      registers: [register],
    })
  const all = histogram('castor_request_duration_seconds')
  const connects = histogram('castor_upstream_connect_duration_seconds')
  const responses = histogram('castor_upstream_response_duration_seconds')
  const { columns } = facts
  for (let i = 0; i < 5000; i++) {
    const column = Math.floor(random() * 3)
    const code = [200, 200, 204, 301, 404, 502][Math.floor(random() * 6)]!
    // From below the first bound to above the last, never on a bound: shared memory counts that one above.
    const ms = 2 ** (random() * 26 - 6)
    const labels = { listener: 'web', target_group: 'app' }
    facts.answer(column, 0, code, ms)
    const series = columns.series(0)
    recordDuration(series.words, series.at(column) + SERIES_CONNECT_DURATION, ms / 3)
    recordDuration(series.words, series.at(column) + SERIES_RESPONSE_DURATION, ms / 7)
    requests.inc({ ...labels, code: String(code) })
    all.observe(labels, ms / 1000)
    connects.observe(labels, ms / 3000)
    responses.observe(labels, ms / 7000)
  }
  const ours = render(facts)
  const theirs = readExposition(await register.metrics())
  t.equal(theirs.size, 4)
  for (const [name, { type, samples }] of theirs) {
    const own = ours.get(name)!
    t.equal(own.type, type, name)
    t.same([...own.samples.keys()].sort(), [...samples.keys()].sort(), `${name} has the same lines`)
    for (const [key, wanted] of samples) {
      const found = own.samples.get(key)!
      if (Math.abs(found - wanted) > Math.abs(wanted) * 1e-9) t.fail(`${key}: ${found}, not ${wanted}`)
    }
  }
})

t.test('the process measures itself', async (t) => {
  const { cpuSeconds, residentBytes, openFds } = await measureProcess()
  t.ok(cpuSeconds! > 0)
  t.ok(residentBytes! > 1e7)
  t.ok(openFds === undefined || openFds >= 3)
})

t.test('Prometheus’s own linter is content', async (t) => {
  if (toolOrSkip(t, 'promtool') === undefined) return
  const facts = Object.assign(tlsFacts(), { cluster: CLUSTER })
  facts.traffic(100, seededRandom(SEED))
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: renderMetrics(facts, process),
    encoding: 'utf8',
  })
  t.same({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
})

t.test('docs/METRICS.md names every metric and no other', async (t) => {
  const page = readFileSync(join(packageRoot(), 'docs/METRICS.md'), 'utf8')
  const tables = page.slice(0, page.indexOf('## Queries'))
  const documented = [...tables.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram)/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  )
  const written = [...render(new FakeFacts())].map(([name, { type }]) => `${name} ${type}`)
  t.same(documented.sort(), written.sort())
})
