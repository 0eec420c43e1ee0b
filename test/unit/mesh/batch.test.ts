import fc from 'fast-check'
import { pack } from 'msgpackr'
import t from 'tap'
import { CHECK_STATES, HEALTH_REASONS } from '../../../src/core/target-state.js'
import { type Batch, decodeBatch, encodeBatch } from '../../../src/mesh/batch.js'
import { meshEntry } from './arbitrary-entries.js'

const batch: fc.Arbitrary<Batch> = fc.record({
  node: fc.string(),
  boot: fc.string(),
  sentMs: fc.integer({ min: 0, max: 2 ** 45 }),
  beat: fc.option(fc.record({ version: fc.string(), leaving: fc.boolean() }), { nil: undefined }),
  entries: fc.array(meshEntry, { maxLength: 20 }),
  health: fc.array(
    fc.record({
      kind: fc.constant('health' as const),
      group: fc.string(),
      target: fc.string(),
      state: fc.constantFrom(...CHECK_STATES),
      reason: fc.constantFrom(...HEALTH_REASONS),
    }),
    { maxLength: 5 },
  ),
})

t.test('what is encoded is decoded the same; only kinds are brought together', async (t) => {
  fc.assert(
    fc.property(batch, (given) => {
      const found = decodeBatch(encodeBatch(given))
      const byKind = ['session', 'operator', 'tickets'].flatMap((kind) => given.entries.filter((e) => e.kind === kind))
      t.same(found, { ...given, entries: byKind })
    }),
    { numRuns: 200 },
  )
})

t.test('bytes that are no batch give nothing and throw nothing', async (t) => {
  const whole = encodeBatch({ node: 'a', boot: 'b', sentMs: 1, beat: undefined, entries: [], health: [] })
  t.ok(decodeBatch(whole))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeBatch(bytes)))
  for (let end = 0; end < whole.length; end++) t.equal(decodeBatch(whole.subarray(0, end)), undefined, `cut to ${end}`)
})

for (const [what, data] of Object.entries({
  'a map': { node: 'a' },
  'no list of names': ['a', 'b', 1, null, 7, [], [], [], []],
  'a session without a key': ['a', 'b', 1, null, ['g'], [[Buffer.alloc(0), 0, 0, 1, 1, 1, 1]], [], [], []],
  'a session with a short key': ['a', 'b', 1, null, ['g'], [[Buffer.alloc(15), 0, 0, 1, 1, 1, 1]], [], [], []],
  'a name that is not there': ['a', 'b', 1, null, ['g'], [[Buffer.alloc(16), 0, 1, 1, 1, 1, 1]], [], [], []],
  'a time that is no number': ['a', 'b', 1, null, ['g'], [[Buffer.alloc(16), 0, 0, Number.NaN, 1, 1, 1]], [], [], []],
  'a state that does not exist': ['a', 'b', 1, null, ['g'], [], [[0, 0, 9, 1, 0, 1, 1]], [], []],
})) {
  t.test(`${what} is no batch`, async (t) => t.equal(decodeBatch(pack(data)), undefined))
}
