// Hot path: workers count here on every request. No allocation, no bounds beyond the tables' own.
import { STEADY_ORIGIN_MS } from '../core/clock.js'
import {
  type Capacity,
  type CounterSegment,
  MAX_TARGETS,
  type SharedCounters,
  type SlotCounts,
} from '../core/shared-counters.js'
import { GroupSources } from './group-sources.js'
import { createHeartbeats } from './heartbeats.js'
import {
  columnLayout,
  GROUP_SEVERAL_AT,
  HISTOGRAM_BUCKETS,
  HISTOGRAM_FIRST_OCTAVE,
  HISTOGRAM_OCTAVES,
  HISTOGRAM_SUM,
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_WORDS,
  RULE_WORDS,
  SERIES_WORDS,
  TARGET_CONNECTIONS,
  TARGET_PLACES,
  TARGET_WORDS,
  TICKET_STRIDE,
  WORKER_ACCESS_RECORDS_DROPPED,
  WORKER_CONNECTIONS_TOTAL,
  WORKER_RETRIES_TOTAL,
  WORKER_WORDS,
  workerBytes,
} from './layout.js'
import { createOutbox } from './outbox.js'
import { pluginBytes } from './plugin-counters.js'
import { createSegment, slotsToAdd } from './segments.js'
import { createSessionTable } from './sessions-layout.js'
import { HYBRID_CLOCK_BYTES } from './shared-hybrid-clock.js'
import { SlotCounters, sumColumns } from './slot-counters.js'
import { createSources } from './source-table.js'
import { WaitTable } from './waiting.js'

const NO_SLOTS: SlotCounts = { listeners: 0, series: 0, rules: 0, groups: 0, targets: 0 }

/** Of a worker's words, those that say how much there ever was; the others say how it is now. */
const WORKER_TOTALS = [WORKER_CONNECTIONS_TOTAL, WORKER_ACCESS_RECORDS_DROPPED, WORKER_RETRIES_TOTAL]

/** `replicated`: there is a mesh thread that reads outboxes. It has the session table's last column. */
export function createSharedCounters(capacity: Capacity, replicated = false): SharedCounters {
  const { workers, listeners, series, rules, groups, targets } = capacity
  if (targets > MAX_TARGETS) throw new RangeError(`there are places for ${MAX_TARGETS} targets, not for ${targets}`)
  const outboxes = Array.from({ length: replicated ? workers : 0 }, () => createOutbox())
  return {
    capacity,
    workers: new SharedArrayBuffer(workerBytes(workers)),
    segments: [createSegment(0, NO_SLOTS, { listeners, series, rules, groups, targets }, workers)],
    plugins: new SharedArrayBuffer(pluginBytes(workers)),
    steadyOriginMs: STEADY_ORIGIN_MS,
    heartbeats: createHeartbeats(capacity),
    sessions: createSessionTable(capacity.sessions, workers + 2),
    sources: createSources(workers + 1),
    hybridClock: new SharedArrayBuffer(HYBRID_CLOCK_BYTES),
    outboxes,
  }
}

/** A segment as a thread sees it. Where a kind's words begin is told as if slot 0 lay here too. */
class ColumnSegment {
  readonly words: Float64Array
  readonly tickets: Int32Array
  readonly stride: number
  readonly first: SlotCounts
  readonly count: SlotCounts
  readonly inFlightAt: number
  readonly ticketsAt: number
  readonly #listenersAt: number
  readonly #targetsAt: number
  readonly #seriesAt: number
  readonly #rulesAt: number

  constructor({ first, count, columns, tickets }: CounterSegment) {
    const layout = columnLayout(count)
    this.words = new Float64Array(columns)
    this.tickets = new Int32Array(tickets)
    this.stride = layout.stride
    this.first = first
    this.count = count
    this.inFlightAt = layout.inFlight - first.targets
    this.ticketsAt = -first.groups * TICKET_STRIDE
    this.#listenersAt = layout.listeners - first.listeners * LISTENER_WORDS
    this.#targetsAt = layout.targets - first.targets * TARGET_WORDS
    this.#seriesAt = layout.series - first.series * SERIES_WORDS
    this.#rulesAt = layout.rules - first.rules * RULE_WORDS
  }

  listener(slot: number): SlotCounters {
    return new SlotCounters(this.words, this.#listenersAt + slot * LISTENER_WORDS, this.stride)
  }

  target(slot: number): SlotCounters {
    return new SlotCounters(this.words, this.#targetsAt + slot * TARGET_WORDS, this.stride)
  }

  inFlight(slot: number): SlotCounters {
    return new SlotCounters(this.words, this.inFlightAt + slot, this.stride)
  }

  series(slot: number): SlotCounters {
    return new SlotCounters(this.words, this.#seriesAt + slot * SERIES_WORDS, this.stride)
  }

  rule(slot: number): SlotCounters {
    return new SlotCounters(this.words, this.#rulesAt + slot * RULE_WORDS, this.stride)
  }

  /** Adds a column to the primary's, all except its gauges, and zeroes it. */
  retire(column: number): void {
    const { words } = this
    const from = column * this.stride
    for (const gauge of this.#gauges()) words[from + gauge] = 0
    for (let offset = 0; offset < this.stride; offset++) {
      words[offset]! += words[from + offset]!
      words[from + offset] = 0
    }
  }

  /** Offsets of the words that say how much is open now, as against how much there ever was. */
  *#gauges(): Generator<number> {
    const { first, count } = this
    for (let i = 0; i < count.listeners; i++) {
      yield this.listener(first.listeners + i).at(0) + LISTENER_CONNECTIONS_ACTIVE
    }
    for (let i = 0; i < count.targets; i++) {
      yield this.target(first.targets + i).at(0) + TARGET_CONNECTIONS
      yield this.target(first.targets + i).at(0) + TARGET_PLACES
      yield this.inFlight(first.targets + i).at(0)
    }
  }
}

/**
 * Every column, for readers and owners. What a thread counts for itself as a whole lies together; what it counts by slot
 * lies in segments, of which there is one as long as nothing has to grow. Objects made for a slot keep its `SlotCounters`;
 * what is looked up by slot on the hot path is looked for in the first segment first.
 */
export class Columns {
  /** Of all workers and the primary, column by column; see `workerAt`. */
  readonly workerWords: Float64Array
  /** Places at targets with a limit, and who waits for them. */
  readonly waiting: WaitTable
  readonly #given: SharedCounters
  /** Of the first segment, for what is looked up by slot at each pick. */
  readonly #words: Float64Array
  readonly #stride: number
  readonly #inFlightAt: number
  readonly #targetsEnd: number
  readonly #tickets: Int32Array
  readonly #groupsEnd: number
  #shared: readonly CounterSegment[]
  #segments: readonly ColumnSegment[]
  #capacity: Capacity

  constructor(shared: SharedCounters) {
    this.#given = shared
    this.#capacity = shared.capacity
    this.workerWords = new Float64Array(shared.workers)
    const [first, ...later] = shared.segments
    if (first === undefined) throw new RangeError('shared counters have at least one segment')
    this.#shared = [first]
    const segment = new ColumnSegment(first)
    this.#segments = [segment]
    this.#words = segment.words
    this.#stride = segment.stride
    this.#inFlightAt = segment.inFlightAt
    this.#targetsEnd = first.count.targets
    this.#tickets = segment.tickets
    this.#groupsEnd = first.count.groups
    this.waiting = new WaitTable(first, shared.capacity.workers)
    for (const segment of later) this.addSegment(segment)
  }

  /** How much there is room for now, all segments together. */
  get capacity(): Capacity {
    return this.#capacity
  }

  /** What a thread that starts now is given. */
  get shared(): SharedCounters {
    return { ...this.#given, segments: this.#shared }
  }

  /**
   * Makes room for so many slots of each kind; undefined where there is room already. The segment that was made has been
   * taken in here; the caller sends it to every thread before anything that names a slot of it. Only the primary.
   * @throws RangeError when there are too many, or no memory for them.
   */
  grow(needed: Partial<SlotCounts>): CounterSegment | undefined {
    const have = this.#capacity
    if ((needed.targets ?? 0) > MAX_TARGETS) {
      throw new RangeError(`there are places for ${MAX_TARGETS} targets, not for ${needed.targets}`)
    }
    const wanted = slotsToAdd(have, needed)
    if (wanted === undefined) return undefined
    const count = { ...wanted, targets: Math.min(wanted.targets, MAX_TARGETS - have.targets) }
    const { listeners, series, rules, groups, targets } = have
    const first = { listeners, series, rules, groups, targets }
    const segment = createSegment(this.#segments.length, first, count, have.workers)
    this.addSegment(segment)
    return segment
  }

  /** Takes in what the primary has made; one that is there already changes nothing. @throws RangeError when one is missing. */
  addSegment(segment: CounterSegment): void {
    const { index, first, count } = segment
    if (index < this.#segments.length) return
    if (index > this.#segments.length) throw new RangeError(`segment ${index} comes before ${this.#segments.length}`)
    this.waiting.addSegment(segment)
    this.#shared = [...this.#shared, segment]
    this.#segments = [...this.#segments, new ColumnSegment(segment)]
    this.#capacity = {
      ...this.#capacity,
      listeners: first.listeners + count.listeners,
      series: first.series + count.series,
      rules: first.rules + count.rules,
      groups: first.groups + count.groups,
      targets: first.targets + count.targets,
    }
  }

  /** First word of a column in `workerWords`; 0 is the primary's. */
  workerAt(column: number): number {
    return column * WORKER_WORDS
  }

  /** One of the workers' words, added up over all columns. */
  sumOfWorkers(word: number): number {
    return sumColumns(this.workerWords, word, WORKER_WORDS)
  }

  /** The least that any worker has in this word of its own: for versions that each of them acknowledges. */
  leastOfWorkers(word: number): number {
    let least = Number.POSITIVE_INFINITY
    for (let column = 1; column <= this.#capacity.workers; column++) {
      least = Math.min(least, this.workerWords[this.workerAt(column) + word]!)
    }
    return least
  }

  listener(slot: number): SlotCounters {
    return this.#of('listeners', slot).listener(slot)
  }

  target(slot: number): SlotCounters {
    return this.#of('targets', slot).target(slot)
  }

  /** One word: what is with the target now. It lies apart from the target's others. */
  inFlightOf(slot: number): SlotCounters {
    return this.#of('targets', slot).inFlight(slot)
  }

  series(slot: number): SlotCounters {
    return this.#of('series', slot).series(slot)
  }

  rule(slot: number): SlotCounters {
    return this.#of('rules', slot).rule(slot)
  }

  /** Asked for every target of a group at each pick by some algorithms. */
  inFlight(target: number): number {
    if (target < this.#targetsEnd) return sumColumns(this.#words, this.#inFlightAt + target, this.#stride)
    const segment = this.#of('targets', target)
    return sumColumns(segment.words, segment.inFlightAt + target, segment.stride)
  }

  /** Whether nothing is with the target and no connection to it is open, on any thread. */
  isTargetQuiet(target: number): boolean {
    return this.inFlight(target) === 0 && this.target(target).sum(TARGET_CONNECTIONS) === 0
  }

  /** Whether no client's connection of the listener is open, on any thread. */
  isListenerQuiet(listener: number): boolean {
    return this.listener(listener).sum(LISTENER_CONNECTIONS_ACTIVE) === 0
  }

  /** Whether nobody waits in the group's queue, on any thread. */
  isGroupQuiet(group: number): boolean {
    return this.waiting.waiting(group) === 0
  }

  /** Forgets what was counted for a target, in every column. Only the primary, once no thread knows the target any more. */
  clearTarget(target: number): void {
    this.target(target).clear(TARGET_WORDS)
    this.inFlightOf(target).clear(1)
  }

  /** As `clearTarget`, for a listener. */
  clearListener(listener: number): void {
    this.listener(listener).clear(LISTENER_WORDS)
  }

  /** As `clearTarget`, for a series. */
  clearSeries(series: number): void {
    this.series(series).clear(SERIES_WORDS)
  }

  /** As `clearTarget`, for a rule. */
  clearRule(rule: number): void {
    this.rule(rule).clear(RULE_WORDS)
  }

  /** As `clearTarget`, for what a group's threads share: its ticket, and whether its clients are several. */
  clearGroup(group: number): void {
    const segment = this.#of('groups', group)
    const at = segment.ticketsAt + group * TICKET_STRIDE
    for (let word = 0; word <= GROUP_SEVERAL_AT; word++) Atomics.store(segment.tickets, at + word, 0)
  }

  /** The group's next ticket, 0 to 2^32 − 1. The atomic add orders nothing else: a ticket is only a number. */
  nextTicket(group: number): number {
    if (group < this.#groupsEnd) return Atomics.add(this.#tickets, group * TICKET_STRIDE, 1) >>> 0
    const segment = this.#of('groups', group)
    return Atomics.add(segment.tickets, segment.ticketsAt + group * TICKET_STRIDE, 1) >>> 0
  }

  /** Whether the group's clients are one source or several. */
  sourcesOf(group: number, windowMs: number): GroupSources {
    const { tickets, ticketsAt } = this.#of('groups', group)
    return new GroupSources(tickets, ticketsAt + group * TICKET_STRIDE, windowMs)
  }

  /**
   * A worker died: adds what it counted to the primary's column, so that totals never fall, and zeroes its own, so that
   * nothing it had open stays counted. Only the primary calls this, and only once the thread has ended.
   */
  retire(column: number): void {
    this.waiting.retire(column, (slot) => this.#heldBy(column, slot))
    for (const segment of this.#segments) segment.retire(column)
    const words = this.workerWords
    const from = this.workerAt(column)
    for (const word of WORKER_TOTALS) words[word]! += words[from + word]!
    words.fill(0, from, from + WORKER_WORDS)
  }

  #heldBy(column: number, slot: number): number {
    const target = this.target(slot)
    return target.words[target.at(column) + TARGET_PLACES]!
  }

  /** The later ones are larger: half of all slots are in the last. @throws RangeError when no segment has the slot. */
  #of(kind: keyof SlotCounts, slot: number): ColumnSegment {
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      const segment = this.#segments[i]!
      if (slot >= segment.first[kind] && slot < segment.first[kind] + segment.count[kind]) return segment
    }
    throw new RangeError(`there is no place ${slot} among ${this.#capacity[kind]} ${kind}`)
  }
}

/** Counts one duration into the histogram that begins at word `at`. */
export function recordDuration(words: Float64Array, at: number, durationMs: number): void {
  words[at + bucketOf(durationMs)]!++
  words[at + HISTOGRAM_SUM]! += durationMs
}

const floatBits = new Float64Array(1)
const intBits = new Uint32Array(floatBits.buffer)
// Every machine Node runs on is little-endian: the exponent is in the second word.
const EXPONENT_WORD = 1

/** The bucket a duration falls into: read off the number's own exponent and first two bits of mantissa. */
export function bucketOf(durationMs: number): number {
  if (!(durationMs >= 2 ** HISTOGRAM_FIRST_OCTAVE)) return 0
  floatBits[0] = durationMs
  const high = intBits[EXPONENT_WORD]!
  const octave = (high >>> 20) - 1023 - HISTOGRAM_FIRST_OCTAVE
  if (octave >= HISTOGRAM_OCTAVES) return HISTOGRAM_BUCKETS - 1
  return 1 + octave * 4 + ((high >>> 18) & 3)
}

/** The upper bound, in milliseconds and not included, of a bucket; the last has none. */
export function bucketBoundMs(bucket: number): number {
  if (bucket >= HISTOGRAM_BUCKETS - 1) return Number.POSITIVE_INFINITY
  const octave = Math.floor(bucket / 4)
  return 2 ** (HISTOGRAM_FIRST_OCTAVE + octave) * (1 + (bucket % 4) / 4)
}
