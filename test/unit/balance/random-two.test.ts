import t from 'tap'
import { RandomTwo } from '../../../src/balance/random-two.js'
import { SEED, seededRandom } from '../../random.js'
import { SOMEONE, TestView, tally } from './views.js'

/** A source that gives these numbers in turn. */
const scripted = (...numbers: number[]): (() => number) => {
  let at = 0
  return () => numbers[at++]!
}

t.test('of the two drawn, the one with less in flight for its weight is picked', async (t) => {
  const cases: { weights: number[]; inFlight: number[]; draws: number[]; expected: number }[] = [
    { weights: [1, 1, 2], inFlight: [5, 1, 0], draws: [0, 0], expected: 20 },
    { weights: [1, 1, 2], inFlight: [1, 5, 0], draws: [0, 0], expected: 10 },
    { weights: [1, 1, 2], inFlight: [1, 0, 3], draws: [0, 0.999], expected: 10 },
    { weights: [1, 1, 2], inFlight: [2, 0, 3], draws: [0, 0.999], expected: 30 },
    { weights: [1, 1, 2], inFlight: [0, 0, 0], draws: [0.999, 0], expected: 30 },
    { weights: [1, 1, 2], inFlight: [4, 4, 8], draws: [0.3, 0.999], expected: 20 },
    { weights: [0, 1, 0], inFlight: [0, 9, 0], draws: [0.7], expected: 20 },
  ]
  for (const { weights, inFlight, draws, expected } of cases) {
    const view = new TestView(weights)
    inFlight.forEach((count, i) => {
      view.load((i + 1) * 10, count)
    })
    t.equal(new RandomTwo(scripted(...draws)).pick(view, SOMEONE, []), expected, `${inFlight} drawn at ${draws}`)
  }
})

t.test('the two drawn are never the same', async (t) => {
  t.comment(`seed ${SEED}`)
  const balancer = new RandomTwo(seededRandom(SEED))
  const view = new TestView([1, 100, 1])
  view.load(20, 1_000_000)
  for (let n = 0; n < 2_000; n++) {
    if (balancer.pick(view, SOMEONE, []) === 20) t.fail('the loaded target was drawn twice')
    if (balancer.pick(view, SOMEONE, [10]) !== 30) t.fail('the loaded target was drawn twice on a retry')
  }
})

t.test('an idle group is shared by weight, first tries and retries alike', async (t) => {
  t.comment(`seed ${SEED}`)
  const balancer = new RandomTwo(seededRandom(SEED))
  const view = new TestView([50, 30, 20])
  const share = (tried: number[], slot: number): number =>
    tally(Array.from({ length: 20_000 }, () => balancer.pick(view, SOMEONE, tried))).get(slot)! / 20_000
  t.ok(Math.abs(share([], 10) - 0.5) < 0.02)
  t.ok(Math.abs(share([], 30) - 0.2) < 0.02)
  t.ok(Math.abs(share([10], 20) - 0.6) < 0.02)
})
