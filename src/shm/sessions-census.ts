import type { Clock } from '../core/clock.js'
import { blankEntry, SESSION_KEY_WORDS, type SessionTotals } from '../core/session-store.js'
import type { Capacity } from '../core/shared-counters.js'
import { BUCKET_PLACES, INSERTED, REMOVED, type SessionMemory, TAG_WORDS, TAGS } from './sessions-layout.js'
import { readPlace, sweepSessions } from './sessions-scan.js'
import type { TargetTable } from './targets.js'

/** What one step looks at, at most: less than a millisecond of the thread that counts, also where all places are taken. */
export const CENSUS_PLACES = 8_192

/**
 * Goes round the table of sessions, a bounded step at a time: frees the places of those that have expired, and counts
 * those that live by group and by target. `slots` says how many of each there are, and may grow. What it says is of the last whole round. The primary's.
 */
export class SessionCensus implements SessionTotals {
  asOfMs = 0
  readonly #memory: SessionMemory
  readonly #table: TargetTable
  readonly #clock: Clock
  readonly #slots: { readonly capacity: Capacity }
  readonly #key = new Int32Array(SESSION_KEY_WORDS)
  readonly #session = blankEntry()
  #groups: Uint32Array
  #targets: Uint32Array
  #nextGroups: Uint32Array
  #nextTargets: Uint32Array
  #bucket = 0

  constructor(memory: SessionMemory, table: TargetTable, clock: Clock, slots: { readonly capacity: Capacity }) {
    this.#memory = memory
    this.#table = table
    this.#clock = clock
    this.#slots = slots
    const { groups, targets } = slots.capacity
    this.#groups = new Uint32Array(groups)
    this.#targets = new Uint32Array(targets)
    this.#nextGroups = new Uint32Array(groups)
    this.#nextTargets = new Uint32Array(targets)
  }

  ofGroup(group: number): number {
    return this.#groups[group] ?? 0
  }

  ofTarget(slot: number): number {
    return this.#targets[slot] ?? 0
  }

  /** The next part of the round. */
  step(): void {
    const memory = this.#memory
    this.#clock.refresh()
    // Nothing is there: a table of millions costs nothing while nobody needs it.
    if (this.#bucket === 0 && memory.sum(INSERTED) === memory.sum(REMOVED)) {
      this.#endRound()
      return
    }
    const end = Math.min(memory.buckets, this.#bucket + Math.ceil(CENSUS_PLACES / BUCKET_PLACES))
    for (; this.#bucket < end; this.#bucket++) if (!this.#isEmpty(this.#bucket)) this.#count(this.#bucket)
    if (this.#bucket === memory.buckets) this.#endRound()
  }

  #isEmpty(bucket: number): boolean {
    const at = this.#memory.headAt(bucket) + TAGS
    for (let i = 0; i < TAG_WORDS; i++) if (this.#memory.words[at + i] !== 0) return false
    return true
  }

  #count(bucket: number): void {
    const session = this.#session
    sweepSessions(this.#memory, PRIMARY_COLUMN, bucket, this.#clock)
    for (let place = 0; place < BUCKET_PLACES; place++) {
      if (!readPlace(this.#memory, bucket, place, this.#key, session)) continue
      const { group, targetSlot } = session
      // What was forgotten is kept without a target, so that other hosts do not bring it back.
      if (session.expiresMs <= this.#clock.steadyMs || targetSlot < 0 || group >= this.#nextGroups.length) continue
      this.#nextGroups[group]!++
      // Of a target that is gone it is nobody's, until the client comes again and gets another.
      if (targetSlot >= this.#nextTargets.length || this.#table.generation(targetSlot) !== session.generation) continue
      this.#nextTargets[targetSlot]!++
    }
  }

  #endRound(): void {
    const [groups, targets] = [this.#groups, this.#targets]
    this.#groups = this.#nextGroups
    this.#targets = this.#nextTargets
    // Slots that were added in the middle of a round are counted from the next one on.
    const { capacity } = this.#slots
    this.#nextGroups = groups.length < capacity.groups ? new Uint32Array(capacity.groups) : groups.fill(0)
    this.#nextTargets = targets.length < capacity.targets ? new Uint32Array(capacity.targets) : targets.fill(0)
    this.#bucket = 0
    this.asOfMs = this.#clock.steadyMs
  }
}

const PRIMARY_COLUMN = 0
