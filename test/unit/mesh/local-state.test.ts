import t from 'tap'
import { ManualClock } from '../../../src/core/clock.js'
import { LocalHybridClock } from '../../../src/core/hybrid-clock.js'
import type { OperatorEntry, TicketsEntry } from '../../../src/core/mesh.js'
import { OperatorLedger } from '../../../src/mesh/operator-ledger.js'
import type { SessionEntries, TargetNames } from '../../../src/mesh/session-entries.js'
import type { TargetTable } from '../../../src/shm/targets.js'
import { LocalState } from '../../../workers/mesh/local-state.js'

const MINUTE_MS = 60_000
const NONE = undefined as unknown

t.test(
  'the primary is told what stands against its own words, also where its clock was set back meanwhile',
  async (t) => {
    const clock = new ManualClock()
    const stamps = new LocalHybridClock('here', () => clock.wallMs)
    const told: (OperatorEntry | TicketsEntry)[] = []
    const state = new LocalState({
      sessions: NONE as SessionEntries,
      names: NONE as TargetNames,
      table: NONE as TargetTable,
      ledger: new OperatorLedger(),
      clock,
      onOperator: (entry) => told.push(entry),
      onTickets: (entry) => told.push(entry),
    })
    const now = () => {
      const stamp = { high: 0, low: 0 }
      stamps.next(stamp)
      return stamp
    }
    const target = { kind: 'operator', group: 'app', target: 't', weight: -1, drainUntilMs: 0 } as const
    const operator = (wish: OperatorEntry['state']): OperatorEntry => ({ ...target, state: wish, ...now() })
    const tickets = (byte: number): TicketsEntry => ({ kind: 'tickets', keys: new Uint8Array(80).fill(byte), ...now() })
    const before = [operator('maintenance'), tickets(1)] as const
    for (const entry of before) t.ok(state.own(entry))
    t.same(told, [])
    clock.step(-30 * MINUTE_MS)
    const words = [operator('draining'), tickets(2)]
    clock.step(30 * MINUTE_MS)
    for (const entry of words) t.notOk(state.own(entry), entry.kind)
    t.same(told, before)
  },
)
