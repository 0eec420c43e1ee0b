import {
  ADMIN,
  CHANGES,
  CHECK,
  CHECKS_NOT_MADE,
  CHECKS_WANTED,
  DRAIN_UNTIL_MS,
  EJECTED_FOR_LONE,
  EJECTED_FROM_MS,
  EJECTED_UNTIL_MS,
  EJECTIONS,
  ENTRY_FLOATS,
  ENTRY_WORDS,
  FAILURES,
  GENERATION,
  HEADER_ENTRIES,
  LATENCY_AT_MS,
  LATENCY_MS,
  MESH_SNAPSHOT,
  PROBE_LISTS,
  PROBE_SNAPSHOT,
  RAMP_FROM_MS,
  REASON,
  type SharedTargets,
  SINCE_MS,
  STREAK_CONNECTS,
  STREAK_SOURCE,
  TargetSegment,
  WEIGHT,
} from './targets-layout.js'

/** `STREAK_SOURCE` where the resets of a streak came from several sources. */
const SEVERAL_SOURCES = -1

/**
 * What all threads know of the targets. Times are of `Clock.steadyMs`, the one clock that threads share. Slots of the
 * first segment cost one comparison more than an index; nearly always there is no other.
 */
export class TargetTable {
  readonly #first: TargetSegment
  #segments: readonly TargetSegment[]
  /** The first segment's, and the first slot behind it. What is not of one slot lies in its header. */
  readonly #words: Int32Array
  readonly #floats: Float64Array
  readonly #end: number

  /** @throws RangeError when there is no segment, or one of another layout. */
  constructor(segments: readonly SharedTargets[]) {
    if (segments.length === 0) throw new RangeError('a target table has at least one segment')
    this.#segments = segments.map((segment) => new TargetSegment(segment))
    this.#first = this.#segments[0]!
    this.#words = this.#first.words
    this.#floats = this.#first.floats
    this.#end = this.#first.end
  }

  /** Takes in what the primary has made; one that is there already changes nothing. @throws RangeError when one is missing. */
  addSegment(segment: SharedTargets & { readonly index: number }): void {
    const there = this.#segments.length
    if (segment.index < there) return
    if (segment.index > there) throw new RangeError(`segment ${segment.index} comes before ${there}`)
    this.#segments = [...this.#segments, new TargetSegment(segment)]
  }

  /**
   * Gives the slot to another target, of which nothing is known yet: active, with a verdict of the checks to begin with.
   * Returns the slot's new generation. Writer: the primary, while no other thread knows the slot.
   */
  occupy(slot: number, weight: number, check: number, nowMs: number): number {
    const segment = this.#of(slot)
    const { words } = segment
    const at = segment.wordAt(slot)
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
    return this.#int(slot, ADMIN)
  }

  setAdmin(slot: number, state: number, drainUntilMs: number): void {
    this.#setFloat(slot, DRAIN_UNTIL_MS, drainUntilMs)
    this.#store(slot, ADMIN, state)
    this.announce()
  }

  drainUntilMs(slot: number): number {
    return this.#float(slot, DRAIN_UNTIL_MS)
  }

  /** Writer: the primary. */
  weight(slot: number): number {
    return this.#int(slot, WEIGHT)
  }

  setWeight(slot: number, weight: number): void {
    this.#store(slot, WEIGHT, weight)
    this.announce()
  }

  /**
   * Writer: the primary, when a slot is given to another target. 0, which no target has, where the thread has not been
   * told of the slot's segment yet: another thread may have, and remember a client there.
   */
  generation(slot: number): number {
    return slot < this.#end || this.#later(slot) !== undefined ? this.#int(slot, GENERATION) : 0
  }

  /** Writer: the probe thread; the primary before there is one. */
  check(slot: number): number {
    return this.#int(slot, CHECK)
  }

  checkReason(slot: number): number {
    return this.#int(slot, REASON)
  }

  setCheck(slot: number, state: number, reason: number, sinceMs: number): void {
    this.#setFloat(slot, SINCE_MS, sinceMs)
    this.#store(slot, REASON, reason)
    this.#store(slot, CHECK, state)
    this.announce()
  }

  sinceMs(slot: number): number {
    return this.#float(slot, SINCE_MS)
  }

  /** From when on a new or recovered target's weight rises to its full; 0 where it does not. */
  rampFromMs(slot: number): number {
    return this.#float(slot, RAMP_FROM_MS)
  }

  setRampFrom(slot: number, fromMs: number): void {
    this.#setFloat(slot, RAMP_FROM_MS, fromMs)
    this.announce()
  }

  /** Writers: proxy threads. Connections in a row that the target did not accept. Returns how many there are now. */
  countConnectFailure(slot: number): number {
    this.#add(slot, FAILURES, 1)
    return this.#add(slot, STREAK_CONNECTS, 1) + 1
  }

  /** A reset in the same streak, of a request from this source (any number but 0 and −1). */
  countReset(slot: number, source: number): void {
    this.#add(slot, FAILURES, 1)
    const segment = this.#of(slot)
    const { words } = segment
    const at = segment.wordAt(slot) + STREAK_SOURCE
    const first = Atomics.compareExchange(words, at, 0, source)
    if (first !== 0 && first !== source) Atomics.store(words, at, SEVERAL_SOURCES)
  }

  /** Failed connects and resets in a row, over all threads. */
  failuresInARow(slot: number): number {
    return this.#int(slot, FAILURES)
  }

  /** Whether the resets in a row were met by more than one source. */
  hasSeveralSources(slot: number): boolean {
    return this.#int(slot, STREAK_SOURCE) === SEVERAL_SOURCES
  }

  /** Nearly always there is nothing to clear, and then nothing is written: the line stays shared between the cores. */
  clearFailures(slot: number): void {
    if (this.#peek(slot, FAILURES) === 0) return
    this.#store(slot, STREAK_CONNECTS, 0)
    this.#store(slot, STREAK_SOURCE, 0)
    this.#store(slot, FAILURES, 0)
  }

  /** A connection was accepted: nothing is known yet of what comes over it. */
  clearConnectFailures(slot: number): void {
    if (this.#peek(slot, STREAK_CONNECTS) === 0) return
    const segment = this.#of(slot)
    const at = segment.wordAt(slot)
    Atomics.sub(segment.words, at + FAILURES, Atomics.exchange(segment.words, at + STREAK_CONNECTS, 0))
  }

  ejections(slot: number): number {
    return this.#int(slot, EJECTIONS)
  }

  /** When the latest ejection ends or has ended; 0 where there was none. */
  ejectedUntilMs(slot: number): number {
    return this.#float(slot, EJECTED_UNTIL_MS)
  }

  /** When the latest ejection began. */
  ejectedFromMs(slot: number): number {
    return this.#float(slot, EJECTED_FROM_MS)
  }

  /**
   * Ejects the target, in one step: of several threads that saw its latest ejection end at `beforeMs`, one gets true. It
   * then confirms the ejection, or withdraws it where too many were ejected at once.
   */
  tryEject(slot: number, beforeMs: number, untilMs: number): boolean {
    const segment = this.#of(slot)
    const at = segment.floatAt(slot) + EJECTED_UNTIL_MS
    const before = bitsOf(beforeMs)
    return Atomics.compareExchange(segment.bits, at, before, bitsOf(untilMs)) === before
  }

  withdrawEjection(slot: number, beforeMs: number, untilMs: number): void {
    this.tryEject(slot, untilMs, beforeMs)
  }

  /** `lone`: on the word of the only source that the group has, for as long as it is the only one. */
  confirmEjection(slot: number, nowMs: number, lone: boolean): void {
    this.#setFloat(slot, EJECTED_FROM_MS, nowMs)
    this.#store(slot, EJECTED_FOR_LONE, lone ? 1 : 0)
    this.#add(slot, EJECTIONS, 1)
    this.clearFailures(slot)
    this.askForCheck(slot)
    this.announce()
  }

  isEjectedForLone(slot: number): boolean {
    return this.#int(slot, EJECTED_FOR_LONE) === 1
  }

  /** Somebody has reason to doubt what is known: the target is to be checked now. */
  askForCheck(slot: number): void {
    this.#add(slot, CHECKS_WANTED, 1)
  }

  /** The target proved itself: the next ejection is a first one again. */
  forgiveEjections(slot: number): void {
    if (this.#peek(slot, EJECTIONS) === 0) return
    this.#store(slot, EJECTIONS, 0)
  }

  /** Back into service before its time. An ejection that another thread begins meanwhile stands. */
  endEjection(slot: number, nowMs: number): void {
    const untilMs = this.ejectedUntilMs(slot)
    if (untilMs > nowMs && this.tryEject(slot, untilMs, nowMs)) this.announce()
  }

  /** Grows when somebody wants the target checked at once. */
  checksWanted(slot: number): number {
    return this.#int(slot, CHECKS_WANTED)
  }

  /** Response time, exponentially averaged, and when it was last added to. Writers: proxy threads; the last one wins. */
  latencyMs(slot: number): number {
    return this.#float(slot, LATENCY_MS)
  }

  latencyAtMs(slot: number): number {
    return this.#float(slot, LATENCY_AT_MS)
  }

  setLatency(slot: number, latencyMs: number, atMs: number): void {
    this.#setFloat(slot, LATENCY_MS, latencyMs)
    this.#setFloat(slot, LATENCY_AT_MS, atMs)
  }

  #int(slot: number, field: number): number {
    if (slot < this.#end) return Atomics.load(this.#words, (slot + HEADER_ENTRIES) * ENTRY_WORDS + field)
    const segment = this.#of(slot)
    return Atomics.load(segment.words, segment.wordAt(slot) + field)
  }

  /** Orders nothing: for looks that find nothing to do nearly always. */
  #peek(slot: number, field: number): number {
    if (slot < this.#end) return this.#words[(slot + HEADER_ENTRIES) * ENTRY_WORDS + field]!
    const segment = this.#of(slot)
    return segment.words[segment.wordAt(slot) + field]!
  }

  #store(slot: number, field: number, value: number): void {
    const segment = this.#of(slot)
    Atomics.store(segment.words, segment.wordAt(slot) + field, value)
  }

  /** Returns what was there before. */
  #add(slot: number, field: number, value: number): number {
    const segment = this.#of(slot)
    return Atomics.add(segment.words, segment.wordAt(slot) + field, value)
  }

  #float(slot: number, field: number): number {
    if (slot < this.#end) return this.#floats[(slot + HEADER_ENTRIES) * ENTRY_FLOATS + field]!
    const segment = this.#of(slot)
    return segment.floats[segment.floatAt(slot) + field]!
  }

  #setFloat(slot: number, field: number, value: number): void {
    if (slot < this.#end) {
      this.#floats[(slot + HEADER_ENTRIES) * ENTRY_FLOATS + field] = value
      return
    }
    const segment = this.#of(slot)
    segment.floats[segment.floatAt(slot) + field] = value
  }

  /** @throws RangeError when no segment has the slot. */
  #of(slot: number): TargetSegment {
    return slot < this.#end ? this.#first : this.#laterOrThrow(slot)
  }

  #laterOrThrow(slot: number): TargetSegment {
    const segment = this.#later(slot)
    if (segment === undefined) throw new RangeError(`no segment has the target in ${slot}`)
    return segment
  }

  #later(slot: number): TargetSegment | undefined {
    for (const segment of this.#segments) if (slot < segment.end) return segment
    return undefined
  }
}

const scratch = new Float64Array(1)
const scratchBits = new BigInt64Array(scratch.buffer)

/** A float's bits, as they lie in memory. */
function bitsOf(value: number): bigint {
  scratch[0] = value
  return scratchBits[0]!
}
