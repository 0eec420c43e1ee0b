import type { Config } from '../core/config.js'
import { groupsServedBy } from '../core/config-plugins.js'
import type { Directory } from '../core/directory.js'
import { type Capacity, MAX_TARGETS } from '../core/shared-counters.js'
import type { Bind, GroupEntry, ListenerEntry, RouteEntry, RuleEntry, SeriesEntry, Snapshot } from '../core/snapshot.js'
import { PLUGIN_SLOTS } from '../shm/plugin-counters.js'
import { nameWhileArriving } from './arriving-groups.js'
import type { Slots } from './slots.js'

/** Where slots come from. */
export interface SnapshotSlots {
  readonly listeners: Pick<Slots, 'take'>
  readonly groups: Pick<Slots, 'take'>
  readonly series: Pick<Slots, 'take'>
  readonly rules: Pick<Slots, 'take'>
}

/** Before the first one. */
export const NO_SNAPSHOT: Omit<Snapshot, 'config'> = {
  version: 0,
  listeners: [],
  groups: [],
  series: [],
  rules: [],
  binds: [],
  plugins: [],
}

/**
 * The snapshot of a configuration: what was in the one before keeps its slots, what is new gets some. A series lives for
 * as long as both its listener and its group. Whose config is the very object of before has not changed.
 */
export function nextSnapshot(
  config: Config,
  before: Omit<Snapshot, 'config'>,
  slots: SnapshotSlots,
  version: number,
): Omit<Snapshot, 'binds'> {
  const groups: (GroupEntry | undefined)[] = []
  for (const group of config.targetGroups) {
    const names = [group.name, nameWhileArriving(group)]
    const same = before.groups.find(
      (entry) => entry !== undefined && names.includes(entry.config.name) && isSame(entry.config, group),
    )
    const { slot, generation } = same ?? slots.groups.take()
    const since = same?.config === group ? same.since : version
    groups[slot] = { slot, generation, config: group, since }
  }
  const groupSlot = (name: string): number => groups.findIndex((entry) => entry?.config.name === name)
  const listeners: (ListenerEntry | undefined)[] = []
  const series: (SeriesEntry | undefined)[] = []
  const rules: (RuleEntry | undefined)[] = []
  const rulesBefore = new Map(before.rules.map((entry) => [entry && ruleKey(entry), entry]))
  for (const listener of config.listeners) {
    const same = before.listeners.find(
      (entry) => entry?.config.name === listener.name && isSame(entry.config, listener),
    )
    const { slot, generation } = same ?? slots.listeners.take()
    const routes = groupsServedBy(listener, config.plugins).map((groupName): RouteEntry => {
      const group = groupSlot(groupName)
      const counted = before.series.find(
        (entry) => same !== undefined && entry?.listener === slot && entry.group === group,
      )
      const kept = counted !== undefined && isStill(counted, groups, before) ? counted : undefined
      const listenerName = listener.name
      const own = kept ?? { slot: slots.series.take().slot, listener: slot, group, listenerName, groupName }
      series[own.slot] = own
      return { group, series: own.slot }
    })
    const since = same?.config === listener ? same.since : version
    const ruleSlots = listener.rules.map(({ name }): number => {
      const names = { listener: slot, listenerGeneration: generation, listenerName: listener.name, name }
      const own = rulesBefore.get(ruleKey(names)) ?? { slot: slots.rules.take().slot, ...names }
      rules[own.slot] = own
      return own.slot
    })
    listeners[slot] = { slot, generation, config: listener, since, routes, rules: ruleSlots }
  }
  // What requests for another group were counted in goes on being shown, and is counted in again when the listener is
  // given back to that group.
  for (const entry of before.series) {
    if (entry === undefined || series[entry.slot] !== undefined) continue
    const { generation } = before.listeners[entry.listener] ?? {}
    const isThere = listeners[entry.listener]?.generation === generation && isStill(entry, groups, before)
    if (isThere) series[entry.slot] = entry
  }
  return {
    version,
    config,
    listeners: filled(listeners),
    groups: filled(groups),
    series: filled(series),
    rules: filled(rules),
    plugins: pluginSlots(config, before.plugins),
  }
}

/** A plug-in that comes back counts on where it counted before; the names of those that are long gone make room at last. */
function pluginSlots({ plugins }: Config, before: readonly string[]): readonly string[] {
  const slots = [...before]
  const wanted = plugins.map(({ name }) => name)
  for (const name of wanted) {
    if (slots.includes(name)) continue
    const free = slots.length < PLUGIN_SLOTS ? slots.length : slots.findIndex((each) => !wanted.includes(each))
    slots[free] = name
  }
  return slots
}

function ruleKey({ listener, listenerGeneration, name }: Omit<RuleEntry, 'slot' | 'listenerName'>): string {
  return `${listener} ${listenerGeneration} ${name}`
}

/** Whether the group of a series is the one that it was. */
function isStill(
  { group }: SeriesEntry,
  groups: readonly (GroupEntry | undefined)[],
  before: Pick<Snapshot, 'groups'>,
): boolean {
  return group < 0 || (groups[group] !== undefined && groups[group]?.generation === before.groups[group]?.generation)
}

/** The numbers of the slots that the first snapshot has and the second has not, or has for something else. */
export function slotsLeft<T extends { readonly slot: number; readonly generation?: number }>(
  before: readonly (T | undefined)[],
  after: readonly (T | undefined)[],
): number[] {
  return before.flatMap((entry) => {
    if (entry === undefined) return []
    const now = after[entry.slot]
    return now !== undefined && now.generation === entry.generation ? [] : [entry.slot]
  })
}

/** What the slots are called. */
export function directoryOf({ listeners, groups, series, rules, plugins }: Omit<Snapshot, 'config'>): Directory {
  return {
    listeners: listeners.map((entry) => entry?.config.name),
    groups: groups.map((entry) => entry?.config.name),
    series: series.map((entry) => entry && { listener: entry.listenerName, group: entry.groupName }),
    rules: rules.map((entry) => entry && { listener: entry.listenerName, rule: entry.name }),
    plugins,
  }
}

/** Room for all that the first snapshot has, and what is kept in reserve. */
export function capacityFor(
  config: Config,
  snapshot: Pick<Snapshot, 'listeners' | 'groups' | 'series' | 'rules'>,
): Capacity {
  const targets = config.targetGroups.reduce((sum, group) => sum + group.targets.length, 0)
  return {
    workers: config.workers,
    listeners: snapshot.listeners.length,
    series: snapshot.series.length,
    rules: snapshot.rules.length,
    groups: snapshot.groups.length,
    targets: Math.min(MAX_TARGETS, targets + config.reserve.targets),
    sessions: config.sessions.capacity,
  }
}

/** Another protocol is another thing: nothing that was learned of the one before holds for it. */
function isSame(before: { readonly protocol: string }, now: { readonly protocol: string }): boolean {
  return before.protocol === now.protocol
}

function filled<T>(sparse: readonly (T | undefined)[]): readonly (T | undefined)[] {
  return Array.from(sparse, (entry) => entry)
}

/** Binds by slot, as threads are told. */
export function withBinds(snapshot: Omit<Snapshot, 'binds'>, binds: readonly (Bind | undefined)[]): Snapshot {
  return { ...snapshot, binds: filled(binds) }
}
