import t from 'tap'
import { stampAt } from '../../../src/core/hybrid-clock.js'
import type { OperatorEntry, Stamp } from '../../../src/core/mesh.js'
import { OperatorLedger } from '../../../src/mesh/operator-ledger.js'

const DAY_MS = 24 * 60 * 60_000
const wish = (target: string, low = 1): OperatorEntry => ({
  kind: 'operator',
  group: 'app',
  target,
  state: 'maintenance',
  weight: -1,
  drainUntilMs: 0,
  high: 0,
  low,
})

t.test(
  'what is wanted of targets that are here stays, and is said again; of those that are gone it is forgotten',
  async (t) => {
    const ledger = new OperatorLedger()
    ledger.merge(wish('here'), 0)
    ledger.merge(wish('elsewhere'), 0)
    ledger.merge(wish('gone'), 0)
    const isHere = ({ target }: OperatorEntry): boolean => target === 'here'
    for (let day = 1; day <= 100; day++) {
      t.same(ledger.refresh(day * DAY_MS, isHere), [wish('here')])
      // The host that has it says it again.
      if (day % 10 === 0) t.equal(ledger.merge(wish('elsewhere'), day * DAY_MS), 'known')
    }
    t.same(
      ledger.all.map(({ target }) => target),
      ['here', 'elsewhere'],
    )
  },
)

t.test('however many targets come and go, what is kept of them has a bound', async (t) => {
  const ledger = new OperatorLedger()
  ledger.merge(wish('first'), 1)
  for (let n = 0; n < 20_000; n++) {
    ledger.merge(wish(`t${n}`), n)
    if (n % 1_000 === 0) ledger.merge(wish('first'), n)
  }
  t.ok(ledger.all.length <= 10_000, `${ledger.all.length} entries`)
  t.ok(ledger.current(wish('first')), 'what is said again stays')
  t.equal(ledger.current(wish('t0')), undefined)
})

t.test('the later wish stands, whichever comes first', async (t) => {
  const ledger = new OperatorLedger()
  t.equal(ledger.merge(wish('a', 2), 5), 'news')
  t.equal(ledger.merge(wish('a', 1), 6), 'older')
  t.equal(ledger.merge(wish('a', 2), 6), 'known')
  t.equal(ledger.merge(wish('a', 3), 4), 'news')
  t.same(ledger.all, [wish('a', 3)])
})

t.test('what a clock stamped that was far ahead is stamped anew once it is set right', async (t) => {
  const wallMs = Date.UTC(2026, 0, 1)
  const stamps = (ms: number): Stamp => {
    const stamp = { high: 0, low: 0 }
    stampAt(ms, stamp)
    return stamp
  }
  const ledger = new OperatorLedger()
  ledger.own({ ...wish('ahead'), ...stamps(wallMs + 600_000) }, wallMs + 600_000)
  ledger.own({ ...wish('right'), ...stamps(wallMs) }, wallMs)
  const again = { ...wish('ahead'), ...stamps(wallMs + 1) }
  t.same(
    ledger.restamp(wallMs, () => stamps(wallMs + 1)),
    [again],
  )
  t.equal(ledger.merge({ ...wish('ahead'), ...stamps(wallMs + 2) }, wallMs, wallMs), 'news', 'a later one replaces it')
})
