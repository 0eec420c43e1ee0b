import type { SegmentMessage } from '../core/messages.js'
import type { SlotCounts } from '../core/shared-counters.js'
import type { Columns } from '../shm/columns.js'
import type { TargetTable } from '../shm/targets.js'

/**
 * Makes the shared tables hold so many slots of each kind, where they do not yet. Every thread is told before it can hear
 * of anything in such a slot; one that starts meanwhile may be told twice, which changes nothing.
 * @throws RangeError when there is no memory for it.
 */
export function growTables(
  needed: Partial<SlotCounts>,
  { columns, table }: { readonly columns: Columns; readonly table: TargetTable },
  tell: (message: SegmentMessage) => void,
): void {
  const segment = columns.grow(needed)
  if (segment === undefined) return
  table.addSegment(segment)
  tell({ type: 'segment', segment })
}
