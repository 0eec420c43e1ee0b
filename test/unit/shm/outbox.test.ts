import fc from 'fast-check'
import t from 'tap'
import { blankEntry, SESSION_KEY_WORDS } from '../../../src/core/session-store.js'
import { createOutbox, Outbox } from '../../../src/shm/outbox.js'

const key = new Int32Array(SESSION_KEY_WORDS)
const session = blankEntry()

function write(outbox: Outbox, number: number): void {
  const written = blankEntry()
  Object.assign(written, {
    group: 1,
    targetSlot: number % 7,
    generation: 3,
    expiresMs: 1e13 + number,
    touchedMs: number,
  })
  Object.assign(written, { versionHigh: -number, versionLow: number })
  outbox.write(Int32Array.of(number, -number, 5, -6), written)
}

t.test('records come out as they went in, in order', async (t) => {
  const shared = createOutbox(16)
  const writer = new Outbox(shared)
  const reader = new Outbox(shared)
  t.equal(reader.next(key, session), 'none')
  write(writer, 1)
  write(writer, 2)
  t.equal(reader.next(key, session), 'read')
  t.same([...key], [1, -1, 5, -6])
  t.same(session, {
    group: 1,
    targetSlot: 1,
    generation: 3,
    expiresMs: 1e13 + 1,
    touchedMs: 1,
    versionHigh: -1,
    versionLow: 1,
    used: false,
  })
  t.equal(reader.next(key, session), 'read')
  t.equal(key[0], 2)
  t.equal(reader.next(key, session), 'none')
})

t.test(
  'a reader that falls behind misses the oldest, is told so, and never reads one twice or out of order',
  async (t) => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 }), (bursts) => {
        const shared = createOutbox(16)
        const writer = new Outbox(shared)
        const reader = new Outbox(shared)
        let written = 0
        let last = 0
        for (const burst of bursts) {
          for (let i = 0; i < burst; i++) write(writer, ++written)
          let missed = false
          for (let outcome = reader.next(key, session); outcome !== 'none'; outcome = reader.next(key, session)) {
            if (outcome === 'missed') missed = true
            else {
              t.ok(key[0]! > last, 'in order')
              if (!missed) t.equal(key[0], last + 1, 'without a gap')
              missed = false
              last = key[0]!
            }
          }
          t.equal(last, written, 'the newest is there')
        }
      }),
      { numRuns: 200 },
    )
  },
)

t.test('a new reader may begin at the end', async (t) => {
  const shared = createOutbox(16)
  write(new Outbox(shared), 1)
  const reader = new Outbox(shared)
  reader.skipToEnd()
  t.equal(reader.next(key, session), 'none')
})

t.test('its size is a power of two', async (t) => {
  t.throws(() => createOutbox(12), RangeError)
  t.throws(() => createOutbox(0), RangeError)
})

t.test('a record that is half another one is missed, not read', async (t) => {
  const shared = createOutbox(4)
  const writer = new Outbox(shared)
  const reader = new Outbox(shared)
  write(writer, 1)
  write(writer, 2)
  // As a processor shows it that lets a later write pass the count: a word of the next round in the record.
  new Int32Array(shared)[32 + 5] = 6
  t.equal(reader.next(key, session), 'missed')
  for (let outcome = reader.next(key, session); outcome !== 'none'; outcome = reader.next(key, session)) {
    if (outcome === 'read') t.not(session.targetSlot, 6)
  }
  write(writer, 3)
  t.equal(reader.next(key, session), 'read')
  t.equal(session.touchedMs, 3)
})

t.test('a whole record of another round is not taken for the one that is due', async (t) => {
  const shared = createOutbox(4)
  const writer = new Outbox(shared)
  const reader = new Outbox(shared)
  write(writer, 1)
  const words = new Int32Array(shared)
  const first = words.slice(32, 48)
  for (let number = 2; number <= 4; number++) write(writer, number)
  for (let number = 1; number <= 4; number++) reader.next(key, session)
  write(writer, 5)
  words.set(first, 32)
  t.equal(reader.next(key, session), 'missed')
})
