import t from 'tap'
import { quantileMs } from '../../../src/observe/histogram.js'

const BOUNDS = [1, 2, 4, 8, Number.POSITIVE_INFINITY]

t.test('quantiles lie where their rank lies within the bucket', async (t) => {
  const cases: [string, number[], number, number | null][] = [
    ['nothing was counted', [0, 0, 0, 0, 0], 0.5, null],
    ['half of the first bucket', [10, 0, 0, 0, 0], 0.5, 0.5],
    ['all of it', [10, 0, 0, 0, 0], 1, 1],
    ['a bucket in the middle', [0, 0, 10, 0, 0], 0.5, 3],
    ['on the border of two', [5, 5, 0, 0, 0], 0.5, 1],
    ['into the second', [5, 5, 0, 0, 0], 0.75, 1.5],
    ['over an empty bucket', [5, 0, 5, 0, 0], 0.9, 3.6],
    ['the last bucket has no end', [0, 0, 0, 0, 3], 0.5, 8],
    ['the very least', [0, 4, 0, 0, 0], 0, 1],
    ['a single one', [0, 0, 0, 1, 0], 0.99, 7.96],
  ]
  for (const [name, counts, q, expected] of cases) {
    const found = quantileMs(counts, BOUNDS, q)
    if (expected === null) t.equal(found, null, name)
    else t.ok(found !== null && Math.abs(found - expected) < 1e-9, `${name}: ${found}`)
  }
})
