import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { LocalHybridClock } from '../../../src/core/hybrid-clock.js'
import { blankEntry } from '../../../src/core/session-store.js'
import { createOutbox, EVICTED_SLOT, Outbox } from '../../../src/shm/outbox.js'
import { ReplicatingSessions } from '../../../src/shm/replicating-sessions.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { createSessionTable } from '../../../src/shm/sessions-layout.js'
import { ReplicaRig } from './replica-rig.js'

const CAPACITY = 24

t.test('a session that is evicted leaves the store', async (t) => {
  for (const [when, waitMs] of [
    ['later', 100],
    ['while it waits to be sent', 0],
  ] as const) {
    const rig = new ReplicaRig()
    const a = rig.host('a')
    rig.pass(100)
    const gone = a.bind(1, 'one')
    a.bind(2, 'one')
    rig.pass(waitMs)
    a.replica.forget(gone.key)
    rig.pass(100)
    const late = rig.host('late')
    rig.pass(100)
    t.equal(late.targetOf(1), undefined, when)
    t.equal(late.targetOf(2), 'one', when)
    t.equal(late.replica.counts.unreadable + late.replica.counts.forged, 0, when)
  }
})

t.test('what a worker evicts it tells the mesh thread', async (t) => {
  const clock = new ManualClock(0, 0)
  const outbox = createOutbox(64)
  const table = new SessionTable(createSessionTable(CAPACITY, 2), 1, clock)
  const stamps = new LocalHybridClock('a', () => clock.wallMs)
  const sessions = new ReplicatingSessions(table, new Outbox(outbox), stamps)
  for (let n = 0; n <= CAPACITY; n++) {
    sessions.put(Int32Array.of(n, n, n, n), { ...blankEntry(), targetSlot: 1, expiresMs: 1_000 + n })
  }
  const reader = new Outbox(outbox)
  const key = new Int32Array(4)
  const session = blankEntry()
  const evicted: number[] = []
  while (reader.next(key, session) === 'read') if (session.targetSlot === EVICTED_SLOT) evicted.push(key[0]!)
  t.same(evicted, [0])
})
