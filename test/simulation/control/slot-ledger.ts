import type { SlotMemory } from '../../../src/control/left-slots.js'
import { slotsLeft } from '../../../src/control/next-snapshot.js'
import type { Snapshot } from '../../../src/core/snapshot.js'
import { Columns } from '../../../src/shm/columns.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { insist } from './violation.js'

const KINDS = ['listeners', 'groups', 'series', 'rules', 'binds'] as const
type SlotHolder = NonNullable<Snapshot[SlotKind][number]>
export type SlotKind = (typeof KINDS)[number]

/** Which slots were left and have not been given out again, seen from outside. */
export class SlotLedger {
  readonly #left = Object.fromEntries(KINDS.map((kind) => [kind, new Set<number>()])) as Record<SlotKind, Set<number>>
  #snapshot: Snapshot | undefined

  /** Those of a kind that are not free yet. */
  left(kind: SlotKind): ReadonlySet<number> {
    return this.#left[kind]
  }

  /** This snapshot is in force now. */
  change(snapshot: Snapshot): void {
    const before = this.#snapshot
    this.#snapshot = snapshot
    for (const kind of KINDS) {
      for (const entry of snapshot[kind]) {
        insist(
          entry === undefined || isKept(before?.[kind][entry.slot], entry) || !this.#left[kind].has(entry.slot),
          `a slot of ${kind} is given out before it is free`,
        )
      }
      if (before !== undefined)
        for (const slot of slotsLeft<{ slot: number }>(before[kind], snapshot[kind])) this.#left[kind].add(slot)
    }
  }

  watch(kind: SlotKind, memory: SlotMemory): SlotMemory {
    return {
      isQuiet: (slot) => memory.isQuiet(slot),
      clear: (slot) => {
        insist(this.#left[kind].delete(slot), `slot ${slot} of ${kind} is cleared although it was not left`)
        memory.clear(slot)
      },
    }
  }
}

/** Series and rules have no generations, and are the very same object for as long as they live. */
function isKept(before: SlotHolder | undefined, entry: SlotHolder): boolean {
  if (before === undefined || before === entry) return before !== undefined
  if ('generation' in entry) return 'generation' in before && before.generation === entry.generation
  return 'port' in entry && 'port' in before && before.address === entry.address && before.port === entry.port
}

/** The same for places of targets. */
export class PlaceLedger {
  readonly taken = new Set<number>()
}

/** Tells the ledger of each place that is given out. */
export class WatchedTable extends TargetTable {
  readonly #ledger: PlaceLedger

  constructor(segments: ConstructorParameters<typeof TargetTable>[0], ledger: PlaceLedger) {
    super(segments)
    this.#ledger = ledger
  }

  override occupy(slot: number, weight: number, check: number, nowMs: number): number {
    insist(!this.#ledger.taken.has(slot), `target slot ${slot} is given out before it is free`)
    this.#ledger.taken.add(slot)
    return super.occupy(slot, weight, check, nowMs)
  }
}

/** Tells the ledger of each place that is free again. */
export class WatchedColumns extends Columns {
  readonly #ledger: PlaceLedger

  constructor(shared: ConstructorParameters<typeof Columns>[0], ledger: PlaceLedger) {
    super(shared)
    this.#ledger = ledger
  }

  override clearTarget(slot: number): void {
    insist(this.#ledger.taken.delete(slot), `target slot ${slot} is cleared although nobody had it`)
    insist(this.isTargetQuiet(slot), `target slot ${slot} is cleared while something is with it`)
    super.clearTarget(slot)
  }
}
