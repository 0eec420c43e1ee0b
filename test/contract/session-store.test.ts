import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Clock, ManualClock } from '../../src/core/clock.js'
import { blankEntry, type SessionRow, type SessionStore, type StickyEntry } from '../../src/core/session-store.js'
import { KeyHash } from '../../src/shm/key-hash.js'
import { MapSessionStore } from '../../src/shm/map-sessions.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { createSessionTable } from '../../src/shm/sessions-layout.js'
import { SEED } from '../random.js'
import { TimedSessions } from '../unit/shm/timed-sessions.js'

/** What every store of sessions promises. The shared table is as small as can be here: then every key may lie anywhere. */
const CAPACITY = 24
const makers: Readonly<Record<string, (clock: Clock) => SessionStore>> = {
  'shared table': (clock) => new SessionTable(createSessionTable(CAPACITY, 2), 1, clock),
  'plain map': (clock) => new MapSessionStore(CAPACITY, clock),
}

const hash = new KeyHash(new Uint8Array(16))
const keys = Array.from({ length: 60 }, (_, n) => Int32Array.from(hash.of(n % 3, Uint8Array.of(n), 0, 1)))
const key = (n: number): Int32Array => keys[n]!

const session = (given: Partial<StickyEntry>): StickyEntry => ({
  ...blankEntry(),
  targetSlot: 1,
  touchedMs: 0,
  ...given,
})

function all(store: TimedSessions, nowMs: number, group = -1, limit = 7): SessionRow[] {
  const rows: SessionRow[] = []
  for (let cursor = 0; cursor >= 0; ) {
    const page = store.scan(cursor, limit, nowMs, group)
    if (page.sessions.length > limit) throw new Error(`a page of ${page.sessions.length}`)
    rows.push(...page.sessions)
    cursor = page.next
  }
  return rows
}

/** What a store should do, in the fewest words: places by key, expired ones included until they are needed. */
class Model {
  readonly places = new Map<number, StickyEntry>()
  evictions = 0

  live(n: number, nowMs: number): StickyEntry | undefined {
    const found = this.places.get(n)
    return found && found.expiresMs > nowMs ? found : undefined
  }

  put(n: number, given: StickyEntry, nowMs: number): string {
    const old = this.live(n, nowMs)
    if (old && old.versionLow > given.versionLow) return 'stale'
    if (!this.places.has(n) && this.places.size === CAPACITY) {
      const rank = ({ expiresMs, used }: StickyEntry): number => (expiresMs <= nowMs ? 0 : used ? 2 : 1)
      const [first] = [...this.places].sort(([, a], [, b]) => rank(a) - rank(b) || a.expiresMs - b.expiresMs)
      this.places.delete(first![0])
      if (first![1].expiresMs > nowMs) this.evictions++
    }
    this.places.set(n, { ...given, used: given.used || old?.used === true })
    return 'done'
  }
}

t.comment(`seed ${SEED}`)
for (const [name, maker] of Object.entries(makers)) {
  const make = (): TimedSessions => new TimedSessions(maker)
  t.test(name, async (t) => {
    t.test('finds what was put, every field of it, and nothing else', async (t) => {
      const store = make()
      const cases: StickyEntry[] = [
        {
          group: 3,
          targetSlot: 17,
          generation: 2,
          expiresMs: 5_000,
          touchedMs: 10,
          versionHigh: 1,
          versionLow: 2,
          used: false,
        },
        {
          group: 2 ** 31 - 1,
          targetSlot: -1,
          generation: -(2 ** 31),
          expiresMs: 2 ** 41 + 12_345,
          touchedMs: 2 ** 32 - 1,
          versionHigh: -1,
          versionLow: 0x7fffffff,
          used: true,
        },
        {
          group: 0,
          targetSlot: 0,
          generation: 0,
          expiresMs: Number.MAX_SAFE_INTEGER,
          touchedMs: 2 ** 32,
          versionHigh: 0,
          versionLow: -5,
          used: true,
        },
      ]
      for (const [n, given] of cases.entries()) t.equal(store.put(key(n), given, 1_000), 'done')
      for (const [n, given] of cases.entries()) {
        t.ok(store.find(key(n), 1_000))
        t.same({ ...store.found }, given)
      }
      t.notOk(store.find(key(3), 1_000))
    })

    t.test('keeps nothing of the key or session it was given', async (t) => {
      const store = make()
      const given = session({ expiresMs: 100, targetSlot: 4 })
      const givenKey = Int32Array.from(key(1))
      store.put(givenKey, given, 0)
      given.targetSlot = 5
      givenKey.fill(9)
      t.ok(store.find(key(1), 0))
      t.equal(store.found.targetSlot, 4)
      t.notOk(store.find(givenKey, 0))
    })

    t.test('tells keys apart by every one of their bits', async (t) => {
      const store = make()
      store.put(key(0), session({ expiresMs: 100 }), 0)
      for (let bit = 0; bit < 128; bit++) {
        const near = Int32Array.from(key(0))
        near[bit >> 5]! ^= 1 << (bit & 31)
        if (store.find(near, 0)) t.fail(`bit ${bit} makes no difference`)
      }
      t.ok(store.find(new Int32Array(4).fill(0), 0) === false, 'the key of zeros is a key like others')
      store.put(new Int32Array(4), session({ expiresMs: 100, targetSlot: 8 }), 0)
      t.ok(store.find(new Int32Array(4), 0))
      t.equal(store.found.targetSlot, 8)
    })

    t.test('a session ends at the moment it expires', async (t) => {
      const store = make()
      const clock = new ManualClock(0.5)
      store.put(key(1), session({ expiresMs: clock.wallMs + 300 }), clock.wallMs)
      clock.advance(299)
      t.ok(store.find(key(1), clock.wallMs))
      clock.advance(1)
      t.notOk(store.find(key(1), clock.wallMs))
      t.equal(store.touch(key(1), clock.wallMs, 300), 'absent', 'and use does not bring it back')
      t.equal(store.drop(key(1), clock.wallMs), 'absent')
    })

    t.test('times that are none are long past, or as far off as can be', async (t) => {
      const store = make()
      for (const expiresMs of [Number.NaN, -1, 0]) {
        t.equal(store.put(key(1), session({ expiresMs }), 0), 'done')
        t.notOk(store.find(key(1), 0), `${expiresMs}`)
      }
      store.put(key(1), session({ expiresMs: Number.POSITIVE_INFINITY }), 0)
      t.ok(store.find(key(1), Number.MAX_SAFE_INTEGER - 1))
      t.equal(store.found.expiresMs, Number.MAX_SAFE_INTEGER)
    })

    t.test('use moves expiry and last use on, never back', async (t) => {
      const store = make()
      const given = session({ expiresMs: 1_000, touchedMs: 100, versionLow: 5, targetSlot: 3, generation: 9 })
      store.put(key(1), given, 100)
      t.equal(store.touch(key(1), 400.75, 999.5), 'done')
      t.ok(store.find(key(1), 1_200))
      t.same({ ...store.found }, { ...given, expiresMs: 1_400, touchedMs: 400, used: true }, 'the rest stays')
      t.equal(store.touch(key(1), 300, 1_000), 'done', 'by a clock that is behind')
      t.ok(store.find(key(1), 1_200))
      t.same({ ...store.found }, { ...given, expiresMs: 1_400, touchedMs: 400, used: true })
      t.equal(store.touch(key(1), 500, Number.NaN), 'done', 'by no time at all')
      t.equal(store.touch(key(1), 500, -100), 'done')
      t.ok(store.find(key(1), 1_200))
      t.same({ ...store.found }, { ...given, expiresMs: 1_400, touchedMs: 500, used: true })
      t.equal(store.touch(key(1), 500, Number.POSITIVE_INFINITY), 'done')
      t.ok(store.find(key(1), 2 ** 50))
      t.equal(store.touch(key(2), 0, 1_000), 'absent')
    })

    t.test('of two writes the one with the greater version stands, whichever came first', async (t) => {
      // Versions as pairs of words, from the least to the greatest.
      const versions: [number, number][] = [
        [0, 0],
        [0, 1],
        [0, 0x7fffffff],
        [0, 0x80000000],
        [0, -1],
        [1, 0],
        [0x7fffffff, 5],
        [-0x80000000, 4],
        [0xffffffff, 0xffffffff],
      ]
      for (const [i, [highA, lowA]] of versions.entries()) {
        for (const [j, [highB, lowB]] of versions.entries()) {
          const store = make()
          store.put(key(1), session({ expiresMs: 100, targetSlot: 1, versionHigh: highA, versionLow: lowA }), 0)
          const second = session({ expiresMs: 50, targetSlot: 2, versionHigh: highB, versionLow: lowB })
          const outcome = store.put(key(1), second, 0)
          store.find(key(1), 0)
          const expected = j >= i ? ['done', 2, 50] : ['stale', 1, 100]
          t.same(
            [outcome, store.found.targetSlot, store.found.expiresMs],
            expected,
            `${versions[i]} then ${versions[j]}`,
          )
          t.equal(store.drop(key(1), 0, highB, lowB), j >= i ? 'done' : 'stale')
          t.equal(store.find(key(1), 0), j < i, 'a drop of an older version leaves it')
        }
      }
    })

    t.test('an expired session stands in nobody’s way, whatever its version', async (t) => {
      const store = make()
      store.put(key(1), session({ expiresMs: 100, versionHigh: 9 }), 0)
      t.equal(store.put(key(1), session({ expiresMs: 300, targetSlot: 2 }), 100), 'done')
      t.ok(store.find(key(1), 100))
      t.equal(store.found.targetSlot, 2)
      t.same(store.counts(), { entries: 1, evictions: 0, busy: 0 })
    })

    t.test('a dropped session is gone, and its place is free', async (t) => {
      const store = make()
      store.put(key(1), session({ expiresMs: 100, versionHigh: -1, versionLow: -1 }), 0)
      t.equal(store.drop(key(1), 0), 'done', 'without a version, whatever its version')
      t.notOk(store.find(key(1), 0))
      t.equal(store.drop(key(1), 0), 'absent')
      t.same(store.counts(), { entries: 0, evictions: 0, busy: 0 })
    })

    t.test('when it is full the session nearest its expiry goes, and is counted', async (t) => {
      const store = make()
      for (let n = 0; n < CAPACITY; n++) store.put(key(n), session({ expiresMs: 1_000 + ((n * 7) % CAPACITY) }), 0)
      t.same(store.counts(), { entries: CAPACITY, evictions: 0, busy: 0 })
      for (let gone = 1; gone <= 5; gone++) {
        t.equal(store.put(key(30 + gone), session({ expiresMs: 5_000 }), 0), 'done')
        t.same(store.counts(), { entries: CAPACITY, evictions: gone, busy: 0 })
      }
      for (let n = 0; n < CAPACITY; n++) t.equal(store.find(key(n), 0), (n * 7) % CAPACITY >= 5, `${n}`)
      t.equal(store.put(key(31), session({ expiresMs: 6_000 }), 0), 'done', 'one that is there needs no room')
      t.equal(store.counts().evictions, 5)
    })

    t.test('a session that was never used goes before all that were, and the store says which went', async (t) => {
      const store = make()
      for (let n = 0; n < CAPACITY; n++) store.put(key(n), session({ expiresMs: 1_000 + n }), 0)
      t.equal(store.store.lastEvicted, undefined, 'there was room')
      for (let n = 0; n < CAPACITY; n++) if (n !== 9) store.touch(key(n), 1, 10)
      store.put(key(0), session({ expiresMs: 1_000 }), 1)
      t.equal(store.store.lastEvicted, undefined, 'one that is there needs no room, and stays used')
      for (let n = 30; n < 50; n++) {
        store.put(key(n), session({ expiresMs: 9_000 }), 1)
        t.same(store.store.lastEvicted, key(n === 30 ? 9 : n - 1), 'the newcomer before, although it expires last')
      }
      for (let n = 0; n < CAPACITY; n++) t.equal(store.find(key(n), 1), n !== 9, `${n}`)
    })

    t.test('expired sessions count as room', async (t) => {
      const store = make()
      for (let n = 0; n < CAPACITY; n++) store.put(key(n), session({ expiresMs: n < 4 ? 100 : 1_000 }), 0)
      for (let n = 0; n < 4; n++) store.put(key(40 + n), session({ expiresMs: 900 }), 100)
      t.same(store.counts(), { entries: CAPACITY, evictions: 0, busy: 0 })
      for (let n = 4; n < CAPACITY; n++) t.ok(store.find(key(n), 100), `${n} stays`)
    })

    t.test('sweeping frees what expired, in steps, and nothing else', async (t) => {
      const store = make()
      for (let n = 0; n < 20; n++) store.put(key(n), session({ expiresMs: n % 2 === 0 ? 100 : 200 }), 0)
      t.equal(store.sweep(99, CAPACITY), 0)
      let freed = 0
      for (let step = 0; step < CAPACITY; step++) freed += store.sweep(100, 1)
      t.equal(freed, 10)
      t.equal(store.counts().entries, 10)
      for (let n = 0; n < 20; n++) t.equal(store.find(key(n), 99), n % 2 === 1, `${n}`)
    })

    t.test('a scan shows every session once, page by page, and those of a group alone', async (t) => {
      const store = make()
      t.same(all(store, 0), [])
      for (let n = 0; n < 21; n++) {
        store.put(key(n), session({ group: n % 3, targetSlot: n, expiresMs: n < 6 ? 50 : 100, touchedMs: n }), 0)
      }
      for (const limit of [1, 4, 100]) {
        const slots = all(store, 50, -1, limit).map((row) => row.targetSlot)
        t.same(
          slots.sort((a, b) => a - b),
          Array.from({ length: 15 }, (_, i) => i + 6),
          `pages of ${limit}`,
        )
      }
      t.same(
        all(store, 50, 1)
          .map((row) => row.targetSlot)
          .sort(),
        [10, 13, 16, 19, 7],
      )
      const row = all(store, 50).find((row) => row.targetSlot === 20)!
      t.match(row.key, /^[0-9a-f]{32}$/)
      const expected = session({ group: 2, targetSlot: 20, expiresMs: 100, touchedMs: 20 })
      t.same(row, { key: row.key, ...expected })
      t.equal(new Set(all(store, 0).map((row) => row.key)).size, 21, 'keys are their own')
    })

    t.test('a store does not grow while it runs, and says so', async (t) => {
      const store = make()
      t.equal(store.capacity, CAPACITY)
      store.put(key(1), session({ expiresMs: 100 }), 0)
      store.store.resize(CAPACITY)
      t.throws(() => store.store.resize(48), { name: 'RangeError', message: /24 sessions .*48/ })
      t.throws(() => store.store.resize(1), RangeError)
      t.ok(store.find(key(1), 0), 'and holds what it held')
    })

    t.test('does what the model does, whatever happens in whatever order', async (t) => {
      let evicted = 0
      const action = fc.record({
        what: fc.constantFrom('put', 'put', 'put', 'put', 'touch', 'touch', 'drop', 'wait', 'sweep'),
        n: fc.nat(40),
        ms: fc.nat(900),
        version: fc.nat(50),
      })
      fc.assert(
        fc.property(fc.array(action, { minLength: 1, maxLength: 150, size: 'max' }), (actions) => {
          const store = make()
          const model = new Model()
          const clock = new ManualClock()
          for (const [step, { what, n, ms, version }] of actions.entries()) {
            const nowMs = clock.wallMs
            // No two sessions expire at the same moment, so that it is plain which goes first.
            const expiresMs = nowMs + ms * 1_000 + step
            const old = model.live(n, nowMs)
            let [did, should]: unknown[] = [0, 0]
            if (what === 'put') {
              const given = session({
                group: n % 3,
                targetSlot: step,
                expiresMs,
                touchedMs: nowMs,
                versionLow: version,
              })
              did = store.put(key(n), given, nowMs)
              should = model.put(n, given, nowMs)
            } else if (what === 'touch') {
              did = store.touch(key(n), nowMs, expiresMs - nowMs)
              should = old ? 'done' : 'absent'
              if (old) old.expiresMs = Math.max(old.expiresMs, expiresMs)
              if (old) old.touchedMs = nowMs
              if (old) old.used = true
            } else if (what === 'drop') {
              did = store.drop(key(n), nowMs, 0, version)
              should = !old ? 'absent' : old.versionLow > version ? 'stale' : 'done'
              if (should === 'done') model.places.delete(n)
            } else if (what === 'wait') {
              clock.advance(ms * 50)
            } else {
              did = store.sweep(nowMs, CAPACITY)
              const expired = [...model.places].filter(([, kept]) => kept.expiresMs <= nowMs)
              for (const [gone] of expired) model.places.delete(gone)
              should = expired.length
            }
            assert.equal(did, should, `step ${step}, ${what} ${n}`)
          }
          const nowMs = clock.wallMs
          for (const [n] of keys.entries()) {
            const expected = model.live(n, nowMs)
            assert.equal(store.find(key(n), nowMs), expected !== undefined, `${n}`)
            if (expected) assert.deepEqual({ ...store.found }, expected)
          }
          const { entries, evictions } = store.counts()
          evicted += evictions
          assert.deepEqual([entries, evictions], [model.places.size, model.evictions])
          const live = keys.filter((_, n) => model.live(n, nowMs) !== undefined)
          assert.equal(all(store, nowMs).length, live.length)
        }),
        { seed: SEED, numRuns: 300 },
      )
      t.ok(evicted > 100, `${evicted} sessions were evicted in the course of it`)
    })
  })
}
