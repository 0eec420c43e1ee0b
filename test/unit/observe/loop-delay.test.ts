import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LoopDelay } from '../../../src/observe/loop-delay.js'

t.test('a loop that was blocked says so once, and the interval of the timer itself is no delay', async (t) => {
  const delay = new LoopDelay()
  t.teardown(() => delay.stop())
  const sample = { p50Ms: -1, p99Ms: -1, maxMs: -1 }
  await sleep(30)
  delay.sample(sample)
  // The monitor measures from one of its ticks to the next.
  await sleep(30)
  const until = performance.now() + 120
  while (performance.now() < until);
  await sleep(30)
  t.equal(delay.sample(sample), sample)
  t.ok(sample.maxMs > 80, `max ${sample.maxMs} ms`)
  t.ok(sample.p50Ms >= 0 && sample.p50Ms < sample.maxMs, `p50 ${sample.p50Ms} ms`)
  // On a busy machine the loop may really be late once more, but not each time.
  for (let tries = 0; tries < 20 && sample.maxMs > 80; tries++) {
    await sleep(60)
    delay.sample(sample)
  }
  t.ok(sample.maxMs < 80, `afterwards ${sample.maxMs} ms`)
})
