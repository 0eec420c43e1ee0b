import t from 'tap'
import { ReplacedTargets } from '../../../src/control/replaced-targets.js'
import type { ListedTarget } from '../../../src/core/directory.js'
import {
  ADMIN_ACTIVE,
  ADMIN_MAINTENANCE,
  CHECK_HEALTHY,
  CHECK_INITIAL,
  CHECK_UNCHECKED,
  CHECK_UNHEALTHY,
} from '../../../src/core/target-state.js'

const VERSION = 5

function setting() {
  const states = [
    { check: CHECK_HEALTHY, admin: ADMIN_ACTIVE, weight: 10 },
    { check: CHECK_INITIAL, admin: ADMIN_ACTIVE, weight: 10 },
  ]
  const of = (slot: number) => states[slot]!
  const replaced = new ReplacedTargets<ListedTarget>({
    check: (slot) => of(slot).check,
    admin: (slot) => of(slot).admin,
    weight: (slot) => of(slot).weight,
  })
  const target = (slot: number): ListedTarget => ({
    ...{ slot, generation: 1, group: 0, id: String(slot), host: '127.0.0.1', port: 80, address: '127.0.0.1' },
    leavesMs: slot === 0 ? 99 : undefined,
  })
  const [old, other] = [target(0), target(1)]
  replaced.add(old, VERSION)
  const done = (known = VERSION, targets: readonly ListedTarget[] = [old, other], isLeaving = false) => [
    ...replaced.done(known, () => ({ targets, isLeaving })),
  ]
  return { replaced, old, other, of, done }
}

t.test('a target serves on until another one has passed a check, and every thread knows that one', (t) => {
  for (const [what, check] of [
    ['healthy', CHECK_HEALTHY],
    ['not checked', CHECK_UNCHECKED],
  ] as const) {
    const { old, of, done, replaced } = setting()
    t.same(done(), [], 'the other has not been checked')
    of(1).check = CHECK_UNHEALTHY
    t.same(done(), [], 'or has failed')
    of(1).check = check
    t.same(done(VERSION - 1), [], 'or is not known to a thread')
    t.same(done(), [[old, undefined]], what)
    t.same(done(), [])
    t.notOk(replaced.isToLeave(old))
  }
  t.end()
})

t.test('a target is not held for one that is to take no traffic, nor for a group that nobody uses', (t) => {
  for (const change of [{ admin: ADMIN_MAINTENANCE }, { weight: 0 }]) {
    const { old, of, done } = setting()
    Object.assign(of(1), change)
    t.same(done(), [[old, undefined]])
  }
  const { old, done } = setting()
  t.same(done(VERSION, []), [[old, undefined]], 'its group is without any other')
  const left = setting()
  t.same(left.done(VERSION, [left.old, left.other], true), [[left.old, undefined]], 'its group is gone')
  t.end()
})

t.test('a weight is taken away only when another target serves, and not where it is given another one', (t) => {
  const { replaced, old, other, of, done } = setting()
  replaced.forget(old)
  const first: ListedTarget = { ...old, leavesMs: undefined }
  replaced.add(first, VERSION, 0)
  t.equal(replaced.weightOf(first), 0, 'as the next file is compared with')
  t.same(done(VERSION, [first, other]), [])
  of(1).check = CHECK_HEALTHY
  t.same(done(VERSION, [first, other]), [[first, 0]])
  replaced.add(first, VERSION, 0)
  replaced.forgetLeaving(first)
  t.equal(replaced.weightOf(first), 0)
  replaced.forgetWeight(first)
  t.equal(replaced.weightOf(first), 10)
  t.same(done(VERSION, [first, other]), [])
  t.end()
})
