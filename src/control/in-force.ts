import type { Config } from '../core/config.js'
import { groupsServedBy } from '../core/config-plugins.js'
import type { Directory } from '../core/directory.js'
import type { SlotCounts } from '../core/shared-counters.js'
import type { RuleEntry, SeriesEntry, Snapshot } from '../core/snapshot.js'
import type { PreparedBinds } from './bind.js'
import type { SlotMemory } from './left-slots.js'
import { directoryOf, NO_SNAPSHOT, nextSnapshot, slotsLeft, withBinds } from './next-snapshot.js'
import { Slots } from './slots.js'
import { Versions } from './versions.js'

/** Where it is seen whether anybody still counts in a slot. */
export interface SnapshotMemory {
  readonly listeners: SlotMemory
  readonly groups: SlotMemory
  readonly series: SlotMemory
  readonly rules: SlotMemory
  readonly binds: SlotMemory
}

const NOT_YET: SlotMemory = { isQuiet: () => false, clear: () => {} }

/** The snapshot that holds, and the slots that its parts have. */
export class InForce {
  readonly versions = new Versions()
  snapshot: Snapshot
  #memory: SnapshotMemory = {
    listeners: NOT_YET,
    groups: NOT_YET,
    series: NOT_YET,
    rules: NOT_YET,
    binds: NOT_YET,
  }
  readonly #slots = {
    listeners: this.#slotsOf('listeners'),
    groups: this.#slotsOf('groups'),
    series: this.#slotsOf('series'),
    rules: this.#slotsOf('rules'),
    binds: this.#slotsOf('binds'),
  }

  readonly #leftSeries = new Map<number, SeriesEntry>()
  readonly #leftRules = new Map<number, RuleEntry>()

  constructor(config: Config) {
    this.snapshot = withBinds(nextSnapshot(config, NO_SNAPSHOT, this.#slots, this.versions.current), [])
  }

  /** The shared tables are there. */
  connect(memory: SnapshotMemory): void {
    this.#memory = memory
  }

  get directory(): Directory {
    return directoryOf(this.snapshot)
  }

  get binds(): Slots {
    return this.#slots.binds
  }

  /** As many slots of each kind as the tables must hold at the most for a snapshot of this. */
  neededFor({
    listeners,
    targetGroups,
    plugins,
  }: Config): Pick<SlotCounts, 'listeners' | 'groups' | 'series' | 'rules'> {
    const slots = this.#slots
    return {
      listeners: slots.listeners.size + listeners.length,
      groups: slots.groups.size + targetGroups.length,
      series: slots.series.size + listeners.reduce((sum, each) => sum + groupsServedBy(each, plugins).length, 0),
      rules: slots.rules.size + listeners.reduce((sum, each) => sum + each.rules.length, 0),
    }
  }

  /** The sockets of the first snapshot are open. */
  bound(binds: PreparedBinds): void {
    this.snapshot = withBinds(
      this.snapshot,
      binds.list((name) => listenerSlot(this.snapshot, name)),
    )
  }

  /** The same holds with other groups. */
  changeGroups(targetGroups: Config['targetGroups']): Snapshot {
    const { config, binds } = this.snapshot
    return this.change({ ...config, targetGroups }, { list: () => binds })
  }

  /** Another configuration holds from here on. */
  change(config: Config, binds: Pick<PreparedBinds, 'list'>): Snapshot {
    const before = this.snapshot
    const version = this.versions.next()
    const next = nextSnapshot(config, before, this.#slots, version)
    this.snapshot = withBinds(
      next,
      binds.list((name) => listenerSlot(next, name)),
    )
    for (const slot of slotsLeft(before.listeners, next.listeners)) this.#slots.listeners.leave(slot, version)
    for (const slot of slotsLeft(before.groups, next.groups)) this.#slots.groups.leave(slot, version)
    for (const slot of slotsLeft(before.series, next.series)) {
      this.#leftSeries.set(slot, before.series[slot]!)
      this.#slots.series.leave(slot, version)
    }
    for (const slot of slotsLeft<RuleEntry>(before.rules, next.rules)) {
      this.#leftRules.set(slot, before.rules[slot]!)
      this.#slots.rules.leave(slot, version)
    }
    return this.snapshot
  }

  /** The sockets in these slots are closed, which every thread knows that has the version of now. */
  closed(binds: readonly number[]): void {
    for (const slot of binds) this.#slots.binds.leave(slot, this.snapshot.version)
  }

  /** What a series that is gone had counted. */
  leftSeries(slot: number): SeriesEntry {
    return this.#leftSeries.get(slot)!
  }

  /** What a rule that is gone had counted. */
  leftRule(slot: number): RuleEntry {
    return this.#leftRules.get(slot)!
  }

  /** To be called every now and then: frees the slots that nobody refers to. `known` as `Slots.look` has it. */
  look(known: number): void {
    for (const slots of Object.values(this.#slots)) slots.look(known)
  }

  #slotsOf(kind: keyof SnapshotMemory): Slots {
    return new Slots({
      isQuiet: (slot) => this.#memory[kind].isQuiet(slot),
      clear: (slot) => this.#memory[kind].clear(slot),
    })
  }
}

function listenerSlot({ listeners }: Pick<Snapshot, 'listeners'>, name: string): number {
  return listeners.findIndex((entry) => entry?.config.name === name)
}
