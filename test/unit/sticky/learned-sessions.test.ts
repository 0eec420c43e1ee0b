import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { LocalHybridClock } from '../../../src/core/hybrid-clock.js'
import { createSharedCounters } from '../../../src/shm/columns.js'
import { MapSessionStore } from '../../../src/shm/map-sessions.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { LearnedSessions } from '../../../src/sticky/learned-sessions.js'

const TIMEOUT_MS = 10_000
const KEY = Int32Array.from([1, 2, 3, 4])

function setting() {
  const clock = new ManualClock()
  const capacity = { workers: 1, listeners: 1, series: 1, rules: 1, groups: 1, targets: 4, sessions: 1 }
  const table = new TargetTable(createSharedCounters(capacity).segments)
  const store = new MapSessionStore(10, clock)
  return {
    clock,
    store,
    sessions: new LearnedSessions(
      { store, table, clock, stamps: new LocalHybridClock('a', () => clock.wallMs) },
      0,
      TIMEOUT_MS,
    ),
  }
}

t.test('a client without a session has none, and one that was given to a target stays there', async (t) => {
  const { sessions } = setting()
  t.equal(sessions.find(KEY), -1)
  sessions.remember(KEY, 3)
  t.equal(sessions.find(KEY), 3)
  t.equal(sessions.find(Int32Array.from([1, 2, 3, 5])), -1)
})

t.test('a session ends when nobody has used it for the time-out', async (t) => {
  const { clock, sessions } = setting()
  sessions.remember(KEY, 3)
  clock.advance(TIMEOUT_MS - 1)
  t.equal(sessions.find(KEY), 3, 'just in time, which keeps it alive')
  clock.advance(TIMEOUT_MS - 1)
  t.equal(sessions.find(KEY), 3)
  clock.advance(TIMEOUT_MS)
  t.equal(sessions.find(KEY), -1)
})

t.test('use moves the time on, though not at every request', async (t) => {
  const { clock, store, sessions } = setting()
  sessions.remember(KEY, 3)
  sessions.find(KEY)
  t.ok(store.find(KEY) && store.found.used, 'the first use is noted at once')
  clock.advance(TIMEOUT_MS / 4 - 1)
  sessions.find(KEY)
  store.find(KEY)
  const first = store.found.touchedMs
  clock.advance(1)
  sessions.find(KEY)
  store.find(KEY)
  t.equal(store.found.touchedMs, first + TIMEOUT_MS / 4)
})

t.test('a new choice replaces the old one', async (t) => {
  const { clock, sessions } = setting()
  sessions.remember(KEY, 3)
  clock.advance(1)
  sessions.remember(KEY, 1)
  t.equal(sessions.find(KEY), 1)
})

t.test('an open connection keeps a session alive, and revives none', async (t) => {
  const { clock, sessions } = setting()
  sessions.remember(KEY, 3)
  for (let waitedMs = 0; waitedMs < 3 * TIMEOUT_MS; waitedMs += sessions.keepEveryMs) {
    clock.advance(sessions.keepEveryMs)
    sessions.keep(KEY)
  }
  t.equal(sessions.find(KEY), 3)
  clock.advance(TIMEOUT_MS)
  sessions.keep(KEY)
  t.equal(sessions.find(KEY), -1)
})
