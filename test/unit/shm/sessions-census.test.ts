import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { blankEntry } from '../../../src/core/session-store.js'
import { CHECK_UNCHECKED } from '../../../src/core/target-state.js'
import { createSharedCounters } from '../../../src/shm/columns.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { CENSUS_PLACES, SessionCensus } from '../../../src/shm/sessions-census.js'
import { SessionMemory } from '../../../src/shm/sessions-layout.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { SEED, seededRandom } from '../../random.js'

t.comment(`seed ${SEED}`)

function setting(sessions: number) {
  const clock = new ManualClock()
  const capacity = { workers: 1, listeners: 1, series: 1, rules: 1, groups: 3, targets: 4, sessions }
  const shared = createSharedCounters(capacity)
  const table = new TargetTable(shared.segments)
  for (let slot = 0; slot < 4; slot++) table.occupy(slot, 1, CHECK_UNCHECKED, 0)
  const store = new SessionTable(shared.sessions, 1, clock)
  const census = new SessionCensus(new SessionMemory(shared.sessions), table, clock, { capacity })
  const random = seededRandom(SEED)
  const session = blankEntry()
  const remember = (group: number, slot: number, generation: number, forMs: number): void => {
    const key = Int32Array.from({ length: 4 }, () => random() * 2 ** 32)
    Object.assign(session, { group, targetSlot: slot, generation })
    Object.assign(session, { touchedMs: clock.wallMs, expiresMs: clock.wallMs + forMs })
    store.put(key, session)
  }
  return { clock, table, store, census, remember }
}

t.test('sessions are counted by group and target, and those of targets that are gone by group alone', async (t) => {
  const { census, remember, table } = setting(1_000)
  for (let i = 0; i < 5; i++) remember(0, 1, 1, 1_000)
  for (let i = 0; i < 3; i++) remember(2, 3, 1, 1_000)
  census.step()
  t.same(
    [0, 1, 2].map((group) => census.ofGroup(group)),
    [5, 0, 3],
  )
  t.same(
    [0, 1, 2, 3].map((slot) => census.ofTarget(slot)),
    [0, 5, 0, 3],
  )
  table.occupy(1, 1, CHECK_UNCHECKED, 0)
  census.step()
  t.equal(census.ofGroup(0), 5)
  t.equal(census.ofTarget(1), 0, 'none is the new one’s')
})

t.test('a step is bounded, and what is said holds until a whole round is done', async (t) => {
  const { census, remember, clock } = setting(CENSUS_PLACES * 2.5)
  for (let i = 0; i < 2_000; i++) remember(0, 0, 1, 1_000)
  const begunMs = clock.wallMs
  for (let step = 0; step < 2; step++) {
    census.step()
    t.equal(census.ofGroup(0), 0)
    t.equal(census.asOfMs, 0)
  }
  clock.advance(5)
  census.step()
  t.equal(census.ofGroup(0), 2_000)
  t.equal(census.asOfMs, begunMs + 5)
  census.step()
  t.equal(census.ofGroup(0), 2_000, 'the next round has only begun')
})

t.test('what has expired is swept and not counted', async (t) => {
  const { census, remember, clock, store } = setting(1_000)
  for (let i = 0; i < 20; i++) remember(0, 0, 1, i < 8 ? 10 : 1_000)
  clock.advance(10)
  census.step()
  t.equal(census.ofGroup(0), 12)
  t.equal(store.counts().entries, 12)
  clock.advance(1_000)
  census.step()
  t.equal(store.counts().entries, 0)
  const asOfMs = census.asOfMs
  clock.advance(1)
  census.step()
  t.equal(census.ofGroup(0), 0)
  t.ok(census.asOfMs > asOfMs, 'an empty table is a round of one step')
})
