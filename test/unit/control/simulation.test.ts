import t from 'tap'
import { SEED } from '../../random.js'
import { shrink } from '../../simulation/control/shrink.js'
import { describe, simulateControl } from '../../simulation/control.js'

const SEEDS = 10
/** `npm run simulate:control` makes longer courses. */
const STEPS = 1_000

t.test('over random courses of changes, deaths and slow messages the control plane keeps its promises', async (t) => {
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    const find = await simulateControl(seed, STEPS, 10_000)
    t.equal('steps' in find ? describe(seed, find) : '', '', `seed ${seed}`)
  }
})

t.test('a course that fails is cut down to the steps that it takes', async (t) => {
  const course = Array.from({ length: 200 }, (_, index) => index)
  const fails = async (steps: readonly number[]) => steps.includes(17) && steps.includes(140)
  t.same(await shrink(course, fails, Number.POSITIVE_INFINITY), [17, 140])
})
