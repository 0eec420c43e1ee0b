import t from 'tap'
import {
  createSources,
  NO_SOURCE,
  RATE_CONNECTIONS,
  RATE_REQUESTS,
  SourceTable,
} from '../../../src/shm/source-table.js'

const SEED = Uint8Array.from({ length: 16 }, (_, i) => i * 7)
const WAYS = 8

function tables(capacity = 64): { primary: SourceTable; worker: SourceTable } {
  const shared = createSources(2, capacity, SEED)
  return { primary: new SourceTable(shared, 0), worker: new SourceTable(shared, 1) }
}

t.test('connections are counted where their source is, by all threads', async (t) => {
  const { primary, worker } = tables()
  const place = primary.place(1, 2, 10)
  t.ok(primary.enter(place, 1, 2))
  t.ok(primary.enter(place, 1, 2))
  worker.own(place)
  worker.own(place)
  t.equal(worker.place(1, 2, 11), place, 'the same place for the same source')
  t.not(worker.place(2, 1, 11), place)
  t.equal(worker.open(place), 2)
  worker.disown(place)
  t.equal(primary.open(place), 1)
})

t.test('what a thread had open when it died is counted out', async (t) => {
  const { primary, worker } = tables()
  const place = primary.place(1, 2, 10)
  for (let i = 0; i < 3; i++) primary.enter(place, 1, 2)
  worker.own(place)
  worker.own(place)
  primary.fold(1)
  t.equal(primary.open(place), 1, 'the one that no thread had taken on yet')
  primary.fold(1)
  t.equal(primary.open(place), 1, 'once')
})

t.test('a full bucket gives up the source seen longest ago that has nothing open', async (t) => {
  const { primary } = tables(WAYS)
  const places = Array.from({ length: WAYS }, (_, i) => primary.place(0, i, 10 + i))
  t.equal(new Set(places).size, WAYS)
  primary.enter(places[0]!, 0, 0)
  const next = primary.place(0, 100, 20)
  t.equal(next, places[1], 'the oldest of those without a connection')
  t.equal(primary.evicted, 1)
  t.notOk(primary.enter(places[1]!, 0, 1), 'whoever still means the old one counts nothing')
  t.equal(primary.open(next), 0)
  t.equal(primary.place(0, 0, 21), places[0])
})

t.test('where all have connections open a source is not counted, and that is told', async (t) => {
  const { primary } = tables(WAYS)
  for (let i = 0; i < WAYS; i++) primary.enter(primary.place(0, i, 10), 0, i)
  t.equal(primary.place(0, 100, 11), NO_SOURCE)
  t.equal(primary.uncounted, 1)
})

t.test('a rate lets a second’s worth through at once, then one at a time', async (t) => {
  const { primary } = tables()
  const place = primary.place(1, 2, 10)
  const nowUs = (2 ** 31 - 500_000) | 0
  const take = (us: number): number => primary.take(place, RATE_CONNECTIONS, 100_000, 1_000_000, us)
  for (let i = 0; i < 10; i++) t.equal(take(nowUs), 0)
  t.equal(take(nowUs), 100_000, 'the wait until one more would be')
  t.equal(take((nowUs + 99_000) | 0), 1_000)
  t.equal(take((nowUs + 100_000) | 0), 0)
  t.equal(primary.take(place, RATE_REQUESTS, 100_000, 1_000_000, nowUs), 0, 'each rate by itself')
  const later = (nowUs + 1_500_000) | 0
  for (let i = 0; i < 10; i++) t.equal(take(later), 0, 'across the end of 32 bits')
  t.not(take(later), 0)
})

t.test('a source that comes back after hours owes nothing', async (t) => {
  const { primary } = tables()
  const place = primary.place(1, 2, 10)
  for (let i = 0; i < 10; i++) primary.take(place, RATE_CONNECTIONS, 100_000, 1_000_000, 0)
  for (const hours of [0.6, 1, 1.5, 7]) {
    const nowUs = (hours * 3_600_000_000) | 0
    t.equal(primary.take(place, RATE_CONNECTIONS, 100_000, 1_000_000, nowUs), 0, `${hours} h`)
  }
})

t.test('the log may tell of a source once in a while', async (t) => {
  const { primary, worker } = tables()
  const place = primary.place(1, 2, 10)
  t.ok(primary.tell(place, 600, 100))
  t.notOk(worker.tell(place, 600, 101))
  t.ok(worker.tell(place, 600, 701))
})

t.test('sources of one network spread over all buckets', async (t) => {
  const { primary } = tables(1_024)
  for (let i = 0; i < 512; i++) {
    const low = ((i & 255) << 24) | ((i >> 8) << 16)
    const place = primary.place(0xffff, low, 10)
    if (place !== NO_SOURCE) primary.enter(place, 0xffff, low)
  }
  // Of 512 in 128 buckets of 8 a handful find theirs full by chance.
  t.ok(primary.uncounted < 40, `${primary.uncounted} of 512 without a place`)
})
