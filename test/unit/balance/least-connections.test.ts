import t from 'tap'
import { LeastConnections } from '../../../src/balance/least-connections.js'
import { SOMEONE, TestView, tally } from './views.js'

t.test('the target that would be least loaded with one more is picked', async (t) => {
  const cases: { weights: number[]; inFlight: number[]; expected: number }[] = [
    { weights: [1, 1, 1], inFlight: [2, 1, 3], expected: 20 },
    { weights: [10, 10], inFlight: [0, 1], expected: 10 },
    { weights: [1, 3], inFlight: [0, 1], expected: 20 },
    { weights: [1, 3], inFlight: [0, 3], expected: 10 },
    { weights: [100, 1], inFlight: [98, 0], expected: 10 },
    { weights: [100, 1], inFlight: [100, 0], expected: 20 },
    { weights: [0, 1], inFlight: [0, 1_000], expected: 20 },
  ]
  for (const { weights, inFlight, expected } of cases) {
    const view = new TestView(weights)
    inFlight.forEach((count, i) => {
      view.load((i + 1) * 10, count)
    })
    t.equal(new LeastConnections().pick(view, SOMEONE, []), expected, `${weights} with ${inFlight}`)
  }
})

t.test('an idle group is used in turn, not always from its first target', async (t) => {
  const view = new TestView([10, 10, 10])
  const balancer = new LeastConnections()
  const picked = Array.from({ length: 30 }, () => balancer.pick(view, SOMEONE, []))
  t.same(
    tally(picked),
    new Map([
      [10, 10],
      [20, 10],
      [30, 10],
    ]),
  )
})

t.test('only equals take turns', async (t) => {
  const view = new TestView([10, 10, 10])
  view.load(20, 1)
  const balancer = new LeastConnections()
  const picked = Array.from({ length: 30 }, () => balancer.pick(view, SOMEONE, []))
  t.same(
    tally(picked),
    new Map([
      [10, 15],
      [30, 15],
    ]),
  )
})

t.test('weights that do not divide evenly still count as equal at equal load', async (t) => {
  const view = new TestView([3, 9, 6])
  view.load(20, 2)
  view.load(30, 1)
  const balancer = new LeastConnections()
  const picked = Array.from({ length: 30 }, () => balancer.pick(view, SOMEONE, []))
  t.same(
    tally(picked),
    new Map([
      [10, 10],
      [20, 10],
      [30, 10],
    ]),
  )
})

t.test('groups of any size are handled', async (t) => {
  const view = new TestView(Array.from({ length: 100 }, () => 1))
  const balancer = new LeastConnections()
  t.equal(tally(Array.from({ length: 100 }, () => balancer.pick(view, SOMEONE, []))).size, 100)
})
