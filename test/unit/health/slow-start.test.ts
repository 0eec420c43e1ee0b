import t from 'tap'
import { isRamping, rampedWeight } from '../../../src/health/slow-start.js'

const CASES: readonly [name: string, weight: number, fromMs: number, slowMs: number, nowMs: number, result: number][] =
  [
    ['a tenth at first', 100, 1_000, 10_000, 1_000, 10],
    ['half way', 100, 1_000, 10_000, 6_000, 55],
    ['all of it in the end', 100, 1_000, 10_000, 11_000, 100],
    ['never more', 100, 1_000, 10_000, 99_000, 100],
    ['never nothing', 1, 1_000, 10_000, 1_000, 1],
    ['nothing stays nothing', 0, 1_000, 10_000, 1_000, 0],
    ['a clock that went back', 100, 1_000, 10_000, 500, 10],
    ['without slow start', 100, 1_000, 0, 1_000, 100],
    ['long in service', 100, 0, 10_000, 1_000, 100],
  ]

for (const [name, weight, fromMs, slowMs, nowMs, result] of CASES) {
  t.test(name, async (t) => {
    t.equal(rampedWeight(weight, fromMs, slowMs, nowMs), result)
  })
}

t.test('it ramps from the beginning until its time is over', async (t) => {
  t.same(
    [999, 1_000, 10_999, 11_000].map((nowMs) => isRamping(1_000, 10_000, nowMs)),
    [true, true, true, false],
  )
  t.notOk(isRamping(0, 10_000, 5))
  t.notOk(isRamping(1_000, 0, 1_000))
})
