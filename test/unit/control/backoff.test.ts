import t from 'tap'
import { backoffMs, countEarlyDeaths, HEALTHY_MS } from '../../../src/control/backoff.js'

t.test('the first restart is at once, each further one waits twice as long, up to ten seconds', async (t) => {
  const waits = Array.from({ length: 12 }, (_, i) => backoffMs(i))
  t.same(waits, [0, 0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000])
  t.equal(backoffMs(1_000), 10_000, 'and never beyond')
})

t.test('only a worker that lived long enough starts with a clean slate', async (t) => {
  t.equal(countEarlyDeaths(0, 5), 1)
  t.equal(countEarlyDeaths(3, HEALTHY_MS - 1), 4)
  t.equal(countEarlyDeaths(3, HEALTHY_MS), 0)
})
