import t from 'tap'
import { checkFrames, randomFrames } from '../../../fuzz/h2-frames.js'
import { SEED, seededRandom } from '../../../random.js'

const INPUTS = 3000

t.comment(`seed ${SEED}`)

t.test('frames of all kinds, some of them spoilt: nothing throws, and the contract holds', async (t) => {
  const random = seededRandom(SEED)
  for (let n = 0; n < INPUTS; n++) {
    const role = n % 3 === 0 ? 'client' : 'server'
    const input = randomFrames(random, role)
    const cuts = Array.from({ length: 5 }, () => Math.floor(random() * input.length)).sort((a, b) => a - b)
    const faults = checkFrames(input, role, cuts, random)
    if (faults.length > 0) t.fail(`${faults.join('; ')}\n${input.toString('hex')}`)
  }
})
