import type { Capacity } from '../core/shared-counters.js'

/**
 * One entry a target slot, 128 bytes, drawn in docs/SHARED-MEMORY.md; every field has one kind of writer. Numbers that
 * only describe are 64-bit floats, written whole; numbers that several threads change are 32-bit and atomic.
 */
export const TARGETS_LAYOUT_VERSION = 1
const ENTRY_WORDS = 32
const ENTRY_FLOATS = ENTRY_WORDS / 2
/** The header takes an entry's room: layout version, changes so far, and the lists that the probe thread has taken on. */
const VERSION = 0
const CHANGES = 1
const PROBE_LISTS = 2
const HEADER_ENTRIES = 1

const ADMIN = 0
const CHECK = 1
const REASON = 2
const WEIGHT = 3
const FAILURES = 4
const EJECTIONS = 5
const GENERATION = 6
const CHECKS_WANTED = 7
/** Floats from here on, counted in floats. */
const SINCE_MS = 4
const EJECTED_UNTIL_MS = 5
const RAMP_FROM_MS = 6
const DRAIN_UNTIL_MS = 7
const LATENCY_MS = 8
const LATENCY_AT_MS = 9

export function createTargetTable(capacity: Capacity): SharedArrayBuffer {
  const words = (capacity.targets + HEADER_ENTRIES) * ENTRY_WORDS
  const shared = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
  new Int32Array(shared)[VERSION] = TARGETS_LAYOUT_VERSION
  return shared
}

/** What all threads know of the targets. Times are milliseconds since the epoch, the one clock that threads share. */
export class TargetTable {
  readonly #words: Int32Array
  readonly #floats: Float64Array

  /** @throws RangeError when the buffer is no target table of this layout. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
    this.#floats = new Float64Array(shared)
    const version = this.#words[VERSION]
    if (version !== TARGETS_LAYOUT_VERSION) {
      throw new RangeError(`the target table has layout ${version}, and this program reads ${TARGETS_LAYOUT_VERSION}`)
    }
  }

  /**
   * Gives the slot to another target, of which nothing is known yet: active, with a verdict of the checks to begin with.
   * Returns the slot's new generation. Writer: the primary, while no other thread knows the slot.
   */
  occupy(slot: number, weight: number, check: number, nowMs: number): number {
    const words = this.#words
    const at = word(slot)
    const generation = Atomics.add(words, at + GENERATION, 1) + 1
    for (let i = 0; i < ENTRY_WORDS; i++) if (i !== GENERATION && i !== CHECKS_WANTED) words[at + i] = 0
    this.setWeight(slot, weight)
    this.setCheck(slot, check, 0, nowMs)
    return generation
  }

  /** The greatest version of a list of targets that the probe thread has taken on. Writer: the probe thread. */
  get probeLists(): number {
    return Atomics.load(this.#words, PROBE_LISTS)
  }

  set probeLists(version: number) {
    Atomics.store(this.#words, PROBE_LISTS, version)
  }

  /** Grows whenever anything changes that a balancer must look at. A reader that sees it grown sees the change too. */
  get changes(): number {
    return Atomics.load(this.#words, CHANGES)
  }

  /** After a change: what was written before is visible to whoever sees the count grown. */
  announce(): void {
    Atomics.add(this.#words, CHANGES, 1)
  }

  /** Writer: the primary. */
  admin(slot: number): number {
    return Atomics.load(this.#words, word(slot) + ADMIN)
  }

  setAdmin(slot: number, state: number, drainUntilMs: number): void {
    this.#floats[float(slot) + DRAIN_UNTIL_MS] = drainUntilMs
    Atomics.store(this.#words, word(slot) + ADMIN, state)
    this.announce()
  }

  drainUntilMs(slot: number): number {
    return this.#floats[float(slot) + DRAIN_UNTIL_MS]!
  }

  /** Writer: the primary. */
  weight(slot: number): number {
    return Atomics.load(this.#words, word(slot) + WEIGHT)
  }

  setWeight(slot: number, weight: number): void {
    Atomics.store(this.#words, word(slot) + WEIGHT, weight)
    this.announce()
  }

  /** Writer: the primary, when a slot is given to another target. */
  generation(slot: number): number {
    return Atomics.load(this.#words, word(slot) + GENERATION)
  }

  /** Writer: the probe thread; the primary before there is one. */
  check(slot: number): number {
    return Atomics.load(this.#words, word(slot) + CHECK)
  }

  checkReason(slot: number): number {
    return Atomics.load(this.#words, word(slot) + REASON)
  }

  setCheck(slot: number, state: number, reason: number, sinceMs: number): void {
    this.#floats[float(slot) + SINCE_MS] = sinceMs
    Atomics.store(this.#words, word(slot) + REASON, reason)
    Atomics.store(this.#words, word(slot) + CHECK, state)
    this.announce()
  }

  sinceMs(slot: number): number {
    return this.#floats[float(slot) + SINCE_MS]!
  }

  /** From when on a new or recovered target's weight rises to its full; 0 where it does not. */
  rampFromMs(slot: number): number {
    return this.#floats[float(slot) + RAMP_FROM_MS]!
  }

  setRampFrom(slot: number, fromMs: number): void {
    this.#floats[float(slot) + RAMP_FROM_MS] = fromMs
    this.announce()
  }

  /** Writers: proxy threads. Failures in a row, over all of them. */
  countFailure(slot: number): number {
    return Atomics.add(this.#words, word(slot) + FAILURES, 1) + 1
  }

  /** Nearly always there is nothing to clear, and then nothing is written: the line stays shared between the cores. */
  clearFailures(slot: number): void {
    if (this.#words[word(slot) + FAILURES] !== 0) Atomics.store(this.#words, word(slot) + FAILURES, 0)
  }

  ejections(slot: number): number {
    return Atomics.load(this.#words, word(slot) + EJECTIONS)
  }

  ejectedUntilMs(slot: number): number {
    return this.#floats[float(slot) + EJECTED_UNTIL_MS]!
  }

  /** Of several threads that would eject at once one does: the one whose count this changes. */
  eject(slot: number, ejectionsBefore: number, untilMs: number): boolean {
    const at = word(slot) + EJECTIONS
    if (Atomics.compareExchange(this.#words, at, ejectionsBefore, ejectionsBefore + 1) !== ejectionsBefore) return false
    this.#floats[float(slot) + EJECTED_UNTIL_MS] = untilMs
    Atomics.store(this.#words, word(slot) + FAILURES, 0)
    this.askForCheck(slot)
    this.announce()
    return true
  }

  /** Somebody has reason to doubt what is known: the target is to be checked now. */
  askForCheck(slot: number): void {
    Atomics.add(this.#words, word(slot) + CHECKS_WANTED, 1)
  }

  /** The target proved itself: the next ejection is a first one again. */
  forgiveEjections(slot: number): void {
    if (this.#words[word(slot) + EJECTIONS] === 0) return
    Atomics.store(this.#words, word(slot) + EJECTIONS, 0)
  }

  /** Back into service before its time, because a check passed. Writer: the probe thread. */
  endEjection(slot: number): void {
    if (this.#floats[float(slot) + EJECTED_UNTIL_MS] === 0) return
    this.#floats[float(slot) + EJECTED_UNTIL_MS] = 0
    this.announce()
  }

  /** Grows when somebody wants the target checked at once. */
  checksWanted(slot: number): number {
    return Atomics.load(this.#words, word(slot) + CHECKS_WANTED)
  }

  /** Response time, exponentially averaged, and when it was last added to. Writers: proxy threads; the last one wins. */
  latencyMs(slot: number): number {
    return this.#floats[float(slot) + LATENCY_MS]!
  }

  latencyAtMs(slot: number): number {
    return this.#floats[float(slot) + LATENCY_AT_MS]!
  }

  setLatency(slot: number, latencyMs: number, atMs: number): void {
    this.#floats[float(slot) + LATENCY_MS] = latencyMs
    this.#floats[float(slot) + LATENCY_AT_MS] = atMs
  }
}

const word = (slot: number): number => (slot + HEADER_ENTRIES) * ENTRY_WORDS
const float = (slot: number): number => (slot + HEADER_ENTRIES) * ENTRY_FLOATS
