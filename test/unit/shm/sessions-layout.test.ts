import fc from 'fast-check'
import t from 'tap'
import {
  BUCKET_PLACES,
  createSessionTable,
  ENTRY_WORDS,
  LOCK,
  MAX_SESSIONS,
  SEQUENCE,
  SessionMemory,
  sessionTableBytes,
  TAGS,
  TORN_CLEARED,
} from '../../../src/shm/sessions-layout.js'
import { SEED } from '../../random.js'

const CACHE_LINE_PAIR_BYTES = 128

t.test('a session takes at most 96 bytes, everything around it included', async (t) => {
  for (const capacity of [2 ** 17, 1_000_000, 1_250_000]) {
    const bytes = sessionTableBytes(capacity, 65) / capacity
    t.comment(`${capacity} sessions: ${bytes.toFixed(1)} bytes each`)
    t.ok(bytes <= 96)
  }
})

t.test('nothing overlaps and everything lies within the memory', async (t) => {
  t.comment(`seed ${SEED}`)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 70 }), (capacity, columns) => {
      const shared = createSessionTable(capacity, columns)
      const memory = new SessionMemory(shared)
      const blocks: [number, number][] = [[0, 3]]
      for (let column = 0; column < columns; column++) {
        blocks.push([memory.rowAt(column), 2], [memory.countsAt(column) * 2 + 2, TORN_CLEARED * 2])
      }
      for (let bucket = 0; bucket < memory.buckets; bucket++) {
        blocks.push([memory.headAt(bucket) + LOCK, 1], [memory.headAt(bucket) + SEQUENCE, 1])
        blocks.push([memory.headAt(bucket) + TAGS, BUCKET_PLACES / 2])
        if (memory.tagsAt(bucket) !== (memory.headAt(bucket) + TAGS) * 2) return false
        for (let place = 0; place < BUCKET_PLACES; place++) blocks.push([memory.entryAt(bucket, place), ENTRY_WORDS])
      }
      blocks.sort((a, b) => a[0] - b[0])
      const overlaps = blocks.some(([at, words], i) => at + words > (blocks[i + 1]?.[0] ?? memory.words.length))
      return !overlaps && memory.capacity >= capacity && memory.capacity < capacity + 2 * BUCKET_PLACES
    }),
    { seed: SEED, numRuns: 40 },
  )
})

t.test('no two columns’ rows share a pair of cache lines', async (t) => {
  const memory = new SessionMemory(createSessionTable(100, 9))
  for (let column = 0; column < 9; column++) {
    t.equal((memory.rowAt(column) * 4) % CACHE_LINE_PAIR_BYTES, 0)
    t.ok((memory.rowAt(column + 1) - memory.rowAt(column)) * 4 >= CACHE_LINE_PAIR_BYTES)
  }
})

t.test('sizes that cannot be are refused', async (t) => {
  for (const capacity of [0, -1, 1.5, Number.NaN, MAX_SESSIONS + 1]) {
    t.throws(() => createSessionTable(capacity, 2), { name: 'RangeError', message: /1 to 67108864 sessions/ })
  }
  for (const columns of [0, -1, 1.5]) t.throws(() => createSessionTable(10, columns), RangeError)
})

t.test('memory of another layout or size is refused', async (t) => {
  const shared = createSessionTable(100, 2)
  t.throws(() => new SessionMemory(new SharedArrayBuffer(shared.byteLength)), /layout 0, and this program reads 3/)
  const longer = new SharedArrayBuffer(shared.byteLength + 128)
  new Uint8Array(longer).set(new Uint8Array(shared))
  t.throws(() => new SessionMemory(longer), /another size/)
})
