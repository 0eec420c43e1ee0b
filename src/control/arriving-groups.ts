import type { Config, TargetGroupConfig } from '../core/config.js'
import { groupsServedBy } from '../core/config-plugins.js'
import type { ListedTarget } from '../core/directory.js'
import { CHECK_INITIAL } from '../core/target-state.js'
import { isPassing } from '../health/availability.js'
import type { TargetTable } from '../shm/targets.js'

/** A check that hangs until its time-out must not hold up a reload for as long. */
const ALL_CHECKED_MS = 5_000
/** From then on it is enough that one target of each group passes, even if others have not been checked. */
const ONE_PASSES_MS = 1_000

/**
 * What a group is called while it waits beside one that has its name and another protocol. No name in a file has blanks, so
 * nobody else is called that.
 */
export function nameWhileArriving({ name, protocol }: Pick<TargetGroupConfig, 'name' | 'protocol'>): string {
  return `${name} (${protocol})`
}

/**
 * The groups of `now` that listeners are about to use and whose targets have still to pass a check: those with checks that
 * are new by name or protocol. A listener that went over to them at once would have nobody to send requests to.
 */
export function arrivingGroups(before: Config, now: Config): readonly TargetGroupConfig[] {
  const isUsed = new Set(now.listeners.flatMap((listener) => groupsServedBy(listener, now.plugins)))
  const known = new Map(before.targetGroups.map(({ name, protocol }) => [name, protocol]))
  return now.targetGroups.flatMap((group) => {
    const { name, protocol, healthCheck, targets } = group
    const isNew = known.get(name) !== protocol
    if (!isNew || !isUsed.has(name) || healthCheck.protocol === 'off' || targets.length === 0) return []
    return [known.has(name) ? { ...group, name: nameWhileArriving(group) } : group]
  })
}

/** Whether a reload need not wait for the groups' first checks any more. `targets` are those of all groups. */
export function areReady(
  groups: ReadonlySet<number>,
  targets: readonly ListedTarget[],
  table: Pick<TargetTable, 'check'>,
  waitedMs: number,
): boolean {
  if (waitedMs >= ALL_CHECKED_MS) return true
  const open = new Set<number>()
  const served = new Set<number>()
  for (const { group, slot, address } of targets) {
    // A name without an address has nothing that could be checked.
    if (!groups.has(group) || address === '') continue
    if (isPassing(table, slot)) served.add(group)
    else if (table.check(slot) === CHECK_INITIAL) open.add(group)
  }
  if (waitedMs >= ONE_PASSES_MS) for (const group of served) open.delete(group)
  return open.size === 0
}
