import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { blankEntry, type StickyEntry } from '../../../src/core/session-store.js'
import { KeyHash } from '../../../src/shm/key-hash.js'
import { MapSessionStore } from '../../../src/shm/map-sessions.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { homeOf, lowestBit, otherOf, placeOfBit, tagMatches, tagOf } from '../../../src/shm/sessions-entry.js'
import {
  BUCKET_PLACES,
  createSessionTable,
  INTENT_FIRST,
  INTENT_SECOND,
  LOCK,
  LOCKS_BROKEN,
  SEQUENCE,
  SessionMemory,
  TORN_CLEARED,
  USED_WORDS,
} from '../../../src/shm/sessions-layout.js'
import { beginWrite, breakLocks, lockBucket, unlockBucket } from '../../../src/shm/sessions-locks.js'
import { SEED, seededRandom } from '../../random.js'
import { TimedSessions } from './timed-sessions.js'

const PRIMARY = 0
const hash = new KeyHash(new Uint8Array(16))
const key = (n: number): Int32Array => Int32Array.from(hash.of(1, Uint8Array.of(n, n >> 8, n >> 16, n >> 24), 0, 4))
const session = (given: Partial<StickyEntry>): StickyEntry => ({
  ...blankEntry(),
  expiresMs: 1_000,
  touchedMs: 0,
  ...given,
})

/** A table as three threads see it, each by its own view, and its memory laid bare. */
function makeTable(capacity = 240): {
  primary: TimedSessions
  one: TimedSessions
  two: TimedSessions
  memory: SessionMemory
} {
  const shared = createSessionTable(capacity, 3)
  const [primary, one, two] = [PRIMARY, 1, 2].map(
    (column) => new TimedSessions((clock) => new SessionTable(shared, column, clock)),
  )
  return { primary: primary!, one: one!, two: two!, memory: new SessionMemory(shared) }
}

/** Where a key's entry lies. */
function placeOf(memory: SessionMemory, wanted: Int32Array): { bucket: number; place: number; at: number } {
  const home = homeOf(wanted, memory.buckets)
  for (const bucket of [home, otherOf(wanted, memory.buckets, home)]) {
    for (let place = 0; place < BUCKET_PLACES; place++) {
      const at = memory.entryAt(bucket, place)
      if (memory.tags[memory.tagsAt(bucket) + place] === 0) continue
      if (wanted.every((word, i) => memory.words[at + i] === word)) return { bucket, place, at }
    }
  }
  throw new Error('the key is nowhere')
}

t.comment(`seed ${SEED}`)

t.test('threads that are given the same memory see the same sessions and counts', async (t) => {
  const { one, two } = makeTable()
  one.put(key(1), session({ targetSlot: 7 }), 0)
  t.ok(two.find(key(1), 0))
  t.equal(two.found.targetSlot, 7)
  t.equal(two.drop(key(1), 0), 'done')
  t.notOk(one.find(key(1), 0))
  t.same(one.counts(), { entries: 0, evictions: 0, busy: 0 })
  t.throws(() => new SessionTable(createSessionTable(10, 3), 3, new ManualClock()), /columns 0 to 2, not 3/)
})

t.test('what it forgets beyond what a map of any size would, it counts as evicted', async (t) => {
  let evicted = 0
  const action = fc.record({
    what: fc.constantFrom('put', 'put', 'put', 'touch', 'drop', 'wait'),
    n: fc.nat(300),
    ms: fc.integer({ min: 1, max: 50_000 }),
    thread: fc.constantFrom('one', 'two'),
  })
  fc.assert(
    fc.property(fc.array(action, { minLength: 300, maxLength: 1_200, size: 'max' }), (actions) => {
      const tables = makeTable(120)
      const model = new TimedSessions((clock) => new MapSessionStore(10_000, clock))
      let nowMs = 0
      let forgotten = 0
      for (const [step, { what, n, ms, thread }] of actions.entries()) {
        const table = tables[thread as 'one' | 'two']
        const isKnown = model.find(key(n), nowMs)
        if (isKnown !== table.find(key(n), nowMs)) {
          assert.ok(isKnown, `${n} was never put, or has expired`)
          // Evicted: from here on the model knows as much.
          model.drop(key(n), nowMs)
          forgotten++
        } else if (isKnown) assert.deepEqual({ ...table.found }, { ...model.found })
        if (what === 'wait') nowMs += ms / 200
        const given = session({ targetSlot: step, expiresMs: nowMs + ms, touchedMs: nowMs, versionHigh: step })
        if (what === 'put') assert.equal(table.put(key(n), given, nowMs), model.put(key(n), given, nowMs))
        if (what === 'touch') {
          assert.equal(table.touch(key(n), nowMs, ms), model.touch(key(n), nowMs, ms))
        }
        if (what === 'drop') assert.equal(table.drop(key(n), nowMs), model.drop(key(n), nowMs))
      }
      const { entries, evictions } = tables.one.counts()
      evicted += evictions
      assert.ok(forgotten <= evictions, `${forgotten} forgotten, ${evictions} counted`)
      assert.ok(entries <= tables.one.capacity)
      const { memory } = tables
      let taken = 0
      for (let bucket = 0; bucket < memory.buckets; bucket++) {
        for (let place = 0; place < BUCKET_PLACES; place++) {
          if (memory.tags[memory.tagsAt(bucket) + place] !== 0) taken++
        }
      }
      assert.equal(entries, taken, 'the count is what is there')
    }),
    { seed: SEED, numRuns: 40 },
  )
  t.ok(evicted > 100, `${evicted} sessions were evicted in the course of it`)
})

t.test('four fifths full it has evicted next to nothing', async (t) => {
  const { one } = makeTable(50_000)
  const total = one.capacity * 0.8
  for (let n = 0; n < total; n++) one.put(key(n), session({}), 0)
  const { entries, evictions } = one.counts()
  t.equal(entries + evictions, Math.ceil(total))
  t.ok(evictions <= total / 10_000, `${evictions} of ${total}`)
})

t.test('a sweep goes round all buckets, whatever the steps', async (t) => {
  const { primary, one } = makeTable()
  for (let n = 0; n < 150; n++) one.put(key(n), session({ expiresMs: n < 50 ? 10 : 1_000 }), 0)
  let freed = 0
  let most = 0
  for (let step = 0; step < primary.capacity / BUCKET_PLACES; step++) {
    const now = primary.sweep(10, BUCKET_PLACES)
    most = Math.max(most, now)
    freed += now
  }
  t.equal(freed, 50)
  t.ok(most <= BUCKET_PLACES)
  t.equal(one.counts().entries, 100)
  t.equal(primary.sweep(10, 1e9), 0, 'more places than there are is once round')
})

t.test('of two expired and two living sessions, the expired go first, whichever bucket they are in', async (t) => {
  const { one } = makeTable(24)
  for (let n = 0; n < 24; n++) one.put(key(n), session({ expiresMs: n % 12 === 5 ? 5 : 100 + n }), 0)
  for (let n = 0; n < 2; n++) one.put(key(100 + n), session({ expiresMs: 1_000 }), 50)
  t.equal(one.counts().evictions, 0)
  one.put(key(102), session({ expiresMs: 1_000 }), 50)
  t.equal(one.counts().evictions, 1)
  t.notOk(one.find(key(0), 50), 'then the one nearest its expiry')
})

t.test('a lock that another thread holds makes a write give up, and is counted', async (t) => {
  const { one, two, memory } = makeTable()
  one.put(key(1), session({ targetSlot: 1 }), 0)
  const { bucket } = placeOf(memory, key(1))
  t.ok(lockBucket(memory, 2, bucket, INTENT_FIRST))
  t.equal(one.put(key(1), session({ targetSlot: 2 }), 0), 'busy')
  t.equal(one.touch(key(1), 5, 2_000), 'busy')
  t.equal(one.drop(key(1), 0), 'busy')
  t.equal(one.counts().busy, 3)
  t.ok(one.find(key(1), 0), 'readers take no lock')
  t.equal(one.found.targetSlot, 1)
  unlockBucket(memory, bucket)
  t.equal(one.touch(key(1), 5, 2_000), 'done')
  t.equal(two.counts().busy, 3)
})

t.test('a new session needs both its buckets, and gives back the lock it got', async (t) => {
  const { one, memory } = makeTable()
  const home = homeOf(key(1), memory.buckets)
  for (const held of [home, otherOf(key(1), memory.buckets, home)]) {
    t.ok(lockBucket(memory, 2, held, INTENT_FIRST))
    t.equal(one.put(key(1), session({}), 0), 'busy')
    for (let bucket = 0; bucket < memory.buckets; bucket++) {
      t.equal(memory.words[memory.headAt(bucket) + LOCK], bucket === held ? 3 : 0)
    }
    unlockBucket(memory, held)
  }
  t.equal(one.put(key(1), session({}), 0), 'done')
})

/** Does something in the moment when the next lock is about to be taken, as another thread might. */
function beforeNextLock(act: () => void): void {
  const { compareExchange } = Atomics
  const actFirst = (words: Int32Array, ...rest: [number, number, number]): number => {
    Object.assign(Atomics, { compareExchange })
    act()
    return compareExchange(words, ...rest)
  }
  Object.assign(Atomics, { compareExchange: actFirst })
}

t.test('what another thread does between the look and the lock is seen under the lock', async (t) => {
  const { one, two } = makeTable()
  const cases: [string, () => unknown, () => unknown, string, number | undefined, number][] = [
    [
      'put while put',
      () => two.put(key(1), session({ targetSlot: 2 }), 0),
      () => one.put(key(1), session({ targetSlot: 1 }), 0),
      'done',
      1,
      1,
    ],
    [
      'dropped while put',
      () => two.drop(key(2), 0),
      () => one.put(key(2), session({ targetSlot: 1 }), 0),
      'done',
      1,
      1,
    ],
    ['dropped while touched', () => two.drop(key(2), 0), () => one.touch(key(2), 0, 5_000), 'absent', undefined, 0],
    ['dropped while dropped', () => two.drop(key(2), 0), () => one.drop(key(2), 0), 'absent', undefined, 0],
  ]
  for (const [name, other, own, outcome, target, entries] of cases) {
    const wanted = name.startsWith('put') ? key(1) : key(2)
    if (!name.startsWith('put')) two.put(wanted, session({ targetSlot: 7 }), 0)
    beforeNextLock(other)
    t.equal(own(), outcome, name)
    t.equal(one.find(wanted, 0) ? one.found.targetSlot : undefined, target, name)
    t.equal(one.counts().entries, entries, `${name}: no session lies in two places`)
    two.drop(wanted, 0)
    t.equal(one.counts().entries, 0)
  }
})

t.test('a lock held by a dead thread is broken, and only that', async (t) => {
  const { primary, one, memory } = makeTable()
  one.put(key(1), session({ targetSlot: 1 }), 0)
  const { bucket } = placeOf(memory, key(1))
  const others = [0, 1, 2].filter((other) => other !== bucket)
  t.ok(lockBucket(memory, 2, bucket, INTENT_FIRST))
  t.ok(lockBucket(memory, 2, others[0]!, INTENT_SECOND))
  t.ok(lockBucket(memory, 1, others[1]!, INTENT_FIRST))
  t.equal(breakLocks(memory, 2), 2)
  t.equal(one.touch(key(1), 5, 2_000), 'done')
  t.equal(memory.words[memory.headAt(others[1]!) + LOCK], 2, 'the living thread keeps its own')
  t.equal(breakLocks(memory, 2), 0, 'a thread that held none leaves none')
  unlockBucket(memory, others[1]!)
  t.equal(memory.counts[memory.countsAt(PRIMARY) + LOCKS_BROKEN], 2)
  t.same(primary.counts(), { entries: 1, evictions: 0, busy: 0 })
})

t.test('what a dead thread left half-written is found by nobody, and cleared with its lock', async (t) => {
  for (const word of Array.from({ length: USED_WORDS }, (_, i) => i)) {
    const { primary, one, memory } = makeTable(24)
    for (let n = 0; n < 20; n++) one.put(key(n), session({ targetSlot: n }), 0)
    const { bucket, at } = placeOf(memory, key(3))
    lockBucket(memory, 2, bucket, INTENT_FIRST)
    beginWrite(memory.words, memory.headAt(bucket))
    memory.words[at + word]! ^= 1 << (word * 2)
    for (let n = 0; n < 20; n++) {
      const isFound = one.find(key(n), 0)
      t.equal(isFound, n !== 3, `word ${word}: session ${n} while the lock is held`)
      if (isFound) t.equal(one.found.targetSlot, n)
    }
    t.equal(primary.scan(0, 100, 0, -1).sessions.length, 19, 'nor shown')
    t.equal(breakLocks(memory, 2), 1)
    t.equal(memory.counts[memory.countsAt(PRIMARY) + TORN_CLEARED], 1)
    t.equal(memory.words[memory.headAt(bucket) + SEQUENCE]! & 1, 0, 'the bucket is at rest')
    t.same(one.counts(), { entries: 19, evictions: 0, busy: 0 }, 'the count is right')
    t.notOk(one.find(key(3), 0))
    t.equal(one.put(key(3), session({ targetSlot: 30 }), 0), 'done')
    for (let n = 0; n < 20; n++) t.ok(one.find(key(n), 0))
  }
})

t.test('a thread that died with nothing half-written loses nothing', async (t) => {
  const { one, memory } = makeTable(24)
  for (let n = 0; n < 24; n++) one.put(key(n), session({ targetSlot: n }), 0)
  for (const bucket of [0, 1]) lockBucket(memory, 2, bucket, bucket === 0 ? INTENT_FIRST : INTENT_SECOND)
  beginWrite(memory.words, memory.headAt(1))
  t.equal(breakLocks(memory, 2), 2)
  for (let n = 0; n < 24; n++) t.ok(one.find(key(n), 0))
  t.same(one.counts(), { entries: 24, evictions: 0, busy: 0 })
})

t.test('a mix of two states of an entry is never found', async (t) => {
  const random = seededRandom(SEED)
  const word = (): number => (random() * 2 ** 32) | 0
  const { one, memory } = makeTable(24)
  const wanted = key(1)
  const random53 = (): number => Math.floor(random() * 2 ** 53)
  const put = (): number[] => {
    const given = {
      group: word() >>> 1,
      targetSlot: word(),
      generation: word(),
      versionHigh: word(),
      versionLow: word(),
    }
    one.drop(wanted, 0)
    one.put(wanted, { ...given, expiresMs: random53(), touchedMs: random53(), used: random() < 0.5 }, 0)
    const { at } = placeOf(memory, wanted)
    return [...memory.words.subarray(at, at + USED_WORDS)]
  }
  for (let round = 0; round < 500; round++) {
    const before = put()
    const after = put()
    const { at } = placeOf(memory, wanted)
    for (const [i, is] of after.entries()) memory.words[at + i] = random() < 0.5 ? before[i]! : is
    const mixed = [...memory.words.subarray(at, at + USED_WORDS)]
    const isWhole = [before, after].some((state) => state.every((is, i) => mixed[i] === is))
    if (one.find(wanted, 0) !== isWhole) t.fail(`round ${round}: a mix was found, or a whole entry was not`)
  }
})

t.test('tags that meet by chance do no harm', async (t) => {
  const { one } = makeTable(24)
  // The same tag sixty times over, and pairs of tags that differ in their lowest bit.
  const alike = (n: number): Int32Array => Int32Array.of(n * 7_919, n * 104_729, (n << 16) | (n & 1) | 2, n)
  for (let n = 0; n < 24; n++) one.put(alike(n), session({ targetSlot: n }), 0)
  for (let n = 0; n < 24; n++) {
    t.ok(one.find(alike(n), 0))
    t.equal(one.found.targetSlot, n)
  }
  t.notOk(one.find(alike(24), 0))
  t.equal(one.drop(alike(5), 0), 'done')
  t.notOk(one.find(alike(5), 0))
  t.ok(one.find(alike(7), 0))
})

t.test('tag matches name every place with the tag, and no place but the right one alone', async () => {
  const tag = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 2, 3, 0x7fff, 0x8000, 0x8001, 0xffff))
  const tags = fc.array(tag, { minLength: BUCKET_PLACES, maxLength: BUCKET_PLACES })
  fc.assert(
    fc.property(tags, fc.oneof(tag, fc.nat(BUCKET_PLACES - 1)), fc.boolean(), (tags, chosen, isOneOfThem) => {
      const wanted = (isOneOfThem ? tags[chosen % BUCKET_PLACES]! : chosen) || 1
      const words = new Int32Array(Uint16Array.from(tags).buffer)
      const named: number[] = []
      let matches = tagMatches(words, 0, wanted)
      for (; matches !== 0; matches &= matches - 1) named.push(placeOfBit(lowestBit(matches)))
      assert.equal(new Set(named).size, named.length)
      for (const [place, is] of tags.entries()) {
        // A neighbour below may bring a place in by mistake; nothing may leave one out.
        if (is === wanted) assert.ok(named.includes(place), `place ${place} of ${tags}`)
        else if (named.includes(place)) assert.ok(place % 2 === 1 && tags[place - 1] === wanted)
      }
    }),
    { seed: SEED, numRuns: 5_000 },
  )
})

t.test('a key has two buckets, never the same, and all buckets get their share', async (t) => {
  for (const buckets of [2, 3, 7, 1_000]) {
    const counts = new Float64Array(buckets)
    const total = 200 * buckets
    for (let n = 0; n < total; n++) {
      const k = key(n)
      const home = homeOf(k, buckets)
      const other = otherOf(k, buckets, home)
      if (home === other || !(counts[home]! >= 0) || !(counts[other]! >= 0))
        t.fail(`${home} and ${other} of ${buckets}`)
      if (tagOf(k) === 0) t.fail('a tag says that the place is free')
      counts[home]!++
      counts[other]!++
    }
    // 400 each on average; six standard deviations.
    for (const count of counts) if (Math.abs(count - 400) > 6 * 20) t.fail(`a bucket of ${buckets} got ${count}`)
  }
  t.ok(homeOf(Int32Array.of(-1, 0, 0, 0), 1_000) === 999 && homeOf(Int32Array.of(0, 0, 0, 0), 1_000) === 0)
})
