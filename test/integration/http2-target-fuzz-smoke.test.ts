import t from 'tap'
import { escapeBytes } from '../fuzz/escapes.js'
import { startHostileTargets } from '../fuzz/h2-targets.js'
import type { Finding } from '../fuzz/subject.js'
import { SEED, seededRandom } from '../random.js'

const ROUNDS = 4

t.comment(`seed ${SEED}`)

t.test('targets of HTTP/2 that answer with anything: every request has one outcome, and nothing throws', async (t) => {
  const subject = await startHostileTargets(seededRandom(SEED))
  t.teardown(() => subject.stop())
  let inputs = 0
  for (let round = 0; round < ROUNDS; round++) {
    inputs += await subject.round(({ kind, input, faults }: Finding) => {
      t.fail(`${kind}: ${escapeBytes(faults.join('; '))}\n| ${escapeBytes(input)}`)
    })
  }
  t.comment(subject.remarks?.() ?? '')
  t.ok(inputs >= 50, `${inputs} requests`)
})
