import t from 'tap'
import { startConfigFiles } from '../../fuzz/config-files.js'
import type { Finding } from '../../fuzz/subject.js'
import { SEED, seededRandom } from '../../random.js'

/** Twenty inputs each; `npm run fuzz -- --subjects config` goes on for longer. */
const ROUNDS = 8

t.test(`mutated configurations end in time, with the place of each problem (seed ${SEED})`, async (t) => {
  const subject = await startConfigFiles(seededRandom(SEED))
  const findings: Finding[] = []
  let inputs = 0
  for (let i = 0; i < ROUNDS; i++) inputs += await subject.round((finding) => findings.push(finding))
  await subject.stop()
  t.same(
    findings.map(({ input, faults, detail }) => ({ faults, detail, input: String(input) })),
    [],
  )
  t.ok(inputs > 100)
})
