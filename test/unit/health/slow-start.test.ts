import t from 'tap'
import { isRamping, nextRiseMs, rampedWeight } from '../../../src/health/slow-start.js'

const CASES: readonly [name: string, weight: number, fromMs: number, slowMs: number, nowMs: number, result: number][] =
  [
    ['a tenth at first', 100, 1_000, 10_000, 1_000, 10],
    ['half way', 100, 1_000, 10_000, 6_000, 55],
    ['the same until the next step', 100, 1_000, 10_000, 6_499, 55],
    ['more from there on', 100, 1_000, 10_000, 6_500, 59],
    ['all of it when the ramp ends between two steps', 100, 1_000, 700, 1_700, 100],
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

t.test('the next rise is that of the next step, or the end', async (t) => {
  t.same(
    [500, 1_000, 1_499, 1_500, 1_999, 2_000].map((nowMs) => nextRiseMs(1_000, 1_200, nowMs)),
    [1_500, 1_500, 1_500, 2_000, 2_000, 2_200],
  )
})
