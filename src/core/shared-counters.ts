/** How many of each the shared tables hold. Fixed when the process starts, with room for what a reload may add. */
export interface Capacity {
  readonly workers: number
  readonly listeners: number
  readonly series: number
  readonly groups: number
  readonly targets: number
  /** Learned sessions; rounded up to what the table's buckets hold. */
  readonly sessions: number
}

/** The shared buffers and their sizes: what a thread is given to find everything. Posted, not copied. */
export interface SharedCounters {
  readonly capacity: Capacity
  readonly columns: SharedArrayBuffer
  readonly tickets: SharedArrayBuffer
  /** What `Clock.steadyMs` counts from in every thread. */
  readonly steadyOriginMs: number
  /** See `shm/heartbeats.ts`. */
  readonly heartbeats: SharedArrayBuffer
  /** See `shm/targets.ts`. */
  readonly targets: SharedArrayBuffer
  /** See `shm/waiting.ts`. */
  readonly waiting: SharedArrayBuffer
  /** See `shm/sessions-layout.ts`. */
  readonly sessions: SharedArrayBuffer
  /** The last stamp given; see `shm/shared-hybrid-clock.ts`. */
  readonly hybridClock: SharedArrayBuffer
  /** What each worker has to tell the mesh thread, by column, column 1 first; none without a cluster. See `shm/outbox.ts`. */
  readonly outboxes: readonly SharedArrayBuffer[]
}
