import t from 'tap'
import { ejectionMs, mayEject } from '../../../src/health/outlier.js'

t.test('each ejection in a row lasts longer, ten times the first at most', async (t) => {
  t.same(
    [0, 1, 2, 8, 9, 10, 1_000].map((before) => ejectionMs(30, before)),
    [30, 60, 90, 270, 300, 300, 300],
  )
})

const CASES: readonly [targets: number, ejected: number, percent: number, may: boolean][] = [
  [1, 0, 100, false],
  [2, 0, 0, false],
  [2, 0, 1, true],
  [2, 1, 50, false],
  [3, 1, 50, false],
  [4, 1, 50, true],
  [4, 2, 50, false],
  [10, 2, 30, true],
  [10, 3, 30, false],
  [2, 1, 100, true],
]

for (const [targets, ejected, percent, may] of CASES) {
  t.test(`of ${targets}, ${ejected} ejected, at most ${percent} %: ${may ? 'one more' : 'no more'}`, async (t) => {
    t.equal(mayEject(targets, ejected, percent), may)
  })
}
