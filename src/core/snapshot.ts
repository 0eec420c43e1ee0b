import type { Config, ListenerConfig, TargetGroupConfig } from './config.js'

/**
 * The configuration in force, and which numbers its parts have in shared memory: immutable, the same in every thread that
 * has acknowledged its version. The primary makes the next one from the file, and every thread applies it whole.
 *
 * Listeners, groups, series, rules and binds have slots. A thing keeps its slot for as long as it lives, over all reloads; a slot
 * is `undefined` while it is free, and is given out again only when nobody counts in it any more.
 */
export interface Snapshot {
  /** Grows with every change that threads are told of, lists of targets included. */
  readonly version: number
  readonly config: Config
  readonly listeners: readonly (ListenerEntry | undefined)[]
  readonly groups: readonly (GroupEntry | undefined)[]
  readonly series: readonly (SeriesEntry | undefined)[]
  readonly rules: readonly (RuleEntry | undefined)[]
  readonly binds: readonly (Bind | undefined)[]
  /** Names of plug-ins by the slot that they count in: those of the configuration, and those of earlier ones. */
  readonly plugins: readonly string[]
}

/** A listener is the same for as long as its name and protocol stay. */
export interface ListenerEntry {
  readonly slot: number
  /** Grows each time the slot is given out. */
  readonly generation: number
  readonly config: ListenerConfig
  /** The version from which on that is so. */
  readonly since: number
  /** Where its requests may go: first where no rule matches, then the groups of its rules, each once. */
  readonly routes: readonly RouteEntry[]
  /** Slots of its rules, by their position. */
  readonly rules: readonly number[]
}

/** A group that a listener's requests may go to. */
export interface RouteEntry {
  /** Slot of the target group; −1 where the listener answers itself. */
  readonly group: number
  /** Slot of the series that such requests count in. */
  readonly series: number
}

/** A target group is the same for as long as its name and protocol stay. */
export interface GroupEntry {
  readonly slot: number
  readonly generation: number
  readonly config: TargetGroupConfig
  /** The version from which on that is so. */
  readonly since: number
}

/** Where requests are counted that one listener gets for one group; group −1 for what the listener answers itself. */
export interface SeriesEntry {
  readonly slot: number
  /** Slots. */
  readonly listener: number
  readonly group: number
  /** The names that metrics show. */
  readonly listenerName: string
  readonly groupName: string
}

/** Where requests are counted that match a rule of a listener; the same for as long as the listener and its rule's name stay. */
export interface RuleEntry {
  readonly slot: number
  /** Slot of the listener. */
  readonly listener: number
  readonly listenerGeneration: number
  /** The names that metrics show. */
  readonly listenerName: string
  readonly name: string
}

/** One address that a listener listens on; the same for as long as address and port stay. Connection records name it by slot. */
export interface Bind {
  readonly slot: number
  /** Slot of the listener. */
  readonly listener: number
  /** With the port that the system chose, where the configuration leaves that to it. */
  readonly address: string
  readonly port: number
}

/** Undefined where there is no group of that name. */
export function groupNamed({ groups }: Pick<Snapshot, 'groups'>, name: string): GroupEntry | undefined {
  return groups.find((entry) => entry?.config.name === name)
}
