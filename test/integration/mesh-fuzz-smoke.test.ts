import t from 'tap'
import { escapeBytes } from '../fuzz/escapes.js'
import { startRedisFrames } from '../fuzz/redis-frames.js'
import type { Finding } from '../fuzz/subject.js'
import { SEED, seededRandom } from '../random.js'

const ROUNDS = 10

t.comment(`seed ${SEED}`)

t.test(
  'frames and answers that nobody should send: nothing throws, good rows are kept, bad ones counted',
  async (t) => {
    const subject = await startRedisFrames(seededRandom(SEED))
    t.teardown(() => subject.stop())
    let inputs = 0
    for (let round = 0; round < ROUNDS; round++) {
      inputs += await subject.round(({ kind, detail, input, faults }: Finding) => {
        t.fail(`${kind} (${detail}): ${escapeBytes(faults.join('; '))}\n| ${escapeBytes(input)}`)
      })
    }
    t.ok(inputs >= 2_000, `${inputs} inputs`)
  },
)
