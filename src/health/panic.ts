import type { TargetTable } from '../shm/targets.js'
import { isAvailable, isEjected, isWanted } from './availability.js'
import { isPanic } from './outlier.js'

interface Located {
  readonly slot: number
  /** Empty while its name cannot be resolved. */
  readonly address: string
}

/** Whether so few of a group's targets are left that ejections do not count. `nowMs` as `Clock.steadyMs`. */
export function ignoresEjections(
  table: TargetTable,
  targets: readonly Located[],
  panicPercent: number,
  nowMs: number,
): boolean {
  let wanted = 0
  let taking = 0
  for (const { slot, address } of targets) {
    if (!isWanted(table, slot)) continue
    wanted++
    if (address !== '' && isAvailable(table, slot, nowMs, false)) taking++
  }
  return isPanic(wanted, taking, panicPercent)
}

/** Whether that has an effect now: an ejected target takes traffic. */
export function isInPanic(
  table: TargetTable,
  targets: readonly Located[],
  panicPercent: number,
  nowMs: number,
): boolean {
  const takes = ({ slot, address }: Located): boolean =>
    address !== '' && isEjected(table, slot, nowMs) && isWanted(table, slot) && isAvailable(table, slot, nowMs, true)
  return targets.some(takes) && ignoresEjections(table, targets, panicPercent, nowMs)
}
