import type { Columns } from '../shm/columns.js'
import type { Dispatcher } from './dispatch.js'
import type { InForce, SnapshotMemory } from './in-force.js'
import type { TargetRegistry } from './target-registry.js'

/** What shared memory says of the slots of listeners, groups, series, rules and binds: whether anybody still counts in them. */
export function snapshotMemory(
  columns: Columns,
  registry: TargetRegistry,
  inForce: InForce,
  dispatcher: Dispatcher,
): SnapshotMemory {
  const rings = { listeners: new Rings(dispatcher), binds: new Rings(dispatcher) }
  const isListenerQuiet = (slot: number): boolean => columns.isListenerQuiet(slot)
  const isGroupQuiet = (slot: number): boolean => registry.isGone(slot) && columns.isGroupQuiet(slot)
  return {
    listeners: {
      // In this order: who is taken out of a ring is counted from then on.
      isQuiet: (slot) => rings.listeners.havePassed(slot) && isListenerQuiet(slot),
      clear: (slot) => {
        rings.listeners.forget(slot)
        columns.clearListener(slot)
      },
    },
    groups: { isQuiet: isGroupQuiet, clear: (slot) => columns.clearGroup(slot) },
    series: {
      isQuiet: (slot) => {
        const { listener, group } = inForce.leftSeries(slot)
        return isListenerQuiet(listener) || (group >= 0 && isGroupQuiet(group))
      },
      clear: (slot) => columns.clearSeries(slot),
    },
    rules: {
      // Counted when a request is matched, which is done by the version in force: no thread that knows of the next one
      // does so, except for a listener that is gone, whose connections go on by what it was.
      isQuiet: (slot) => {
        const { listener, listenerGeneration } = inForce.leftRule(slot)
        return inForce.snapshot.listeners[listener]?.generation === listenerGeneration || isListenerQuiet(listener)
      },
      clear: (slot) => columns.clearRule(slot),
    },
    binds: { isQuiet: (slot) => rings.binds.havePassed(slot), clear: (slot) => rings.binds.forget(slot) },
  }
}

/** Whether connections that were accepted before a slot was left are in nobody's ring any more. */
class Rings {
  readonly #dispatcher: Dispatcher
  readonly #marks = new Map<number, readonly number[] | undefined>()

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher
  }

  /** Its socket closes a moment after the last thread has acknowledged: the mark is made at the second look. */
  havePassed(slot: number): boolean {
    const mark = this.#marks.get(slot)
    if (mark !== undefined) return this.#dispatcher.hasPassed(mark)
    this.#marks.set(slot, this.#marks.has(slot) ? this.#dispatcher.mark() : undefined)
    return false
  }

  forget(slot: number): void {
    this.#marks.delete(slot)
  }
}
