import t from 'tap'
import { PeakEwma } from '../../../src/balance/peak-ewma.js'
import { SOMEONE, TestView } from './views.js'

interface Case {
  readonly weights?: readonly number[]
  readonly latencies: readonly number[]
  readonly inFlight?: readonly number[]
  readonly expected: number
}

const CASES: Readonly<Record<string, Case>> = {
  'the fastest gets the request': { latencies: [20, 5, 9], expected: 20 },
  'a busy fast one gives way to an idle slower one': { latencies: [20, 5, 9], inFlight: [0, 4, 0], expected: 30 },
  'a target nobody asked yet is asked': { latencies: [20, 0, 9], expected: 20 },
  'one that is being asked for the first time counts as the average': {
    latencies: [20, 0, 9],
    inFlight: [0, 1, 0],
    expected: 30,
  },
  'and the more the more it has been given': { latencies: [50, 0, 10], inFlight: [0, 1, 2], expected: 30 },
  'which takes its turn when the others are busier': { latencies: [10, 0, 10], inFlight: [3, 1, 3], expected: 20 },
  'a target that fails hardly counts for the average': {
    latencies: [60_000, 0, 10],
    inFlight: [0, 1, 4],
    expected: 20,
  },
  'weight counts': { weights: [40, 10, 10], latencies: [20, 10, 9], expected: 10 },
}

for (const [name, { weights = [1, 1, 1], latencies, inFlight = [0, 0, 0], expected }] of Object.entries(CASES)) {
  t.test(name, async (t) => {
    const view = new TestView(weights)
    for (const [i, { slot }] of view.targets.entries()) {
      view.latencies.set(slot, latencies[i]!)
      view.load(slot, inFlight[i]!)
    }
    // Whoever's turn it would be.
    for (let n = 0; n < 3; n++) t.equal(new PeakEwma().pick(view, SOMEONE, []), expected)
  })
}

t.test('equals take turns', async (t) => {
  const view = new TestView([1, 1, 1])
  const balancer = new PeakEwma()
  t.equal(new Set(Array.from({ length: 3 }, () => balancer.pick(view, SOMEONE, []))).size, 3)
})
