import fc from 'fast-check'
import { pack } from 'msgpackr'
import t from 'tap'
import { CHECK_STATES, HEALTH_REASONS } from '../../../src/core/target-state.js'
import { TICKET_KEY_BYTES } from '../../../src/core/tls.js'
import { type Batch, encodeBatch } from '../../../src/mesh/batch.js'
import { decodeBatch, type RowFault } from '../../../src/mesh/read-batch.js'
import { meshEntry } from './arbitrary-entries.js'

const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/)
const targetId = fc.stringMatching(/^[A-Za-z0-9_.:[\]%-]{1,300}$/)
const label = fc.stringMatching(/^[ -~]{1,64}$/)

const batch: fc.Arbitrary<Batch> = fc.record({
  node: name,
  boot: label,
  sentMs: fc.integer({ min: 0, max: 2 ** 45 }),
  beat: fc.option(fc.record({ version: label, leaving: fc.boolean(), features: fc.array(name, { maxLength: 4 }) }), {
    nil: undefined,
  }),
  entries: fc.array(meshEntry, { maxLength: 20 }),
  health: fc.array(
    fc.record({
      kind: fc.constant('health' as const),
      group: name,
      target: targetId,
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
      t.same(found, { ...given, entries: byKind, faults: { invalid: 0, newer: 0 }, firstFault: undefined })
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

for (const [what, payload] of Object.entries({
  'a map': pack({ node: 'a' }),
  'a frame without a node': pack([null, 'b', 1, null, [], [], [], [], []]),
  'a node that is no name': pack(['\u001b[2J', 'b', 1, null, [], [], [], [], []]),
  'a boot that cannot be printed': pack(['a', 'b\n', 1, null, [], [], [], [], []]),
  'a time of sending that is none': pack(['a', 'b', Number.POSITIVE_INFINITY, null, [], [], [], [], []]),
  'a list that promises four billion rows': Buffer.from('ddffffffff', 'hex'),
  'lists in lists without end': Buffer.alloc(100_000, 0x91),
  'text that promises more than there is': Buffer.from('91dbffffff00', 'hex'),
  'what the library would build objects of': Buffer.concat([Buffer.from('91c70178', 'hex'), pack(['a+', 'g'])]),
  'something behind the end': Buffer.concat([pack(['a', 'b', 1, null, [], [], [], [], []]), Buffer.from([1])]),
})) {
  t.test(`${what} is no batch`, async (t) => t.equal(decodeBatch(payload), undefined))
}

const KEY = Buffer.alloc(16)
const KEYS = Buffer.alloc(TICKET_KEY_BYTES)
const NAMES = ['g', 't', '', 'a b', 'g\n', 7, 'x'.repeat(301)]

/** One row of each kind that is right; indexes into NAMES. */
const RIGHT = {
  beat: ['1.2.3', false, ['skips-rows']],
  session: [KEY, 0, 1, 1_001, 1, 5, -6],
  operator: [0, 1, 2, 100, 0, 5, -6],
  tickets: [KEYS, 5, -6],
  health: [0, 1, 3, 2],
} as const
const PLACES = { beat: 3, session: 5, operator: 6, tickets: 7, health: 8 } as const
type Kind = keyof typeof RIGHT

/** A frame with the right row of every kind, and beside it the given one; there is only one beat. */
function frameWith(kind: Kind, row: unknown): Buffer {
  const { beat, session, operator, tickets, health } = RIGHT
  const frame: unknown[] = ['node', 'boot', 1, beat, NAMES, [session], [operator], [tickets], [health]]
  if (kind === 'beat') frame[PLACES.beat] = row
  else frame[PLACES[kind]] = [row, ...(frame[PLACES[kind]] as unknown[])]
  return pack(frame)
}

/** By kind and place: what a field may not be. */
const WRONG: readonly (readonly [Kind, number, string, unknown, RowFault?])[] = [
  ['session', 0, 'a short key', Buffer.alloc(15)],
  ['session', 0, 'a long key', Buffer.alloc(17)],
  ['session', 0, 'a key that is text', '0123456789abcdef'],
  ['session', 1, 'a group that is not among the names', 99],
  ['session', 1, 'a group that is no name', 3],
  ['session', 1, 'a group with a line end', 4],
  ['session', 1, 'a group that is a number', 5],
  ['session', 1, 'a group that is nothing', 2],
  ['session', 1, 'an index that is a fraction', 0.5],
  ['session', 2, 'a target that is too long', 6],
  ['session', 3, 'an expiry years after the use', 1e12],
  ['session', 3, 'an expiry that is no number', Number.NaN],
  ['session', 3, 'an expiry without end', Number.POSITIVE_INFINITY],
  ['session', 4, 'a use before time began', -1],
  ['session', 4, 'a use that no date can hold', 1e300],
  ['session', 5, 'a stamp with a fraction', 1.5],
  ['session', 5, 'a stamp of more than 32 bits', 2 ** 40],
  ['session', 6, 'a stamp that is text', '1'],
  ['operator', 0, 'a group that is no name', 3],
  ['operator', 1, 'a target that is nothing', 2],
  ['operator', 2, 'a state that a later version has', 9, 'newer'],
  ['operator', 2, 'a state that is negative', -1],
  ['operator', 2, 'a state that is text', 'active'],
  ['operator', 3, 'a weight of a billion', 1e9],
  ['operator', 3, 'a weight that is negative', -2],
  ['operator', 3, 'a weight with a fraction', 0.5],
  ['operator', 3, 'a weight that is no number', Number.NaN],
  ['operator', 4, 'a drain without end', Number.POSITIVE_INFINITY],
  ['operator', 4, 'a drain that ends before time began', -1],
  ['operator', 5, 'a stamp that is missing', null],
  ['tickets', 0, 'no key', Buffer.alloc(0)],
  ['tickets', 0, 'half a key', Buffer.alloc(TICKET_KEY_BYTES / 2)],
  ['tickets', 0, 'an odd number of bytes', Buffer.alloc(TICKET_KEY_BYTES + 1)],
  ['tickets', 0, 'more keys than a thread takes', Buffer.alloc(TICKET_KEY_BYTES * 17)],
  ['tickets', 0, 'keys that are text', 'k'.repeat(TICKET_KEY_BYTES)],
  ['tickets', 1, 'a stamp that is a truth', true],
  ['health', 0, 'a group that is not among the names', -1],
  ['health', 1, 'a target that is no id', 3],
  ['health', 2, 'a state that a later version has', 40, 'newer'],
  ['health', 3, 'a reason that a later version has', 400, 'newer'],
  ['health', 3, 'a reason that is a list', []],
  ['beat', 0, 'a version with escape codes', '\u001b]0;owned\u0007'],
  ['beat', 0, 'a version of a megabyte', 'v'.repeat(1e6)],
  ['beat', 1, 'leaving that is a number', 1],
  ['beat', 2, 'features that are text', 'all'],
  ['beat', 2, 'a feature that is no name', ['\u001b[2J']],
  ['beat', 2, 'thousands of features', Array(5_000).fill('f')],
]

t.test('a row with one bad field is skipped and counted, and the rows beside it are kept', async (t) => {
  for (const [kind, place, what, value, fault = 'invalid'] of WRONG) {
    const row: unknown[] = [...RIGHT[kind]]
    row[place] = value
    const found = decodeBatch(frameWith(kind, row))
    t.same(found?.faults, { invalid: 0, newer: 0, [fault]: 1 }, `${kind}: ${what}`)
    t.same(found?.firstFault, { kind, fault }, `${kind}: ${what}`)
    t.same([found?.entries.length, found?.health.length, found?.beat === undefined], [3, 1, kind === 'beat'])
  }
})

t.test('a row that ends early is skipped, one that goes on is of a later version and taken', async (t) => {
  for (const kind of Object.keys(RIGHT) as Kind[]) {
    const right: readonly unknown[] = RIGHT[kind]
    for (let length = 0; length < right.length; length++) {
      const found = decodeBatch(frameWith(kind, right.slice(0, length)))
      const isOldBeat = kind === 'beat' && length === 2
      t.equal(found?.faults.invalid, isOldBeat ? 0 : 1, `${kind} of ${length} fields`)
    }
    const longer = decodeBatch(frameWith(kind, [...right, 'a field of later', 7]))
    t.same(longer?.faults, { invalid: 0, newer: 0 })
    t.equal(longer?.entries.length, kind === 'beat' || kind === 'health' ? 3 : 4)
  }
})

t.test('where something else stands in the place of rows, the other kinds are kept', async (t) => {
  for (const kind of Object.keys(RIGHT) as Kind[]) {
    for (const instead of [7, 'rows', { 0: 1 }, KEY, [7], ['row'], [null]]) {
      const { beat, session, operator, tickets, health } = RIGHT
      const frame: unknown[] = ['node', 'boot', 1, beat, NAMES, [session], [operator], [tickets], [health]]
      frame[PLACES[kind]] = instead
      const found = decodeBatch(pack(frame))
      // Bytes that no version writes are no batch at all.
      if (found === undefined) continue
      t.equal(found.faults.invalid, 1, `${kind}: ${JSON.stringify(instead)}`)
      t.equal(found.entries.length + found.health.length + (found.beat ? 1 : 0), 4)
    }
  }
})
