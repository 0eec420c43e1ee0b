import t from 'tap'
import { ALGORITHMS } from '../../src/balance/algorithms.js'
import { RandomTwo } from '../../src/balance/random-two.js'
import type { Balancer } from '../../src/core/balancer.js'
import { SEED, seededRandom } from '../random.js'
import { client, SOMEONE, TestView, tally } from '../unit/balance/views.js'

/** What every algorithm promises, whatever it chooses by. Only the random one is made by hand, to be repeatable. */
const makers: Readonly<Record<string, () => Balancer>> = {
  ...ALGORITHMS,
  'random-two': () => new RandomTwo(seededRandom(SEED)),
}

/** Picks for many clients, each holding on to its target, and counts the targets. */
function pickHolding(balancer: Balancer, view: TestView, tried: readonly number[]): Map<number, number> {
  const picked: number[] = []
  for (let n = 0; n < 500; n++) {
    const slot = balancer.pick(view, client(n), tried)
    view.load(slot, 1)
    picked.push(slot)
  }
  return tally(picked)
}

t.comment(`seed ${SEED}`)
for (const [name, make] of Object.entries(makers)) {
  t.test(name, async (t) => {
    t.test('picks the targets of the view and nothing else', async (t) => {
      t.same([...pickHolding(make(), new TestView([5, 3, 2]), []).keys()].sort(), [10, 20, 30])
    })

    t.test('never picks a target of weight 0, and picks every other', async (t) => {
      const view = new TestView([0, 3, 0, 2, 0])
      t.same([...pickHolding(make(), view, []).keys()].sort(), [20, 40])
    })

    t.test('never picks a target that was tried, and picks every other', async (t) => {
      const balancer = make()
      const view = new TestView([5, 3, 2, 1])
      t.same([...pickHolding(balancer, view, [10, 30]).keys()].sort(), [20, 40])
      t.equal(balancer.pick(view, SOMEONE, [10, 20, 30]), 40)
      t.equal(balancer.pick(view, SOMEONE, [99, 10, 20, 40]), 30, 'slots the view does not have do no harm')
    })

    t.test('returns −1 when nothing is left', async (t) => {
      const balancer = make()
      t.equal(balancer.pick(new TestView([]), SOMEONE, []), -1, 'no targets')
      t.equal(balancer.pick(new TestView([0, 0], 1), SOMEONE, []), -1, 'no weight')
      t.equal(balancer.pick(new TestView([1, 1, 0], 2), SOMEONE, [20, 10]), -1, 'all tried')
    })

    t.test('trying on and on visits every target once', async (t) => {
      const balancer = make()
      const view = new TestView([1, 100, 7, 7, 0])
      const tried: number[] = []
      for (let slot = balancer.pick(view, SOMEONE, tried); slot >= 0; slot = balancer.pick(view, SOMEONE, tried))
        tried.push(slot)
      t.same(tried.sort(), [10, 20, 30, 40])
    })

    t.test('follows the targets when the version changes', async (t) => {
      const balancer = make()
      const view = new TestView([1, 1])
      for (let n = 0; n < 50; n++) balancer.pick(view, client(n), [])
      view.change([0, 0, 1])
      for (let n = 0; n < 50; n++) if (balancer.pick(view, client(n), []) !== 30) t.fail('picked a target that is gone')
      view.change([])
      t.equal(balancer.pick(view, SOMEONE, []), -1)
      view.change([0, 4])
      t.equal(balancer.pick(view, SOMEONE, []), 20)
    })

    t.test('keeps groups apart', async (t) => {
      const balancer = make()
      const one = new TestView([1, 0], 0)
      const other = new TestView([0, 1], 3)
      for (let n = 0; n < 20; n++) {
        if (balancer.pick(one, client(n), []) !== 10) t.fail('the first group got the second one’s target')
        if (balancer.pick(other, client(n), []) !== 20) t.fail('the second group got the first one’s target')
      }
    })

    t.test('gives busy targets requests by weight', async (t) => {
      const balancer = make()
      const random = seededRandom(SEED)
      const weights = [50, 30, 20, 0]
      const view = new TestView(weights)
      const open: number[] = []
      const counts = new Map<number, number>()
      const total = 20_000
      for (let n = 0; n < total; n++) {
        const slot = balancer.pick(view, client(n), [])
        counts.set(slot, (counts.get(slot) ?? 0) + 1)
        view.load(slot, 1)
        open.push(slot)
        // Up to 200 at once; which one ends is chance.
        if (open.length > 200) view.load(open.splice(Math.floor(random() * open.length), 1)[0]!, -1)
      }
      for (const [i, weight] of weights.entries()) {
        const share = (counts.get((i + 1) * 10) ?? 0) / total
        t.ok(
          Math.abs(share - weight / 100) < 0.03,
          `target ${i} got ${(share * 100).toFixed(1)} % for weight ${weight}`,
        )
      }
    })
  })
}
