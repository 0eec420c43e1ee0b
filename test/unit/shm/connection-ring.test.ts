import fc from 'fast-check'
import t from 'tap'
import { RECORD_FD, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { ConnectionRing, createConnectionRing } from '../../../src/shm/connection-ring.js'
import { SEED } from '../../random.js'

const CAPACITY = 4_096

function record(fd: number): Int32Array {
  return Int32Array.from({ length: RECORD_WORDS }, (_, word) => (word === RECORD_FD ? fd : fd * 10 + word))
}

/** The oldest record, taken out; undefined when there is none. */
function take(ring: ConnectionRing): number | undefined {
  const at = ring.peek()
  if (at < 0) return undefined
  const words = ring.words.slice(at, at + RECORD_WORDS)
  ring.advance()
  const fd = words[RECORD_FD]!
  return words.every((word, i) => word === record(fd)[i]) ? fd : Number.NaN
}

t.test('what goes in comes out, whole and in order, however far the two sides are apart', async (t) => {
  t.comment(`seed ${SEED}`)
  // Numbers above 0 push so many, below take so many.
  const steps = fc.array(fc.integer({ min: -3_000, max: 3_000 }), { maxLength: 30 })
  fc.assert(
    fc.property(steps, (steps) => {
      const shared = createConnectionRing()
      const producer = new ConnectionRing(shared)
      const consumer = new ConnectionRing(shared)
      let pushed = 0
      let taken = 0
      for (const step of steps) {
        for (let i = 0; i < step; i++) {
          const room = pushed - taken < CAPACITY
          if (producer.full === room || producer.push(record(pushed), 0) !== room) return false
          if (room) pushed++
        }
        for (let i = 0; i > step; i--) {
          const expected = taken < pushed ? taken++ : undefined
          if (take(consumer) !== expected) return false
        }
        if (consumer.waiting !== pushed - taken) return false
      }
      return true
    }),
    { seed: SEED, numRuns: 40 },
  )
})

t.test('head and tail may wrap around', async (t) => {
  const ring = new ConnectionRing(createConnectionRing())
  const nearTheEnd = -3
  ring.words[0] = nearTheEnd
  ring.words[32] = nearTheEnd
  for (let fd = 0; fd < 10; fd++) {
    t.ok(ring.push(record(fd), 0))
    t.equal(ring.waiting, 1)
    t.equal(take(ring), fd)
  }
  t.equal(ring.waiting, 0)
})
