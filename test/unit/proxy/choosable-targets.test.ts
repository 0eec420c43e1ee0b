import t from 'tap'
import { parseConfig } from '../../../src/config/load.js'
import { ManualClock } from '../../../src/core/clock.js'
import { CHECK_HEALTHY } from '../../../src/core/target-state.js'
import { ChoosableTargets } from '../../../src/proxy/choosable-targets.js'
import type { TargetSet } from '../../../src/proxy/target-set.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { TargetTable } from '../../../src/shm/targets.js'

const WEIGHT = 10

/** Two healthy targets of a group with a slow start of ten seconds. */
function setting() {
  const shared = createSharedCounters({
    workers: 1,
    listeners: 1,
    series: 1,
    rules: 1,
    groups: 1,
    targets: 2,
    sessions: 64,
  })
  const table = new TargetTable(shared.segments)
  const clock = new ManualClock(1_000)
  for (const slot of [0, 1]) table.occupy(slot, WEIGHT, CHECK_HEALTHY, 0)
  const services = { columns: new Columns(shared), table, clock }
  const all = [0, 1].map((slot) => ({ slot, id: String(slot), address: `192.0.2.${slot + 1}` }))
  const config = parseConfig(
    JSON.stringify({
      listeners: [{ name: 'web', protocol: 'http', listen: '127.0.0.1:80', targetGroup: 'app' }],
      targetGroups: [
        {
          name: 'app',
          protocol: 'http',
          slowStart: '10s',
          targets: all.map(({ address }) => ({ address: `${address}:80` })),
        },
      ],
    }),
    'test.yaml',
  )
  const set = { groupSlot: 0, services, all, changes: 0 } as unknown as TargetSet
  const choosable = new ChoosableTargets(config.targetGroups[0]!, set)
  /** The share that the first target's weight is of the other's, −1 where it takes nothing. */
  const share = (): number => {
    choosable.refresh()
    const weightOf = (slot: number): number | undefined => choosable.targets.find((each) => each.slot === slot)?.weight
    return (weightOf(0) ?? -weightOf(1)!) / weightOf(1)!
  }
  return { table, clock, choosable, share }
}

for (const [what, endsEarly] of [
  ['an ejection whose time is over', false],
  ['an ejection that a passing check ends', true],
] as const) {
  t.test(`slow start begins when a target comes back from ${what}`, async (t) => {
    const { table, clock, choosable, share } = setting()
    t.equal(share(), 1)
    const nowMs = clock.steadyMs
    t.ok(table.tryEject(0, 0, nowMs + 5_000))
    table.confirmEjection(0, nowMs, false)
    t.equal(share(), -1, 'it is out')
    clock.advance(endsEarly ? 1_000 : 5_000)
    if (endsEarly) table.endEjection(0, clock.steadyMs)
    t.ok(choosable.isDue)
    t.equal(share(), 0.1)
    clock.advance(5_000)
    t.ok(choosable.isDue, 'its weight has risen')
    t.equal(share(), 0.55)
    clock.advance(5_000)
    t.equal(share(), 1)
  })
}
