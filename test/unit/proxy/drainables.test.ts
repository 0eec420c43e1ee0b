import t from 'tap'
import { type Drainable, Drainables } from '../../../src/proxy/drainables.js'
import type { Listener } from '../../../src/proxy/listener.js'
import { SEED, seededRandom } from '../../random.js'

t.comment(`seed ${SEED}`)

const one = (): Drainable => ({
  listener: undefined as unknown as Listener,
  drainablesPlace: -1,
  drain() {},
  onTargetRemoved() {},
  cut() {},
})

t.test('they hold what a Set would, whatever comes and goes', async (t) => {
  const random = seededRandom(SEED)
  const drainables = new Drainables()
  const model = new Set<Drainable>()
  const all = Array.from({ length: 40 }, one)
  for (let step = 0; step < 5_000; step++) {
    const drainable = all[Math.floor(random() * all.length)]!
    if (random() < 0.5) {
      drainables.add(drainable)
      model.add(drainable)
    } else {
      drainables.delete(drainable)
      model.delete(drainable)
    }
    if (drainables.size !== model.size) t.fail(`step ${step}`)
    if (step % 100 > 0) continue
    const now = drainables.now()
    t.ok(now.length === model.size && now.every((each) => model.has(each)) && new Set(now).size === now.length)
  }
})

t.test('those that end while all are gone through are no matter', async (t) => {
  const drainables = new Drainables()
  const all = Array.from({ length: 5 }, one)
  for (const each of all) drainables.add(each)
  let seen = 0
  for (const each of drainables.now()) {
    seen++
    drainables.delete(each)
    drainables.add(one())
  }
  t.same([seen, drainables.size], [5, 5])
})
