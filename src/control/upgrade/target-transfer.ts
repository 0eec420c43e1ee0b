import { type Clock, steadyTime, wallTime } from '../../core/clock.js'
import type { TargetConfig, TargetGroupConfig } from '../../core/config.js'
import type { ListedTarget } from '../../core/directory.js'
import type { TargetTable } from '../../shm/targets.js'
import type { TargetRegistry } from '../target-registry.js'
import type { HandedState, HandedTarget } from './frames.js'

export interface TargetParts {
  /** By slot. */
  readonly groups: () => readonly (TargetGroupConfig | undefined)[]
  readonly registry: TargetRegistry
  readonly table: TargetTable
  /** As of now. */
  readonly clock: () => Clock
}

type Targets = Required<Pick<HandedState, 'targets' | 'removed'>>

/** What operators want of the targets: those that there are, and those of the file that they have removed. */
export function exportTargets({ groups: current, registry, table, clock }: TargetParts): Targets {
  const now = clock()
  const groups = current()
  const listed = registry.all
  const targets = listed.map(({ group, id, host, port, slot, leavesMs }): HandedTarget => {
    const { name, targets: configured } = groups[group]!
    const { state, drainUntilMs } = registry.wishFor(slot)
    const fileWeight = configured.find((target) => target.id === id)?.weight
    return {
      group: name,
      id,
      host,
      port,
      weight: table.weight(slot),
      ...(fileWeight === undefined ? {} : { fileWeight }),
      state,
      drainUntilMs: drainUntilMs === 0 ? 0 : wallTime(drainUntilMs, now),
      ...(leavesMs === undefined ? {} : { leavesMs: wallTime(leavesMs, now) }),
    }
  })
  const removed = groups.flatMap((config, group) =>
    (config?.targets ?? [])
      .filter(({ id }) => !listed.some((target) => target.group === group && target.id === id))
      .map(({ id }) => ({ group: config!.name, id })),
  )
  return { targets, removed }
}

/**
 * Does what operators wanted of the process before. Where the file says something else of a target than it did there, the
 * file holds. Doing it again changes nothing.
 */
export async function importTargets(
  { targets, removed = [] }: Omit<Targets, 'removed'> & Partial<Targets>,
  parts: TargetParts,
): Promise<void> {
  for (const target of targets) await importTarget(target, parts)
  for (const { group, id } of removed) {
    const found = find(group, id, parts)
    if (found !== undefined) parts.registry.remove(found.slot, true, parts.clock().steadyMs)
  }
}

async function importTarget(handed: HandedTarget, parts: TargetParts): Promise<void> {
  const { registry, table, clock } = parts
  const groups = parts.groups()
  const group = groups.findIndex((config) => config?.name === handed.group)
  if (group < 0) return
  const { id, host, port, weight, fileWeight, state } = handed
  const configured = groups[group]!.targets.find((target) => target.id === id)
  if (find(handed.group, id, parts) === undefined && fileWeight === undefined) {
    const added: TargetConfig = { id, host, port, weight }
    await registry.add(group, added, () => clock().steadyMs)
  }
  const found = find(handed.group, id, parts)
  // Taken out of the file since.
  if (found === undefined) return
  const now = clock()
  const { slot } = found
  const drainUntilMs = handed.drainUntilMs === 0 ? 0 : steadyTime(handed.drainUntilMs, now)
  const wanted = fileWeight === undefined || configured?.weight === fileWeight ? weight : table.weight(slot)
  if (registry.wishFor(slot).state !== state || table.weight(slot) !== wanted) {
    registry.adopt(slot, state, wanted, drainUntilMs, now.steadyMs)
  }
  if (handed.leavesMs === undefined || found.leavesMs !== undefined) return
  // As if it had been removed when it was, so that it goes when it was to go.
  registry.remove(slot, false, steadyTime(handed.leavesMs, now) - groups[group]!.drainingMs)
}

function find(groupName: string, id: string, parts: TargetParts): ListedTarget | undefined {
  const groups = parts.groups()
  return parts.registry.all.find((target) => groups[target.group]?.name === groupName && target.id === id)
}
