import type { CounterSegment, SlotCounts } from '../core/shared-counters.js'
import { columnBytes, ticketBytes } from './layout.js'
import { createTargetTable } from './targets-layout.js'
import { waitTableBytes } from './waiting.js'

/** A segment has room for at least so many of what it is made for: small steps would only make more segments. */
const LEAST_ADDED = 16

/** The part of the tables that holds `count` slots of each kind, from `first` on. All of it is zero. */
export function createSegment(index: number, first: SlotCounts, count: SlotCounts, workers: number): CounterSegment {
  return {
    index,
    first,
    count,
    columns: new SharedArrayBuffer(columnBytes(count, workers)),
    tickets: new SharedArrayBuffer(ticketBytes(count)),
    targets: createTargetTable(count),
    waiting: new SharedArrayBuffer(waitTableBytes(count, workers)),
  }
}

/**
 * How many slots of each kind to add so that there are as many as `needed`: of a kind that lacks some at least as many
 * again as there are, so that a table of any size has few segments. Undefined where nothing lacks.
 */
export function slotsToAdd(have: SlotCounts, needed: Partial<SlotCounts>): SlotCounts | undefined {
  const added = {
    listeners: missing(have.listeners, needed.listeners),
    series: missing(have.series, needed.series),
    rules: missing(have.rules, needed.rules),
    groups: missing(have.groups, needed.groups),
    targets: missing(have.targets, needed.targets),
  }
  return Object.values(added).every((count) => count === 0) ? undefined : added
}

function missing(have: number, needed = 0): number {
  return needed <= have ? 0 : Math.max(needed - have, have, LEAST_ADDED)
}
