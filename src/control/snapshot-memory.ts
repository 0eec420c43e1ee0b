import type { Columns } from '../shm/columns.js'
import type { Dispatcher } from './dispatch.js'
import type { InForce, SnapshotMemory } from './in-force.js'
import type { TargetRegistry } from './target-registry.js'

/** What shared memory says of the slots of listeners, groups, series and binds: whether anybody still counts in them. */
export function snapshotMemory(
  columns: Columns,
  registry: TargetRegistry,
  inForce: InForce,
  dispatcher: Dispatcher,
): SnapshotMemory {
  const isListenerQuiet = (slot: number): boolean => columns.isListenerQuiet(slot)
  const isGroupQuiet = (slot: number): boolean => registry.isGone(slot) && columns.isGroupQuiet(slot)
  return {
    listeners: { isQuiet: isListenerQuiet, clear: (slot) => columns.clearListener(slot) },
    groups: { isQuiet: isGroupQuiet, clear: (slot) => columns.clearGroup(slot) },
    series: {
      isQuiet: (slot) => {
        const { listener, group } = inForce.leftSeries(slot)
        return isListenerQuiet(listener) || (group >= 0 && isGroupQuiet(group))
      },
      clear: (slot) => columns.clearSeries(slot),
    },
    // Records that name it are in nobody's ring any more.
    binds: { isQuiet: () => dispatcher.waiting === 0, clear: () => {} },
  }
}
