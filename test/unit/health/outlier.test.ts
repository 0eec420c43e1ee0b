import t from 'tap'
import {
  areTooMany,
  doOthersBetter,
  ejectionMs,
  isFailing,
  isFailingForOthers,
  isPanic,
  mayEject,
} from '../../../src/health/outlier.js'

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
  [2, 1, 100, false],
  [4, 2, 100, true],
  [4, 3, 100, false],
]

for (const [targets, ejected, percent, may] of CASES) {
  t.test(`of ${targets}, ${ejected} ejected, at most ${percent} %: ${may ? 'one more' : 'no more'}`, async (t) => {
    t.equal(mayEject(targets, ejected, percent), may)
  })
}

t.test('threads that eject at once take back what is too much', async (t) => {
  t.notOk(areTooMany(4, 2, 50))
  t.ok(areTooMany(4, 3, 50))
  t.ok(areTooMany(2, 2, 100), 'the last one')
  t.notOk(areTooMany(2, 1, 1))
})

const PANICS: readonly [wanted: number, available: number, percent: number, panic: boolean][] = [
  [4, 2, 50, false],
  [4, 1, 50, true],
  [3, 1, 50, true],
  [2, 1, 50, false],
  [4, 1, 0, false],
  [4, 0, 0, true],
  [1, 0, 50, true],
  [3, 2, 100, true],
]

for (const [wanted, available, percent, panic] of PANICS) {
  t.test(`${available} of ${wanted} available, panic at ${percent} %: ${panic}`, async (t) => {
    t.equal(isPanic(wanted, available, percent), panic)
  })
}

const SHARE = { failurePercent: 50, minRequests: 20 }

t.test('the share of failures counts from a number of requests on', async (t) => {
  t.notOk(isFailing({ good: 0, bad: 19, heaviest: 0 }, SHARE))
  t.ok(isFailing({ good: 10, bad: 10, heaviest: 0 }, SHARE))
  t.notOk(isFailing({ good: 11, bad: 10, heaviest: 0 }, SHARE))
})

t.test('failures that one source alone has met say nothing', async (t) => {
  t.notOk(isFailingForOthers({ good: 10, bad: 1_000, heaviest: 1_000 }, SHARE))
  t.notOk(isFailingForOthers({ good: 10, bad: 1_009, heaviest: 1_000 }, SHARE), 'nor the few of others beside them')
  t.ok(isFailingForOthers({ good: 10, bad: 1_010, heaviest: 1_000 }, SHARE), 'what the others meet counts by itself')
  t.notOk(isFailingForOthers({ good: 0, bad: 1_009, heaviest: 1_000 }, SHARE), 'where there are enough of them')
})

t.test('what fails everywhere is not the fault of one target', async (t) => {
  t.ok(doOthersBetter([{ good: 20, bad: 0, heaviest: 0 }], SHARE))
  t.notOk(doOthersBetter([{ good: 10, bad: 20, heaviest: 20 }], SHARE))
  t.notOk(doOthersBetter([{ good: 0, bad: 0, heaviest: 0 }], SHARE), 'nobody has tried')
  t.notOk(doOthersBetter([], SHARE))
})
