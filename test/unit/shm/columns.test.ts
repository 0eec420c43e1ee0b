import fc from 'fast-check'
import t from 'tap'
import { type Capacity, MAX_TARGETS } from '../../../src/core/shared-counters.js'
import { bucketBoundMs, bucketOf, Columns, createSharedCounters, recordDuration } from '../../../src/shm/columns.js'
import {
  columnLayout,
  HISTOGRAM_BUCKETS,
  HISTOGRAM_SUM,
  HISTOGRAM_WORDS,
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_REASONS,
  LISTENER_WORDS,
  REASON_CAPACITY,
  RULE_REQUESTS,
  RULE_WORDS,
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
  WORKER_ACCESS_RECORDS_DROPPED,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_CONNECTIONS_TOTAL,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_RETRIES_TOTAL,
  WORKER_SNAPSHOT,
  WORKER_TARGET_LISTS,
  WORKER_UPSTREAM_IDLE,
  WORKER_WORDS,
} from '../../../src/shm/layout.js'
import type { SlotCounters } from '../../../src/shm/slot-counters.js'
import { SEED } from '../../random.js'

const CAPACITY: Capacity = { workers: 3, listeners: 2, series: 3, rules: 3, groups: 2, targets: 20, sessions: 64 }
const CACHE_LINE_PAIR_WORDS = 16

const make = (capacity = CAPACITY): Columns => new Columns(createSharedCounters(capacity))

function add(counters: SlotCounters, column: number, word: number, by: number): void {
  counters.words[counters.at(column) + word]! += by
}

/** Every block of words that a slot has to itself, by the memory it lies in, as [first word, words]. */
function blocks(columns: Columns): Map<ArrayBufferLike, [number, number][]> {
  const { capacity } = columns
  const found = new Map<ArrayBufferLike, [number, number][]>()
  const add = (counters: SlotCounters, words: number): void => {
    const { buffer } = counters.words
    const there = found.get(buffer) ?? []
    found.set(buffer, there)
    for (let column = 0; column <= capacity.workers; column++) there.push([counters.at(column), words])
  }
  for (let i = 0; i < capacity.listeners; i++) add(columns.listener(i), LISTENER_WORDS)
  for (let i = 0; i < capacity.targets; i++) add(columns.target(i), TARGET_WORDS)
  for (let i = 0; i < capacity.targets; i++) add(columns.inFlightOf(i), 1)
  for (let i = 0; i < capacity.series; i++) add(columns.series(i), SERIES_WORDS)
  for (let i = 0; i < capacity.rules; i++) add(columns.rule(i), RULE_WORDS)
  return found
}

const SIZE = fc.integer({ min: 1, max: 40 })
const CAPACITIES = fc.record({
  workers: fc.integer({ min: 1, max: 8 }),
  listeners: SIZE,
  series: SIZE,
  rules: SIZE,
  groups: SIZE,
  targets: SIZE,
  sessions: SIZE,
})
const MORE = fc.nat({ max: 150 })
const GROWTHS = fc.array(fc.record({ listeners: MORE, series: MORE, rules: MORE, groups: MORE, targets: MORE }), {
  maxLength: 4,
})

t.test('whatever the tables hold and however they grow, no two slots share a word', async (t) => {
  t.comment(`seed ${SEED}`)
  fc.assert(
    fc.property(CAPACITIES, GROWTHS, (capacity, growths) => {
      const columns = make(capacity)
      for (const needed of growths) {
        columns.grow(needed)
        for (const kind of ['listeners', 'series', 'rules', 'groups', 'targets'] as const) {
          if (columns.capacity[kind] < needed[kind]) return false
        }
      }
      for (const [memory, found] of blocks(columns)) {
        const sorted = found.sort((a, b) => a[0] - b[0])
        for (const [i, [at, words]] of sorted.entries()) {
          const end = i + 1 < sorted.length ? sorted[i + 1]![0] : memory.byteLength / Float64Array.BYTES_PER_ELEMENT
          if (at < 0 || at + words > end) return false
        }
      }
      return columns.workerWords.length === (capacity.workers + 1) * WORKER_WORDS
    }),
    { seed: SEED, numRuns: 40 },
  )
})

t.test('a table that grows at least doubles, so that a large one has few segments', async (t) => {
  const columns = make()
  t.equal(columns.grow({ targets: 20, groups: 1 }), undefined, 'it holds that')
  for (let targets = 21; targets <= 5_000; targets++) columns.grow({ targets })
  t.equal(columns.shared.segments.length, 9)
  t.same(columns.shared.segments.map(({ first, count }) => [first.targets, count.targets, count.groups]).slice(0, 3), [
    [0, 20, 2],
    [20, 20, 0],
    [40, 40, 0],
  ])
  t.throws(() => columns.grow({ targets: MAX_TARGETS + 1 }), RangeError)
  t.throws(() => make({ ...CAPACITY, targets: MAX_TARGETS + 1 }), RangeError)
})

t.test('a thread takes segments in one after the other, each once', async (t) => {
  const shared = createSharedCounters(CAPACITY)
  const primary = new Columns(shared)
  const [second, third] = [primary.grow({ targets: 21 })!, primary.grow({ targets: 41, groups: 3 })!]
  const thread = new Columns(shared)
  t.throws(() => thread.target(20), RangeError, 'nobody has told it yet')
  t.throws(() => thread.addSegment(third), RangeError)
  thread.addSegment(second)
  thread.addSegment(second)
  t.equal(thread.capacity.targets, 40)
  thread.addSegment(third)
  t.same(thread.capacity, primary.capacity)
  t.same(new Columns(primary.shared).capacity, primary.capacity, 'one that starts later is given all')
  const { words } = thread.inFlightOf(45)
  words[thread.inFlightOf(45).at(2)]!++
  t.equal(primary.inFlight(45), 1)
  t.equal(thread.nextTicket(2), 0)
  t.equal(primary.nextTicket(2), 1)
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
    t.equal(WORKER_WORDS % CACHE_LINE_PAIR_WORDS, 0)
    t.same(
      [stride, inFlight, series].map((words) => words % CACHE_LINE_PAIR_WORDS),
      [0, 0, 0],
      `${targets} targets`,
    )
  }
})

t.test('sums run over every column, the primary’s included', async (t) => {
  const columns = make()
  for (let column = 0; column <= 3; column++) add(columns.inFlightOf(7), column, 0, 10 ** column)
  t.equal(columns.inFlight(7), 1_111)
  t.equal(columns.inFlight(6), 0)
  t.equal(columns.inFlight(8), 0)
})

t.test('threads that are given the same memory see the same numbers', async (t) => {
  const shared = createSharedCounters(CAPACITY)
  const writer = new Columns(shared)
  add(writer.inFlightOf(3), 2, 0, 5)
  t.equal(new Columns(shared).inFlight(3), 5)
  t.equal(writer.nextTicket(1), 0)
  t.equal(new Columns(shared).nextTicket(1), 1)
  t.equal(writer.nextTicket(0), 0, 'tickets of groups are apart')
})

t.test('tickets wrap at 2^32 without turning negative', async (t) => {
  const shared = createSharedCounters(CAPACITY)
  const columns = new Columns(shared)
  new Int32Array(shared.segments[0]!.tickets)[0] = 2 ** 31 - 1
  t.equal(columns.nextTicket(0), 2 ** 31 - 1)
  t.equal(columns.nextTicket(0), 2 ** 31)
  new Int32Array(shared.segments[0]!.tickets)[0] = -1
  t.equal(columns.nextTicket(0), 2 ** 32 - 1)
  t.equal(columns.nextTicket(0), 0)
})

/** What tells of now, and what only grows, of slots in the first segment and in later ones. */
function counted(columns: Columns): { readonly gauges: readonly Counted[]; readonly totals: readonly Counted[] } {
  const { listeners, series, rules, targets } = columns.capacity
  const ends = (count: number): number[] => [0, 1, count - 1]
  return {
    gauges: [
      ...ends(listeners).map((slot): Counted => [columns.listener(slot), LISTENER_CONNECTIONS_ACTIVE]),
      ...ends(targets).map((slot): Counted => [columns.target(slot), TARGET_CONNECTIONS]),
      ...ends(targets).map((slot): Counted => [columns.inFlightOf(slot), 0]),
    ],
    totals: [
      ...ends(listeners).flatMap((slot): Counted[] => [
        [columns.listener(slot), LISTENER_CONNECTIONS_TOTAL],
        [columns.listener(slot), LISTENER_REASONS + 3],
      ]),
      ...ends(targets).flatMap((slot): Counted[] => [
        [columns.target(slot), TARGET_REQUESTS],
        [columns.target(slot), TARGET_FAILURES],
        [columns.target(slot), TARGET_LATENCY + HISTOGRAM_SUM],
      ]),
      ...ends(series).flatMap((slot): Counted[] => [
        [columns.series(slot), SERIES_CODES + 100],
        [columns.series(slot), SERIES_RESPONSE_DURATION + HISTOGRAM_BUCKETS - 1],
      ]),
      ...ends(rules).map((slot): Counted => [columns.rule(slot), RULE_REQUESTS]),
    ],
  }
}

type Counted = readonly [SlotCounters, number]

const WORKER_GAUGES = [
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_LOOP_DELAY_P50_MS,
  WORKER_LOOP_DELAY_P99_MS,
  WORKER_LOOP_DELAY_MAX_MS,
  WORKER_UPSTREAM_IDLE,
]
const WORKER_TOTALS = [WORKER_CONNECTIONS_TOTAL, WORKER_RETRIES_TOTAL, WORKER_ACCESS_RECORDS_DROPPED]

t.test('retiring a dead worker keeps its totals and drops what it had open, in every segment', async (t) => {
  const columns = make()
  columns.grow({ listeners: 3, targets: 21 })
  columns.grow({ targets: 100, series: 4, rules: 30 })
  const { gauges, totals } = counted(columns)
  const set = (column: number): void => {
    for (const [counters, word] of [...gauges, ...totals]) counters.words[counters.at(column) + word] = 7
    for (const word of [...WORKER_GAUGES, ...WORKER_TOTALS]) columns.workerWords[columns.workerAt(column) + word] = 7
  }
  set(2)
  set(3)
  for (let round = 1; round <= 2; round++) {
    columns.retire(2)
    t.same(
      totals.map(([counters, word]) => [counters.sum(word), counters.words[counters.at(0) + word]]),
      totals.map(() => [7 + 7 * round, 7 * round]),
      'totals stand, in the primary’s column',
    )
    t.same(
      WORKER_TOTALS.map((word) => columns.sumOfWorkers(word)),
      WORKER_TOTALS.map(() => 7 + 7 * round),
    )
    t.same(
      [...gauges.map(([counters, word]) => counters.sum(word)), ...WORKER_GAUGES.map((w) => columns.sumOfWorkers(w))],
      [...gauges, ...WORKER_GAUGES].map(() => 7),
      'only the living worker’s gauges are left',
    )
    t.same(
      [...gauges, ...totals]
        .map(([counters, word]) => counters.words[counters.at(2) + word])
        .filter((word) => word !== 0),
      [],
      'the column is empty',
    )
    t.ok(columns.workerWords.subarray(columns.workerAt(2), columns.workerAt(3)).every((word) => word === 0))
    // Its successor counts in the same column and dies too.
    set(2)
  }
  t.same(
    [...gauges, ...totals]
      .map(([counters, word]) => counters.words[counters.at(3) + word])
      .filter((word) => word !== 7),
    [],
    'the other is untouched',
  )
})

t.test('what a slot counted is gone before it is given out anew, and nothing else is', async (t) => {
  const columns = make()
  columns.grow({ listeners: 10, series: 10, rules: 10, groups: 10, targets: 50 })
  const kinds: readonly [string, (slot: number) => SlotCounters, number, (slot: number) => void][] = [
    ['listener', (slot) => columns.listener(slot), LISTENER_WORDS, (slot) => columns.clearListener(slot)],
    ['series', (slot) => columns.series(slot), SERIES_WORDS, (slot) => columns.clearSeries(slot)],
    ['rule', (slot) => columns.rule(slot), RULE_WORDS, (slot) => columns.clearRule(slot)],
    ['target', (slot) => columns.target(slot), TARGET_WORDS, (slot) => columns.clearTarget(slot)],
  ]
  for (const [name, of, words, clear] of kinds) {
    for (const slot of [0, 1, 5, 6, 7]) {
      for (let column = 0; column <= 3; column++)
        for (let word = 0; word < words; word++) add(of(slot), column, word, 1)
    }
    clear(0)
    clear(6)
    const sums = (slot: number): number[] => [...of(slot).sums(0, new Float64Array(words))]
    for (const slot of [0, 6])
      t.ok(
        sums(slot).every((sum) => sum === 0),
        `${name} ${slot}`,
      )
    for (const slot of [1, 5, 7])
      t.ok(
        sums(slot).every((sum) => sum === 4),
        `${name} ${slot}`,
      )
  }
  for (const group of [1, 8, 9]) {
    columns.nextTicket(group)
    columns.sourcesOf(group, 1_000).note(5, 1_000)
    columns.sourcesOf(group, 1_000).note(6, 1_000)
  }
  columns.clearGroup(8)
  t.same(
    [1, 8, 9].map((group) => [columns.nextTicket(group), columns.sourcesOf(group, 1_000).areSeveral(1_000)]),
    [
      [1, true],
      [0, false],
      [1, true],
    ],
  )
})

t.test('a listener, group or target is quiet when nothing of it is open on any thread', async (t) => {
  const columns = make()
  columns.grow({ listeners: 10, series: 10, rules: 10, groups: 10, targets: 50 })
  for (const slot of [0, 8]) {
    const quiet = (): boolean[] => [
      columns.isListenerQuiet(slot),
      columns.isGroupQuiet(slot),
      columns.isTargetQuiet(slot),
    ]
    t.same(quiet(), [true, true, true])
    add(columns.listener(slot), 3, LISTENER_CONNECTIONS_TOTAL, 1)
    add(columns.series(slot), 3, SERIES_CODES + 100, 1)
    t.same(quiet(), [true, true, true], 'what there was does not matter')
    add(columns.listener(slot), 2, LISTENER_CONNECTIONS_ACTIVE, 1)
    t.same(quiet(), [false, true, true])
    columns.waiting.tryEnter(3, slot, 1)
    t.same(quiet(), [false, false, true])
    add(columns.inFlightOf(slot), 2, 0, 1)
    t.same(quiet(), [false, false, false])
    for (const column of [1, 2, 3]) columns.retire(column)
    t.same(quiet(), [true, true, true], 'what dead workers had open is not')
  }
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
  const { words } = columns.target(4)
  const at = columns.target(4).at(1) + TARGET_LATENCY
  for (const ms of [0.1, 3, 3.1, 200_000]) recordDuration(words, at, ms)
  t.equal(words[at], 1)
  t.equal(words[at + bucketOf(3)], 2)
  t.equal(words[at + HISTOGRAM_BUCKETS - 1], 1)
  t.ok(Math.abs(words[at + HISTOGRAM_SUM]! - 200_006.2) < 1e-6)
  t.equal(
    words.subarray(at, at + HISTOGRAM_BUCKETS).reduce((sum, count) => sum + count, 0),
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
    columns.workerWords[columns.workerAt(column) + WORKER_SNAPSHOT] = version
    columns.workerWords[columns.workerAt(column) + WORKER_TARGET_LISTS] = 10 - version
  }
  t.equal(columns.leastOfWorkers(WORKER_SNAPSHOT), 7, 'column 0 is nobody’s')
  t.equal(columns.leastOfWorkers(WORKER_TARGET_LISTS), 1)
  columns.retire(3)
  t.equal(columns.leastOfWorkers(WORKER_SNAPSHOT), 0)
})
