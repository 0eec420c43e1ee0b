import fc from 'fast-check'
import type { MeshEntry, OperatorEntry, SessionEntry, TicketsEntry } from '../../../src/core/mesh.js'
import { ADMIN_STATES } from '../../../src/core/target-state.js'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const name = fc.constantFrom('app', 'web', 'db')
const target = fc.constantFrom('one', 'two', 'three')
const timeMs = fc.integer({ min: 1, max: 2 ** 45 })
const HOUR_MS = 3_600_000
/** Few different stamps, so that they meet. */
const stamp = { high: fc.integer({ min: -2, max: 2 }), low: fc.integer({ min: -2, max: 2 }) }

export const sessionEntry: fc.Arbitrary<SessionEntry> = fc
  .record({
    kind: fc.constant('session' as const),
    key: fc.tuple(fc.integer({ min: 0, max: 3 }), word, word, word).map(([few]) => Int32Array.of(few, 0, -1, 7)),
    group: name,
    target: fc.oneof(target, fc.constant('')),
    expiresMs: fc.integer({ min: 0, max: 24 * HOUR_MS }),
    touchedMs: timeMs,
    ...stamp,
  })
  .map((entry) => ({ ...entry, expiresMs: entry.touchedMs + entry.expiresMs }))

export const operatorEntry: fc.Arbitrary<OperatorEntry> = fc.record({
  kind: fc.constant('operator' as const),
  group: name,
  target,
  state: fc.constantFrom(...ADMIN_STATES),
  weight: fc.integer({ min: -1, max: 100 }),
  drainUntilMs: timeMs,
  ...stamp,
})

export const ticketsEntry: fc.Arbitrary<TicketsEntry> = fc.record({
  kind: fc.constant('tickets' as const),
  keys: fc.uint8Array({ minLength: 80, maxLength: 80 }),
  ...stamp,
})

export const meshEntry: fc.Arbitrary<MeshEntry> = fc.oneof(sessionEntry, operatorEntry, ticketsEntry)
