import { canonicalTarget } from '../config/addresses.js'
import type { TargetConfig } from '../core/config.js'
import type { AdminState } from '../core/target-state.js'

/** A target of the running process; `weight` and `state` are what the operator wants of it now. */
export interface RunningTarget extends TargetConfig {
  readonly state: AdminState
  /** It was removed, by the operator or by an earlier file, and drains. */
  readonly isLeaving: boolean
}

/** A target that is to be there. */
export interface MergedTarget {
  /** As the file says, or whoever added it; its weight is the one to go back to. */
  readonly config: TargetConfig
  readonly weight: number
  readonly state: AdminState
}

/**
 * The targets of a group after a reload: what operators changed survives it, unless the file changes the same thing. Three
 * versions meet: `before`, the file in force; `after`, the new one; and `running`, which differs from `before` by what
 * operators have done.
 *
 * - A target that the operator added stays, unless the file has its id or its server now.
 * - One that the operator removed stays away, unless the file gives it another address, or had taken it out and adds it.
 * - A weight of the operator's holds, unless the file changes the weight.
 * - States are none of the file's business: they stay with the id.
 */
export function mergeTargets(
  before: readonly TargetConfig[],
  after: readonly TargetConfig[],
  running: readonly RunningTarget[],
): readonly MergedTarget[] {
  const old = new Map(before.map((target) => [target.id, target]))
  const now = new Map(running.map((target) => [target.id, target]))
  const merged: MergedTarget[] = []
  for (const config of after) {
    const was = old.get(config.id)
    const runs = now.get(config.id)
    const isRemoved = was !== undefined && isSameServer(was, config) && (runs === undefined || runs.isLeaving)
    if (isRemoved) continue
    const keepsWeight = was !== undefined && was.weight === config.weight && runs !== undefined && !runs.isLeaving
    const weight = keepsWeight ? runs.weight : config.weight
    merged.push({ config, weight, state: runs === undefined || runs.isLeaving ? 'active' : runs.state })
  }
  const ids = new Set(merged.map(({ config }) => config.id))
  const servers = new Set(merged.map(({ config }) => serverOf(config)))
  for (const { state, isLeaving, ...config } of running) {
    const isOperators = !old.has(config.id) && !isLeaving
    if (!isOperators || ids.has(config.id) || servers.has(serverOf(config))) continue
    merged.push({ config, weight: config.weight, state })
  }
  return merged
}

type Server = Pick<TargetConfig, 'host' | 'port'>

const serverOf = ({ host, port }: Server): string => canonicalTarget(host, port)

/** However they are spelled. */
export const isSameServer = (one: Server, other: Server): boolean => serverOf(one) === serverOf(other)
