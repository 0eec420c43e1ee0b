/** How many there are of each thing that has slots in the shared tables. Slot numbers count from 0, over all segments. */
export interface SlotCounts {
  readonly listeners: number
  readonly series: number
  readonly rules: number
  readonly groups: number
  readonly targets: number
}

/** How many of each the shared tables hold. Workers and sessions are fixed when the process starts; slots are added. */
export interface Capacity extends SlotCounts {
  readonly workers: number
  /** Learned sessions; rounded up to what the table's buckets hold. */
  readonly sessions: number
}

/**
 * The most targets that there may be at once, over all groups. A session names its target's slot in 32 bits with a sign,
 * which would be enough for more; beyond this number the columns of a host with many workers no longer fit one typed array.
 */
export const MAX_TARGETS = 2 ** 20

/** A part of the shared tables: the slots from `first` on, as many of each kind as `count` says. Posted, not copied. */
export interface CounterSegment {
  /** 0 for the one that is made when the process starts. */
  readonly index: number
  readonly first: SlotCounts
  /** A kind that did not have to grow has none here. */
  readonly count: SlotCounts
  /** See `shm/columns.ts`. */
  readonly columns: SharedArrayBuffer
  readonly tickets: SharedArrayBuffer
  /** See `shm/targets.ts`. */
  readonly targets: SharedArrayBuffer
  /** See `shm/waiting.ts`. */
  readonly waiting: SharedArrayBuffer
}

/** The shared buffers and their sizes: what a thread is given to find everything. Posted, not copied. */
export interface SharedCounters {
  readonly capacity: Capacity
  /** What each thread counts for itself as a whole; see `shm/columns.ts`. */
  readonly workers: SharedArrayBuffer
  /** What is counted by slot, in order. A thread that runs already is sent those that are added. */
  readonly segments: readonly CounterSegment[]
  /** See `shm/plugin-counters.ts`. */
  readonly plugins: SharedArrayBuffer
  /** What `Clock.steadyMs` counts from in every thread. */
  readonly steadyOriginMs: number
  /** See `shm/heartbeats.ts`. */
  readonly heartbeats: SharedArrayBuffer
  /** See `shm/sessions-layout.ts`. */
  readonly sessions: SharedArrayBuffer
  /** See `shm/source-table.ts`. */
  readonly sources: SharedSources
  /** The last stamp given; see `shm/shared-hybrid-clock.ts`. */
  readonly hybridClock: SharedArrayBuffer
  /** What each worker has to tell the mesh thread, by column, column 1 first; none without a cluster. See `shm/outbox.ts`. */
  readonly outboxes: readonly SharedArrayBuffer[]
}

/** What is counted by source address; see `shm/source-table.ts`. */
export interface SharedSources {
  /** Places; a power of two. */
  readonly capacity: number
  readonly words: SharedArrayBuffer
  /** For each column as many words as there are places: connections that the thread has open. */
  readonly owned: SharedArrayBuffer
  readonly stats: SharedArrayBuffer
  /** Secret: whoever knows it can choose sources that fall together. */
  readonly seed: Uint8Array
}
