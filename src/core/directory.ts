/** What the slots of a snapshot are called, by slot; `undefined` where one is free. */
export interface Directory {
  readonly listeners: readonly (string | undefined)[]
  readonly groups: readonly (string | undefined)[]
  /** A series is one listener serving one group, by their names; an empty group for what a listener answers itself. */
  readonly series: readonly (SeriesNames | undefined)[]
  /** Rules by the names of their listener and of their own. */
  readonly rules: readonly (RuleNames | undefined)[]
  /** Plug-ins, those that are gone too. */
  readonly plugins: readonly string[]
}

export interface SeriesNames {
  readonly listener: string
  readonly group: string
}

export interface RuleNames {
  readonly listener: string
  readonly rule: string
}

/** A target that has a place in shared memory. */
export interface TargetSlot {
  readonly slot: number
  /** Grows each time the slot is given out: the same slot with another generation is another target. */
  readonly generation: number
  /** The group's slot. */
  readonly group: number
  /** Unique in its group; where one that leaves had it before, the last in the list is meant. */
  readonly id: string
  /** A host name or an address, without brackets. */
  readonly host: string
  readonly port: number
  /** IP address; empty while the name could not be resolved. */
  readonly address: string
}

/** All targets that a group has, in the order that every thread balances by. What is not in the list is gone. */
export interface GroupTargets {
  /** The group's slot. */
  readonly group: number
  /** Grows with every list, over all groups: a thread that has seen a later list of the group passes this one over. */
  readonly version: number
  readonly targets: readonly TargetSlot[]
}

/** A target as the administration sees it. */
export interface ListedTarget extends TargetSlot {
  /** Epoch time at which a target that was removed goes; undefined for one that stays. */
  readonly leavesMs: number | undefined
}
