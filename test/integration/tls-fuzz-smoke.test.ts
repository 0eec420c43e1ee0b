import t from 'tap'
import { escapeBytes } from '../fuzz/escapes.js'
import type { Finding } from '../fuzz/subject.js'
import { TlsRecords } from '../fuzz/tls-records.js'
import { SEED, seededRandom } from '../random.js'

const ROUNDS = 20

t.comment(`seed ${SEED}`)

t.test(
  'random records behind handshakes, from clients and targets: what is right is served, the rest ends',
  async (t) => {
    const subject = await TlsRecords.start(seededRandom(SEED))
    t.teardown(() => subject.stop())
    let inputs = 0
    for (let round = 0; round < ROUNDS; round++) {
      inputs += await subject.round(({ kind, detail, input, faults }: Finding) => {
        t.fail(`${kind} (${detail}): ${escapeBytes(faults.join('; '))}\n| ${escapeBytes(input)}`)
      })
    }
    t.comment(subject.remarks())
    t.ok(inputs >= 2 * ROUNDS, `${inputs} inputs`)
  },
)
