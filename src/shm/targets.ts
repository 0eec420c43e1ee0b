import type { Capacity } from '../core/shared-counters.js'

/**
 * One entry a target slot, 128 bytes, drawn in docs/SHARED-MEMORY.md; every field has one kind of writer. Numbers that
 * only describe are 64-bit floats, written whole; numbers that several threads change are 32-bit and atomic.
 */
export const TARGETS_LAYOUT_VERSION = 2
const ENTRY_WORDS = 32
const ENTRY_FLOATS = ENTRY_WORDS / 2
/**
 * The header takes an entry's room: layout version, changes so far, the lists that the probe thread has taken on, the
 * checks that it could not make, and the versions of the snapshot that the probe thread and the mesh thread work by.
 */
const VERSION = 0
const CHANGES = 1
const PROBE_LISTS = 2
const CHECKS_NOT_MADE = 3
const PROBE_SNAPSHOT = 4
const MESH_SNAPSHOT = 5
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
const EJECTED_FROM_MS = 10
/** Words again: of the streak of failures, and of the ejection. */
const STREAK_CONNECTS = 22
const STREAK_SOURCE = 23
const EJECTED_FOR_LONE = 24

/** `STREAK_SOURCE` where the resets of a streak came from several sources. */
const SEVERAL_SOURCES = -1

export function createTargetTable(capacity: Capacity): SharedArrayBuffer {
  const words = (capacity.targets + HEADER_ENTRIES) * ENTRY_WORDS
  const shared = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT)
  new Int32Array(shared)[VERSION] = TARGETS_LAYOUT_VERSION
  return shared
}

/** What all threads know of the targets. Times are of `Clock.steadyMs`, the one clock that threads share. */
export class TargetTable {
  readonly #words: Int32Array
  readonly #floats: Float64Array
  /** The same floats as bits, to be compared and exchanged. */
  readonly #bits: BigInt64Array

  /** @throws RangeError when the buffer is no target table of this layout. */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared)
    this.#floats = new Float64Array(shared)
    this.#bits = new BigInt64Array(shared)
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

  /** The version of the configuration's snapshot that the probe thread works by. Writer: the probe thread. */
  get probeSnapshot(): number {
    return Atomics.load(this.#words, PROBE_SNAPSHOT)
  }

  set probeSnapshot(version: number) {
    Atomics.store(this.#words, PROBE_SNAPSHOT, version)
  }

  /** The same of the mesh thread. Writer: the mesh thread. */
  get meshSnapshot(): number {
    return Atomics.load(this.#words, MESH_SNAPSHOT)
  }

  set meshSnapshot(version: number) {
    Atomics.store(this.#words, MESH_SNAPSHOT, version)
  }

  /** Health checks that could not be made. Writer: the probe thread. */
  get checksNotMade(): number {
    return Atomics.load(this.#words, CHECKS_NOT_MADE) >>> 0
  }

  countCheckNotMade(): void {
    Atomics.add(this.#words, CHECKS_NOT_MADE, 1)
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

  /** Writers: proxy threads. Connections in a row that the target did not accept. Returns how many there are now. */
  countConnectFailure(slot: number): number {
    Atomics.add(this.#words, word(slot) + FAILURES, 1)
    return Atomics.add(this.#words, word(slot) + STREAK_CONNECTS, 1) + 1
  }

  /** A reset in the same streak, of a request from this source (any number but 0 and −1). */
  countReset(slot: number, source: number): void {
    Atomics.add(this.#words, word(slot) + FAILURES, 1)
    const first = Atomics.compareExchange(this.#words, word(slot) + STREAK_SOURCE, 0, source)
    if (first !== 0 && first !== source) Atomics.store(this.#words, word(slot) + STREAK_SOURCE, SEVERAL_SOURCES)
  }

  /** Failed connects and resets in a row, over all threads. */
  failuresInARow(slot: number): number {
    return Atomics.load(this.#words, word(slot) + FAILURES)
  }

  /** Whether the resets in a row were met by more than one source. */
  hasSeveralSources(slot: number): boolean {
    return Atomics.load(this.#words, word(slot) + STREAK_SOURCE) === SEVERAL_SOURCES
  }

  /** Nearly always there is nothing to clear, and then nothing is written: the line stays shared between the cores. */
  clearFailures(slot: number): void {
    const at = word(slot)
    if (this.#words[at + FAILURES] === 0) return
    Atomics.store(this.#words, at + STREAK_CONNECTS, 0)
    Atomics.store(this.#words, at + STREAK_SOURCE, 0)
    Atomics.store(this.#words, at + FAILURES, 0)
  }

  /** A connection was accepted: nothing is known yet of what comes over it. */
  clearConnectFailures(slot: number): void {
    const at = word(slot)
    if (this.#words[at + STREAK_CONNECTS] === 0) return
    Atomics.sub(this.#words, at + FAILURES, Atomics.exchange(this.#words, at + STREAK_CONNECTS, 0))
  }

  ejections(slot: number): number {
    return Atomics.load(this.#words, word(slot) + EJECTIONS)
  }

  /** When the latest ejection ends or has ended; 0 where there was none. */
  ejectedUntilMs(slot: number): number {
    return this.#floats[float(slot) + EJECTED_UNTIL_MS]!
  }

  /** When the latest ejection began. */
  ejectedFromMs(slot: number): number {
    return this.#floats[float(slot) + EJECTED_FROM_MS]!
  }

  /**
   * Ejects the target, in one step: of several threads that saw its latest ejection end at `beforeMs`, one gets true. It
   * then confirms the ejection, or withdraws it where too many were ejected at once.
   */
  tryEject(slot: number, beforeMs: number, untilMs: number): boolean {
    const at = float(slot) + EJECTED_UNTIL_MS
    const before = bitsOf(beforeMs)
    return Atomics.compareExchange(this.#bits, at, before, bitsOf(untilMs)) === before
  }

  withdrawEjection(slot: number, beforeMs: number, untilMs: number): void {
    this.tryEject(slot, untilMs, beforeMs)
  }

  /** `lone`: on the word of the only source that the group has, for as long as it is the only one. */
  confirmEjection(slot: number, nowMs: number, lone: boolean): void {
    const at = word(slot)
    this.#floats[float(slot) + EJECTED_FROM_MS] = nowMs
    Atomics.store(this.#words, at + EJECTED_FOR_LONE, lone ? 1 : 0)
    Atomics.add(this.#words, at + EJECTIONS, 1)
    this.clearFailures(slot)
    this.askForCheck(slot)
    this.announce()
  }

  isEjectedForLone(slot: number): boolean {
    return Atomics.load(this.#words, word(slot) + EJECTED_FOR_LONE) === 1
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

  /** Back into service before its time. An ejection that another thread begins meanwhile stands. */
  endEjection(slot: number, nowMs: number): void {
    const untilMs = this.ejectedUntilMs(slot)
    if (untilMs > nowMs && this.tryEject(slot, untilMs, nowMs)) this.announce()
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

const scratch = new Float64Array(1)
const scratchBits = new BigInt64Array(scratch.buffer)

/** A float's bits, as they lie in memory. */
function bitsOf(value: number): bigint {
  scratch[0] = value
  return scratchBits[0]!
}

const word = (slot: number): number => (slot + HEADER_ENTRIES) * ENTRY_WORDS
const float = (slot: number): number => (slot + HEADER_ENTRIES) * ENTRY_FLOATS
