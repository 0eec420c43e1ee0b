import t from 'tap'
import { areReady, arrivingGroups } from '../../../src/control/arriving-groups.js'
import type { Config } from '../../../src/core/config.js'
import type { ListedTarget } from '../../../src/core/directory.js'
import { CHECK_HEALTHY, CHECK_INITIAL, CHECK_UNCHECKED, CHECK_UNHEALTHY } from '../../../src/core/target-state.js'

type Group = readonly [name: string, protocol?: string, check?: string, targets?: number]

function configOf(used: readonly string[], ...groups: readonly Group[]): Config {
  return {
    listeners: used.map((targetGroup) => ({ targetGroup, rules: [] })),
    targetGroups: groups.map(([name, protocol = 'http', check = 'tcp', targets = 1]) => {
      return { name, protocol, healthCheck: { protocol: check }, targets: Array.from({ length: targets }) }
    }),
  } as unknown as Config
}

t.test('only groups that are new, used and checked, and have targets, arrive before those who use them', async (t) => {
  const before = configOf(['a'], ['a'])
  const names = (now: Config) => arrivingGroups(before, now).map(({ name }) => name)
  t.same(names(configOf(['a'], ['a'])), [], 'known')
  t.same(names(configOf(['b'], ['a'], ['b'])), ['b'])
  t.same(names(configOf(['a'], ['a'], ['b'])), [], 'not used')
  t.same(names(configOf(['b'], ['b', 'http', 'off'])), [], 'not checked')
  t.same(names(configOf(['b'], ['b', 'http', 'tcp', 0])), [], 'without targets')
  t.same(names(configOf(['a'], ['a', 'https'])), ['a (https)'], 'of another protocol, beside the one that it succeeds')
})

t.test(
  'a reload waits for all first checks, after a second for one that passes in each group, and five at most',
  async (t) => {
    const ready = (
      waitedMs: number,
      ...checks: readonly (readonly [group: number, check: number, address?: string])[]
    ) => {
      const targets = checks.map(([group, , address = '127.0.0.1'], slot) => ({ group, slot, address }))
      const table = { check: (slot: number) => checks[slot]![1] }
      return areReady(new Set([1, 2]), targets as unknown as ListedTarget[], table, waitedMs)
    }
    t.notOk(ready(0, [1, CHECK_INITIAL]))
    t.ok(ready(0, [0, CHECK_INITIAL]), 'another group')
    t.ok(ready(0, [1, CHECK_INITIAL, '']), 'a name without an address')
    t.ok(ready(0, [1, CHECK_UNHEALTHY], [2, CHECK_HEALTHY]), 'all are checked')
    t.notOk(ready(999, [1, CHECK_INITIAL], [1, CHECK_HEALTHY]))
    t.ok(ready(1_000, [1, CHECK_INITIAL], [1, CHECK_HEALTHY], [2, CHECK_UNCHECKED]))
    t.notOk(ready(4_999, [1, CHECK_HEALTHY], [2, CHECK_INITIAL]))
    t.ok(ready(5_000, [1, CHECK_INITIAL]))
  },
)
