/**
 * Which number stands for what in shared memory: the primary hands numbers out once and everyone uses the same.
 * Numbers stay the same while the thing lives, also over config changes. Targets come and go: see `GroupTargets`.
 */
export interface Directory {
  /** Listener names by index. */
  readonly listeners: readonly string[]
  /** Group names by slot. */
  readonly groups: readonly string[]
  /** A series is one listener serving one group; −1 for what a listener answers itself. */
  readonly series: readonly { readonly listener: number; readonly group: number }[]
}

/** A target that has a place in shared memory. */
export interface TargetSlot {
  readonly slot: number
  /** Grows each time the slot is given out: the same slot with another generation is another target. */
  readonly generation: number
  /** The group's slot. */
  readonly group: number
  /** Unique in its group. */
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
