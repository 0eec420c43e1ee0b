import fc from 'fast-check'
import t from 'tap'
import type { MeshEntry } from '../../../src/core/mesh.js'
import { entryName, replaces } from '../../../src/mesh/merge-order.js'
import { meshEntry } from './arbitrary-entries.js'

/** What a host ends with after these came in this order. */
function mergeAll(entries: readonly MeshEntry[]): Map<string, MeshEntry> {
  const state = new Map<string, MeshEntry>()
  for (const entry of entries) {
    const known = state.get(entryName(entry))
    if (known === undefined || replaces(entry, known)) state.set(entryName(entry), entry)
  }
  return state
}

/** What can be told from outside: the time of the last use beside the expiry it led to cannot. */
function visible(state: Map<string, MeshEntry>): unknown {
  return [...state]
    .map(([name, entry]) => [name, entry.kind === 'session' ? { ...entry, touchedMs: 0 } : entry] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

t.test('any order, with any of them twice, comes to the same end', async (t) => {
  fc.assert(
    fc.property(
      fc
        .array(meshEntry, { maxLength: 40 })
        .chain((entries) =>
          fc.tuple(
            fc.constant(entries),
            fc.shuffledSubarray([...entries, ...entries], { minLength: entries.length * 2 }),
          ),
        ),
      ([entries, shuffled]) => t.same(visible(mergeAll(shuffled)), visible(mergeAll(entries))),
    ),
    { numRuns: 500 },
  )
})

t.test('of two entries for one thing at most one replaces the other, and never itself', async (t) => {
  fc.assert(
    fc.property(meshEntry, meshEntry, (a, b) => {
      t.equal(replaces(a, a), false)
      if (entryName(a) === entryName(b)) t.notOk(replaces(a, b) && replaces(b, a))
    }),
  )
})
