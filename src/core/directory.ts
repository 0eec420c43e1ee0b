/**
 * Which number stands for what in shared memory: the primary hands numbers out once and everyone uses the same.
 * Slots stay the same while the thing lives, also over config changes.
 */
export interface Directory {
  /** Listener names by index. */
  readonly listeners: readonly string[]
  /** Group names by slot. */
  readonly groups: readonly string[]
  /** A series is one listener serving one group; −1 for what a listener answers itself. */
  readonly series: readonly { readonly listener: number; readonly group: number }[]
  /** Targets by slot. */
  readonly targets: readonly { readonly group: number; readonly id: string; readonly address: string }[]
}
