import t from 'tap'
import { SEED } from '../../random.js'
import { shrink } from '../../simulation/control/shrink.js'
import { describe, simulateControl } from '../../simulation/control.js'

const SEEDS = 10
const FIRST = SEED
const STEPS = 10_000
/** Steps from one look at everything to the next; `npm run simulate:control` looks after each. */
const CHECK_EVERY = 25
const SHRINK_MS = 10_000

t.test('over random courses of two hosts, what lies between them and their threads, promises are kept', async (t) => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    t.test(`seed ${seed}`, async (t) => {
      const find = await simulateControl(seed, STEPS, SHRINK_MS, CHECK_EVERY)
      t.equal('steps' in find ? describe(seed, find) : '', '')
    })
  }
})

t.test('a course that fails is cut down to the steps that it takes', async (t) => {
  const course = Array.from({ length: 200 }, (_, index) => index)
  const failsAt = async (steps: readonly number[]) => (steps.includes(17) ? at(steps.indexOf(140)) : undefined)
  const at = (index: number): number | undefined => (index < 0 ? undefined : index)
  t.same(await shrink(course, failsAt, (step) => step % 7, Number.POSITIVE_INFINITY), [17, 140])
})
