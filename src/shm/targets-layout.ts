import type { SlotCounts } from '../core/shared-counters.js'

/**
 * One entry a target slot, 128 bytes, in segments, drawn in docs/SHARED-MEMORY.md; every field has one kind of writer. Numbers that
 * only describe are 64-bit floats, written whole; numbers that several threads change are 32-bit and atomic.
 */
export const TARGETS_LAYOUT_VERSION = 2
export const ENTRY_WORDS = 32
export const ENTRY_FLOATS = ENTRY_WORDS / 2
/**
 * The header takes an entry's room. Of all segments but the first it has nothing except the layout version. Layout version, changes so far, the lists that the probe thread has taken on, the
 * checks that it could not make, and the versions of the snapshot that the probe thread and the mesh thread work by.
 */
const VERSION = 0
export const CHANGES = 1
export const PROBE_LISTS = 2
export const CHECKS_NOT_MADE = 3
export const PROBE_SNAPSHOT = 4
export const MESH_SNAPSHOT = 5
export const HEADER_ENTRIES = 1

export const ADMIN = 0
export const CHECK = 1
export const REASON = 2
export const WEIGHT = 3
export const FAILURES = 4
export const EJECTIONS = 5
export const GENERATION = 6
export const CHECKS_WANTED = 7
/** Floats from here on, counted in floats. */
export const SINCE_MS = 4
export const EJECTED_UNTIL_MS = 5
export const RAMP_FROM_MS = 6
export const DRAIN_UNTIL_MS = 7
export const LATENCY_MS = 8
export const LATENCY_AT_MS = 9
export const EJECTED_FROM_MS = 10
/** Words again: of the streak of failures, and of the ejection. */
export const STREAK_CONNECTS = 22
export const STREAK_SOURCE = 23
export const EJECTED_FOR_LONE = 24

/** The part of a segment that this is about. */
export interface SharedTargets {
  readonly first: Pick<SlotCounts, 'targets'>
  readonly count: Pick<SlotCounts, 'targets'>
  readonly targets: SharedArrayBuffer
}

export function createTargetTable(count: Pick<SlotCounts, 'targets'>): SharedArrayBuffer {
  const words = (count.targets + HEADER_ENTRIES) * ENTRY_WORDS
  const shared = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
  new Int32Array(shared)[VERSION] = TARGETS_LAYOUT_VERSION
  return shared
}

/** A segment as a thread sees it. */
export class TargetSegment {
  readonly words: Int32Array
  readonly floats: Float64Array
  /** The same floats as bits, to be compared and exchanged. */
  readonly bits: BigInt64Array
  /** The first slot that lies behind it. */
  readonly end: number
  /** How many entries before a slot's own, beside as many as its number. */
  readonly #shift: number

  /** @throws RangeError when the buffer is no target table of this layout. */
  constructor({ first, count, targets }: SharedTargets) {
    this.words = new Int32Array(targets)
    this.floats = new Float64Array(targets)
    this.bits = new BigInt64Array(targets)
    this.end = first.targets + count.targets
    this.#shift = HEADER_ENTRIES - first.targets
    const version = this.words[VERSION]
    if (version !== TARGETS_LAYOUT_VERSION) {
      throw new RangeError(`the target table has layout ${version}, and this program reads ${TARGETS_LAYOUT_VERSION}`)
    }
  }

  /** First word of the slot's entry. */
  wordAt(slot: number): number {
    return (slot + this.#shift) * ENTRY_WORDS
  }

  /** The same in floats, or bits of floats. */
  floatAt(slot: number): number {
    return (slot + this.#shift) * ENTRY_FLOATS
  }
}
