import { isDeepStrictEqual } from 'node:util'
import { ALGORITHMS } from '../../src/balance/algorithms.js'
import type { TargetGroupConfig } from '../../src/core/config.js'
import type { GroupTargets } from '../../src/core/directory.js'
import type { GroupEntry, ListenerEntry, Snapshot } from '../../src/core/snapshot.js'
import type { PluginSet } from '../../src/plugin/plugin-set.js'
import type { ClientSources } from '../../src/proxy/client-sources.js'
import { Listener } from '../../src/proxy/listener.js'
import { ListenerSettings } from '../../src/proxy/listener-settings.js'
import { NO_GROUP } from '../../src/proxy/no-group.js'
import type { RouteTable } from '../../src/proxy/route-table.js'
import type { TargetServices } from '../../src/proxy/target.js'
import { TargetGroup } from '../../src/proxy/target-group.js'
import { TargetSet } from '../../src/proxy/target-set.js'
import { buildRoutes } from './build-routes.js'

/** A listener that is gone is known for at least so long: what was accepted before its socket closed may still come. */
const KEEP_LISTENER_MS = 10_000

/** Where a connection was accepted, and by whom it is served. */
export interface ServedBind {
  readonly address: string
  readonly port: number
  readonly listener: Listener
}

interface ServedGroup {
  readonly entry: GroupEntry
  readonly group: TargetGroup
}

interface ServedListener {
  readonly entry: ListenerEntry
  /** Of the entry's routes. */
  readonly groups: readonly (TargetGroup | undefined)[]
  readonly listener: Listener
  readonly routes: RouteTable
  readonly plugins: PluginSet
}

interface LeavingListener {
  readonly listener: Listener
  readonly untilMs: number
}

export interface LiveServices {
  /** Of a new group; what its connections go by is asked of `set` each time. */
  targetServices(config: TargetGroupConfig, set: () => TargetSet): TargetServices
  readonly shared: TargetServices
  readonly sources: ClientSources
  /** Of the snapshot that is applied. */
  readonly plugins: () => PluginSet
  /** Makes what they speak TLS with. What throws leaves everything as it is. By slot, with gaps. */
  takeTls(listeners: readonly (Listener | undefined)[], sets: readonly (TargetSet | undefined)[]): void
  /** Nothing is left of them: what they spoke TLS with may go. */
  releaseTls(gone: Listener | TargetSet): void
}

/**
 * What one thread serves by: the listeners, groups and binds of the newest snapshot, by slot, and those that are leaving.
 * What a snapshot changes has its settings replaced and stays; what it leaves as it was is not touched.
 */
export class LiveConfiguration {
  readonly #services: LiveServices
  readonly #noGroup: TargetGroup
  #listeners: readonly (ServedListener | undefined)[] = []
  #groups: readonly (ServedGroup | undefined)[] = []
  readonly #binds: (ServedBind | undefined)[] = []
  #leavingListeners: LeavingListener[] = []
  #leavingSets: TargetSet[] = []

  constructor(services: LiveServices) {
    this.#services = services
    this.#noGroup = new TargetGroup(NO_GROUP, new TargetSet(-1, services.shared), ALGORITHMS[NO_GROUP.algorithm]())
  }

  /** By slot, with gaps. */
  get listeners(): readonly (Listener | undefined)[] {
    return this.#listeners.map((served) => served?.listener)
  }

  /** By slot, with gaps. */
  get sets(): readonly (TargetSet | undefined)[] {
    return this.#groups.map((served) => served?.group.set)
  }

  /** Every set of targets that requests may be with, those of groups that are gone too. */
  *allSets(): Generator<TargetSet> {
    for (const served of this.#groups) if (served !== undefined) yield served.group.set
    yield* this.#leavingSets
  }

  /** Where the bind in that slot was accepted last, be it gone by now. */
  bind(slot: number): ServedBind | undefined {
    return this.#binds[slot]
  }

  /** Of the group in that slot, or of the one that was in it last while that is leaving. */
  setIn(slot: number): TargetSet | undefined {
    return this.#groups[slot]?.group.set ?? this.#leavingSets.find((set) => set.groupSlot === slot)
  }

  /**
   * Serves by this snapshot from here on; new groups have the targets of `lists`. Returns the listeners that it does not have any more; their connections are the
   * caller's to drain. Throws, and leaves everything as it is, where what a new listener or group speaks TLS with cannot
   * be made.
   */
  apply(snapshot: Snapshot, lists: readonly GroupTargets[], nowMs: number): readonly Listener[] {
    const groups = snapshot.groups.map((entry) => entry && this.#nextGroup(entry, lists))
    const listeners = snapshot.listeners.map((entry) => entry && this.#nextListener(entry, groups))
    this.#takeTls(
      listeners.map((served) => served?.listener),
      groups.map((served) => served?.group.set),
    )
    const before = { groups: this.#groups, listeners: this.#listeners }
    for (const served of groups) {
      if (served === undefined || before.groups[served.entry.slot] === served) continue
      if (before.groups[served.entry.slot]?.group.set === served.group.set) served.group.rule()
    }
    for (const served of listeners) if (served !== undefined) served.listener.routes = served.routes
    this.#groups = groups
    this.#listeners = listeners
    for (const bind of snapshot.binds) {
      if (bind === undefined) continue
      const { slot, address, port } = bind
      this.#binds[slot] = { address, port, listener: listeners[bind.listener]!.listener }
    }
    this.#leaveGroups(before.groups)
    return this.#leaveListeners(before.listeners, nowMs)
  }

  /** The thread ends: each connection carries one more request at most. */
  drain(): void {
    for (const served of this.#listeners) if (served !== undefined) served.listener.draining = true
  }

  /** Lets go of what is gone and has nothing to do any more. To be called every now and then. */
  release(nowMs: number): void {
    this.#leavingListeners = this.#leavingListeners.filter(({ listener, untilMs }) => {
      if (listener.connections > 0 || nowMs < untilMs) return true
      this.#services.releaseTls(listener)
      return false
    })
    this.#leavingSets = this.#leavingSets.filter((set) => {
      if (!set.isQuiet || this.#leavingListeners.some(({ listener }) => isServedBy(listener, set))) return true
      this.#services.releaseTls(set)
      return false
    })
  }

  #nextGroup(entry: GroupEntry, lists: readonly GroupTargets[]): ServedGroup {
    const before = this.#groups[entry.slot]
    const known = before?.entry.generation === entry.generation ? before : undefined
    if (known !== undefined && isSameGroup(known.entry.config, entry.config)) return known
    const { config } = entry
    const set: TargetSet =
      known?.group.set ??
      new TargetSet(
        entry.slot,
        this.#services.targetServices(config, () => set),
      )
    const group = new TargetGroup(config, set, ALGORITHMS[config.algorithm](), known?.group)
    if (known === undefined) {
      // Nobody knows of it yet. With its targets, since it is their names that its TLS is made for.
      group.rule()
      const list = lists.find((each) => each.group === entry.slot)
      if (list !== undefined) set.setTargets(list)
    }
    return { entry, group }
  }

  #nextListener(entry: ListenerEntry, groups: readonly (ServedGroup | undefined)[]): ServedListener {
    const before = this.#listeners[entry.slot]
    const known = before?.entry.generation === entry.generation ? before : undefined
    const { columns, column, sticky } = this.#services.shared
    const served = entry.routes.map(({ group }) => groups[group]?.group)
    const isSame = known !== undefined && isDeepStrictEqual(known.entry.config, entry.config)
    const plugins = this.#services.plugins()
    if (isSame && known.plugins === plugins && this.#hasSameRoutes(known, entry, served)) return known
    const settings = isSame ? known.routes.fallback.settings : new ListenerSettings(entry.config)
    const routes = buildRoutes(entry, settings, served, {
      columns,
      column,
      noGroup: this.#noGroup,
      secret: sticky.secret,
      plugins,
    })
    const listener =
      known?.listener ??
      new Listener(routes, { columns, column, listener: entry.slot, sources: this.#services.sources })
    return { entry, listener, routes, groups: served, plugins }
  }

  #hasSameRoutes(known: ServedListener, entry: ListenerEntry, groups: readonly (TargetGroup | undefined)[]): boolean {
    return (
      isDeepStrictEqual(known.entry.routes, entry.routes) &&
      isDeepStrictEqual(known.entry.rules, entry.rules) &&
      groups.every((group, index) => group === known.groups[index])
    )
  }

  /** Where it throws nothing is kept of what is new. */
  #takeTls(listeners: readonly (Listener | undefined)[], sets: readonly (TargetSet | undefined)[]): void {
    try {
      this.#services.takeTls(listeners, sets)
    } catch (fault) {
      const known = new Set([...this.listeners, ...this.sets])
      for (const each of [...listeners, ...sets]) if (each && !known.has(each)) this.#services.releaseTls(each)
      throw fault
    }
  }

  #leaveGroups(before: readonly (ServedGroup | undefined)[]): void {
    for (const served of before) {
      if (served === undefined || this.#groups[served.entry.slot]?.group.set === served.group.set) continue
      served.group.set.closeIdle()
      this.#leavingSets.push(served.group.set)
    }
  }

  #leaveListeners(before: readonly (ServedListener | undefined)[], nowMs: number): readonly Listener[] {
    const gone: Listener[] = []
    for (const served of before) {
      if (served === undefined || this.#listeners[served.entry.slot]?.listener === served.listener) continue
      const { listener } = served
      listener.draining = true
      gone.push(listener)
      this.#leavingListeners.push({ listener, untilMs: nowMs + KEEP_LISTENER_MS })
    }
    return gone
  }
}

/** Whether requests of the listener may still come to the set's targets. */
function isServedBy({ routes }: Listener, set: TargetSet): boolean {
  for (const group of routes.groups) if (group.set === set) return true
  return false
}

/** Targets come by lists of their own, and checks are another thread's. */
function isSameGroup(before: TargetGroupConfig, now: TargetGroupConfig): boolean {
  const { targets: _targets, healthCheck: _check, ...settings } = before
  const { targets: _newTargets, healthCheck: _newCheck, ...newSettings } = now
  return isDeepStrictEqual(settings, newSettings)
}
