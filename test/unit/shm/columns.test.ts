import fc from 'fast-check'
import t from 'tap'
import type { Capacity } from '../../../src/core/shared-counters.js'
import { bucketBoundMs, bucketOf, Columns, createSharedCounters, recordDuration } from '../../../src/shm/columns.js'
import {
  columnBytes,
  columnLayout,
  HISTOGRAM_BUCKETS,
  HISTOGRAM_SUM,
  HISTOGRAM_WORDS,
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_REASONS,
  LISTENER_WORDS,
  REASON_CAPACITY,
  SERIES_CODE_COUNT,
  SERIES_CODES,
  SERIES_CONNECT_DURATION,
  SERIES_REQUEST_DURATION,
  SERIES_RESPONSE_DURATION,
  SERIES_WORDS,
  TARGET_CONNECTIONS,
  TARGET_FAILURES,
  TARGET_LATENCY,
  TARGET_REQUESTS,
  TARGET_WORDS,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_CONNECTIONS_TOTAL,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_RETRIES_TOTAL,
  WORKER_SNAPSHOT,
  WORKER_TARGET_LISTS,
  WORKER_UPSTREAM_IDLE,
} from '../../../src/shm/layout.js'
import { SEED } from '../../random.js'

const CAPACITY: Capacity = { workers: 3, listeners: 2, series: 3, groups: 2, targets: 20, sessions: 64 }
const CACHE_LINE_PAIR_WORDS = 16

const make = (capacity = CAPACITY): Columns => new Columns(createSharedCounters(capacity))

/** Every block of words that something has to itself, as [first word, words, name]. */
function blocks(columns: Columns): [number, number, string][] {
  const { capacity } = columns
  const found: [number, number, string][] = []
  for (let column = 0; column <= capacity.workers; column++) {
    const name = `column ${column}`
    found.push([columns.workerAt(column), WORKER_RETRIES_TOTAL + 1, `${name} worker`])
    for (let i = 0; i < capacity.listeners; i++)
      found.push([columns.listenerAt(column, i), LISTENER_WORDS, `${name} listener ${i}`])
    for (let i = 0; i < capacity.targets; i++)
      found.push([columns.targetAt(column, i), TARGET_WORDS, `${name} target ${i}`])
    for (let i = 0; i < capacity.targets; i++) found.push([columns.inFlightAt(column, i), 1, `${name} in flight ${i}`])
    for (let i = 0; i < capacity.series; i++)
      found.push([columns.seriesAt(column, i), SERIES_WORDS, `${name} series ${i}`])
  }
  return found
}

t.test('nothing overlaps and everything lies within the memory', async (t) => {
  t.comment(`seed ${SEED}`)
  const size = fc.integer({ min: 1, max: 40 })
  const capacity = fc.record({
    workers: size,
    listeners: size,
    series: size,
    groups: size,
    targets: size,
    sessions: size,
  })
  fc.assert(
    fc.property(capacity, (capacity) => {
      const columns = make(capacity)
      const sorted = blocks(columns).sort((a, b) => a[0] - b[0])
      for (const [i, [at, words]] of sorted.entries()) {
        const end = i + 1 < sorted.length ? sorted[i + 1]![0] : columns.words.length
        if (at + words > end) return false
      }
      return columns.words.byteLength === columnBytes(capacity)
    }),
    { seed: SEED, numRuns: 40 },
  )
})

t.test('within a block the fields come one behind the other', async (t) => {
  t.ok(LISTENER_REASONS + REASON_CAPACITY <= LISTENER_WORDS)
  t.ok(SERIES_CODES + SERIES_CODE_COUNT <= SERIES_REQUEST_DURATION)
  t.ok(SERIES_REQUEST_DURATION + HISTOGRAM_WORDS <= SERIES_CONNECT_DURATION)
  t.ok(SERIES_CONNECT_DURATION + HISTOGRAM_WORDS <= SERIES_RESPONSE_DURATION)
  t.ok(SERIES_RESPONSE_DURATION + HISTOGRAM_WORDS <= SERIES_WORDS)
  t.ok(TARGET_LATENCY + HISTOGRAM_WORDS <= TARGET_WORDS)
})

t.test('no two columns share a pair of cache lines', async (t) => {
  for (const targets of [1, 15, 16, 17, 100]) {
    const { stride, inFlight, series } = columnLayout({ ...CAPACITY, targets })
    t.same(
      [stride, inFlight, series].map((words) => words % CACHE_LINE_PAIR_WORDS),
      [0, 0, 0],
      `${targets} targets`,
    )
  }
})

t.test('sums run over every column, the primary’s included', async (t) => {
  const columns = make()
  for (let column = 0; column <= 3; column++) columns.words[columns.inFlightAt(column, 7)]! += 10 ** column
  t.equal(columns.inFlight(7), 1_111)
  t.equal(columns.inFlight(6), 0)
  t.equal(columns.inFlight(8), 0)
})

t.test('threads that are given the same memory see the same numbers', async (t) => {
  const shared = createSharedCounters(CAPACITY)
  const writer = new Columns(shared)
  writer.words[writer.inFlightAt(2, 3)] = 5
  t.equal(new Columns(shared).inFlight(3), 5)
  t.equal(writer.nextTicket(1), 0)
  t.equal(new Columns(shared).nextTicket(1), 1)
  t.equal(writer.nextTicket(0), 0, 'tickets of groups are apart')
})

t.test('tickets wrap at 2^32 without turning negative', async (t) => {
  const shared = createSharedCounters(CAPACITY)
  const columns = new Columns(shared)
  new Int32Array(shared.tickets)[0] = 2 ** 31 - 1
  t.equal(columns.nextTicket(0), 2 ** 31 - 1)
  t.equal(columns.nextTicket(0), 2 ** 31)
  new Int32Array(shared.tickets)[0] = -1
  t.equal(columns.nextTicket(0), 2 ** 32 - 1)
  t.equal(columns.nextTicket(0), 0)
})

t.test('retiring a dead worker keeps its totals and drops what it had open', async (t) => {
  const columns = make()
  const gauges = (column: number): number[] => [
    columns.workerAt(column) + WORKER_CONNECTIONS_ACTIVE,
    columns.workerAt(column) + WORKER_LOOP_DELAY_P50_MS,
    columns.workerAt(column) + WORKER_LOOP_DELAY_P99_MS,
    columns.workerAt(column) + WORKER_LOOP_DELAY_MAX_MS,
    columns.workerAt(column) + WORKER_UPSTREAM_IDLE,
    columns.listenerAt(column, 0) + LISTENER_CONNECTIONS_ACTIVE,
    columns.listenerAt(column, 1) + LISTENER_CONNECTIONS_ACTIVE,
    columns.targetAt(column, 0) + TARGET_CONNECTIONS,
    columns.targetAt(column, 19) + TARGET_CONNECTIONS,
    columns.inFlightAt(column, 0),
    columns.inFlightAt(column, 19),
  ]
  const totals = (column: number): number[] => [
    columns.workerAt(column) + WORKER_CONNECTIONS_TOTAL,
    columns.workerAt(column) + WORKER_RETRIES_TOTAL,
    columns.listenerAt(column, 1) + LISTENER_CONNECTIONS_TOTAL,
    columns.listenerAt(column, 0) + LISTENER_REASONS + 3,
    columns.targetAt(column, 19) + TARGET_REQUESTS,
    columns.targetAt(column, 0) + TARGET_FAILURES,
    columns.targetAt(column, 5) + TARGET_LATENCY + HISTOGRAM_SUM,
    columns.seriesAt(column, 2) + SERIES_CODES + 100,
    columns.seriesAt(column, 2) + SERIES_RESPONSE_DURATION + HISTOGRAM_BUCKETS - 1,
  ]
  for (const at of [...gauges(2), ...totals(2), ...gauges(3), ...totals(3)]) columns.words[at] = 7
  for (let round = 1; round <= 2; round++) {
    const before = totals(0).map((at) => columns.sum(at))
    columns.retire(2)
    t.same(
      totals(0).map((at) => columns.sum(at)),
      before,
      'totals stand',
    )
    t.same(
      totals(0).map((at) => columns.words[at]),
      totals(0).map(() => 7 * round),
      'in the primary’s column',
    )
    t.same(
      gauges(0).map((at) => columns.sum(at)),
      gauges(0).map(() => 7),
      'only the living worker’s gauges are left',
    )
    const column = columns.words.subarray(columns.base(2), columns.base(3))
    t.ok(
      column.every((word) => word === 0),
      'the column is empty',
    )
    // Its successor counts in the same column and dies too.
    for (const at of [...gauges(2), ...totals(2)]) columns.words[at] = 7
  }
  t.same(
    [...gauges(3), ...totals(3)].map((at) => columns.words[at]).filter((word) => word !== 7),
    [],
    'the other is untouched',
  )
})

t.test('a duration falls into the bucket whose bounds hold it', async (t) => {
  t.comment(`seed ${SEED}`)
  const lower = (bucket: number): number => (bucket === 0 ? Number.NEGATIVE_INFINITY : bucketBoundMs(bucket - 1))
  const holds = (ms: number): boolean => {
    const bucket = bucketOf(ms)
    return bucket >= 0 && bucket < HISTOGRAM_BUCKETS && lower(bucket) <= ms && ms < bucketBoundMs(bucket)
  }
  fc.assert(
    fc.property(
      fc.oneof(fc.double({ min: 0, max: 300_000, noNaN: true }), fc.double({ min: 0, max: 10, noNaN: true })),
      holds,
    ),
    { seed: SEED, numRuns: 5_000 },
  )
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
    const boundMs = bucketBoundMs(bucket)
    t.equal(bucketOf(boundMs), bucket + 1, `${boundMs} ms begins the next bucket`)
    t.equal(bucketOf(boundMs * (1 - Number.EPSILON)), bucket, `just under ${boundMs} ms does not`)
  }
})

t.test('durations no clock should give still land in a bucket', async (t) => {
  const cases: [number, number][] = [
    [0, 0],
    [-5, 0],
    [Number.NaN, 0],
    [Number.MIN_VALUE, 0],
    [2 ** 17, HISTOGRAM_BUCKETS - 1],
    [Number.MAX_VALUE, HISTOGRAM_BUCKETS - 1],
    [Number.POSITIVE_INFINITY, HISTOGRAM_BUCKETS - 1],
  ]
  for (const [ms, bucket] of cases) t.equal(bucketOf(ms), bucket, `${ms} ms`)
  t.equal(bucketBoundMs(HISTOGRAM_BUCKETS - 1), Number.POSITIVE_INFINITY)
})

t.test('bounds rise by a quarter of an octave at most', async (t) => {
  for (let bucket = 1; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
    const ratio = bucketBoundMs(bucket) / bucketBoundMs(bucket - 1)
    if (!(ratio > 1 && ratio <= 1.25)) t.fail(`bucket ${bucket} is ${ratio} times the one before`)
  }
})

t.test('recording counts one and adds the time up', async (t) => {
  const columns = make()
  const at = columns.targetAt(1, 4) + TARGET_LATENCY
  for (const ms of [0.1, 3, 3.1, 200_000]) recordDuration(columns.words, at, ms)
  t.equal(columns.words[at], 1)
  t.equal(columns.words[at + bucketOf(3)], 2)
  t.equal(columns.words[at + HISTOGRAM_BUCKETS - 1], 1)
  t.ok(Math.abs(columns.words[at + HISTOGRAM_SUM]! - 200_006.2) < 1e-6)
  t.equal(
    columns.words.subarray(at, at + HISTOGRAM_BUCKETS).reduce((sum, count) => sum + count, 0),
    4,
  )
})

t.test('what every worker acknowledges is the least of their words, and a dead one acknowledges nothing', async (t) => {
  const columns = make()
  for (const [column, version] of [
    [1, 9],
    [2, 7],
    [3, 8],
  ] as const) {
    columns.words[columns.workerAt(column) + WORKER_SNAPSHOT] = version
    columns.words[columns.workerAt(column) + WORKER_TARGET_LISTS] = 10 - version
  }
  t.equal(columns.leastOfWorkers(WORKER_SNAPSHOT), 7, 'column 0 is nobody’s')
  t.equal(columns.leastOfWorkers(WORKER_TARGET_LISTS), 1)
  columns.retire(3)
  t.equal(columns.leastOfWorkers(WORKER_SNAPSHOT), 0)
})
