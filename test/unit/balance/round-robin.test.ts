import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { RoundRobin } from '../../../src/balance/round-robin.js'
import { smoothSequence } from '../../../src/balance/smooth-sequence.js'
import { Columns, createSharedCounters } from '../../../src/shm/columns.js'
import { leastCpuMs } from '../../cpu-time.js'
import { SEED, seededRandom } from '../../random.js'
import type { Picker } from './round-robin-picker.js'
import { SOMEONE, TestView, tally } from './views.js'

t.test('the sequence spreads turns evenly', async (t) => {
  const cases: [number[], number[]][] = [
    [[], []],
    [[7], [10]],
    [
      [10, 10, 10],
      [10, 20, 30],
    ],
    [
      [3, 1],
      [10, 10, 10, 20],
    ],
    [
      [20, 10],
      [10, 10, 20],
    ],
    [
      [5, 3, 2],
      [10, 20, 10, 30, 10, 20, 10, 20, 10, 30],
    ],
    [
      [1, 1, 5],
      [30, 30, 30, 10, 30, 20, 30],
    ],
  ]
  for (const [weights, expected] of cases) {
    t.same([...smoothSequence(new TestView(weights).targets)], expected, `weights ${weights}`)
  }
})

t.test('fractions of weights are rounded, to 1 at least', async (t) => {
  t.same(
    tally(smoothSequence(new TestView([0.2, 2.6]).targets)),
    new Map([
      [10, 1],
      [20, 3],
    ]),
  )
})

t.test('after any number of turns no target is a whole turn away from its share', async (t) => {
  t.comment(`seed ${SEED}`)
  const weights = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(weights, (weights) => {
      const sequence = smoothSequence(new TestView(weights).targets)
      const sum = weights.reduce((a, b) => a + b, 0)
      const counts = weights.map(() => 0)
      return sequence.every((slot, turn) => {
        counts[slot / 10 - 1]!++
        return counts.every((count, i) => Math.abs(count - ((turn + 1) * weights[i]!) / sum) < 1)
      })
    }),
    { seed: SEED, numRuns: 300 },
  )
})

t.test(
  'a try after a failure takes no ticket, so that a dead target is not the first choice of every request',
  async (t) => {
    const view = new TestView([1, 1])
    const balancer = new RoundRobin()
    const first: number[] = []
    for (let request = 0; request < 10; request++) {
      first.push(balancer.pick(view, SOMEONE, []))
      if (first.at(-1) === 10) t.equal(balancer.pick(view, SOMEONE, [10]), 20, 'the other one stands in')
    }
    t.same(first, [10, 20, 10, 20, 10, 20, 10, 20, 10, 20])
    t.equal(view.tickets, 10)
  },
)

t.test('tries after failures are spread over those that are left', async (t) => {
  const view = new TestView([1, 1, 1])
  const balancer = new RoundRobin()
  const picked = new Set(Array.from({ length: 6 }, () => balancer.pick(view, SOMEONE, [10])))
  t.same([...picked].sort(), [20, 30])
})

t.test('threads that share tickets split exactly, however they interleave', async (t) => {
  t.comment(`seed ${SEED}`)
  const random = seededRandom(SEED)
  const view = new TestView([5, 3, 2])
  const threads = Array.from({ length: 4 }, () => new RoundRobin())
  const counts = new Map([
    [10, 0],
    [20, 0],
    [30, 0],
  ])
  for (let k = 1; k <= 1_000; k++) {
    const slot = threads[Math.floor(random() * 4)]!.pick(view, SOMEONE, [])
    counts.set(slot, counts.get(slot)! + 1)
    const off = [5, 3, 2].map((weight, i) => Math.abs(counts.get((i + 1) * 10)! - (k * weight) / 10))
    if (Math.max(...off) >= 1) t.fail(`after ${k} tickets: ${[...counts.values()]}`)
    if (k % 10 === 0 && Math.max(...off) !== 0) t.fail(`a full cycle is not exact: ${[...counts.values()]}`)
  }
})

t.test('four real threads split 5:3:2 to within one request each', async (t) => {
  const shared = createSharedCounters({
    workers: 4,
    listeners: 1,
    series: 1,
    rules: 1,
    groups: 2,
    targets: 3,
    sessions: 64,
  })
  // An odd number each, so that the total is not a whole number of cycles.
  const picker: Picker = { shared, group: 1, weights: [5, 3, 2], picks: 25_003 }
  const program = new URL('./round-robin-picker.js', import.meta.url)
  const workers = [0, 1, 2, 3].map(() => new Worker(program, { workerData: picker }))
  const counts = [0, 0, 0]
  await Promise.all(
    workers.map(async (worker) => {
      const [picked] = (await once(worker, 'message')) as [number[]]
      picked.forEach((count, i) => {
        counts[i]! += count
      })
      await worker.terminate()
    }),
  )
  const total = 4 * picker.picks
  t.equal(counts[0]! + counts[1]! + counts[2]!, total)
  for (const [i, weight] of picker.weights.entries()) {
    t.ok(Math.abs(counts[i]! - (total * weight) / 10) <= 1, `target ${i}: ${counts[i]} of ${total}`)
  }
  t.equal(new Columns(shared).nextTicket(1), total, 'every pick took one ticket of its group')
  t.equal(new Columns(shared).nextTicket(0), 0, 'and none of another')
})

t.test('a thousand targets are worked out in milliseconds, whatever their weights', async (t) => {
  for (const odd of [100, 99]) {
    const view = new TestView(Array.from({ length: 1_000 }, (_, i) => (i === 500 ? odd : 100)))
    const tookMs = leastCpuMs(10, () => {
      view.version++
      new RoundRobin().pick(view, SOMEONE, [])
    })
    t.comment(`${tookMs.toFixed(2)} ms with one weight of ${odd}`)
    // Looking at each target for each of 100,000 turns takes some 200 ms, the heap some 13 ms.
    t.ok(tookMs < 60)
  }
})
