// Hot path of groups with a limit: one compare-and-swap a request, and one subtraction when it is over. No allocation.
import type { SlotCounts } from '../core/shared-counters.js'

/** 128 bytes: what several threads change lies on cache lines of its own. */
const UNIT_WORDS = 32

const GROUP_NEXT_TICKET = 0
const GROUP_WAITING = 1

/** Words of a row by group, before those by target. */
const ROW_GROUP_WORDS = 3
const ROW_WAKES = 0
const ROW_WAITING = 1
const ROW_HEAD = 2

const padded = (words: number): number => Math.ceil(words / UNIT_WORDS) * UNIT_WORDS
const rowWords = (count: WaitCounts): number => padded(count.groups * ROW_GROUP_WORDS + count.targets)

type WaitCounts = Pick<SlotCounts, 'groups' | 'targets'>

/** The part of a segment that this is about. */
export interface SharedWaiting {
  readonly first: WaitCounts
  readonly count: WaitCounts
  readonly waiting: SharedArrayBuffer
}

/** Bytes of a segment with a row for the primary and each worker. */
export function waitTableBytes(count: WaitCounts, workers: number): number {
  const words = (count.groups + count.targets) * UNIT_WORDS + (workers + 1) * rowWords(count)
  return words * Int32Array.BYTES_PER_ELEMENT
}

/** The ticket of whoever has none: everybody who waits is older. */
export const NEWCOMER = 0

/** Where the words of a segment's groups and targets are. */
class WaitSegment {
  readonly words: Int32Array
  readonly first: WaitCounts
  readonly groupsEnd: number
  readonly targetsEnd: number
  readonly #rowWords: number
  readonly #groups: number
  readonly #targetsAt: number
  readonly #rowsAt: number

  constructor({ first, count, waiting }: SharedWaiting) {
    this.words = new Int32Array(waiting)
    this.first = first
    this.groupsEnd = first.groups + count.groups
    this.targetsEnd = first.targets + count.targets
    this.#rowWords = rowWords(count)
    this.#groups = count.groups
    this.#targetsAt = count.groups * UNIT_WORDS
    this.#rowsAt = this.#targetsAt + count.targets * UNIT_WORDS
  }

  groupAt(group: number): number {
    return (group - this.first.groups) * UNIT_WORDS
  }

  targetAt(slot: number): number {
    return this.#targetsAt + (slot - this.first.targets) * UNIT_WORDS
  }

  rowAt(column: number, group: number): number {
    return this.#rowsAt + column * this.#rowWords + (group - this.first.groups) * ROW_GROUP_WORDS
  }

  boundAt(column: number, slot: number): number {
    return this.#rowsAt + column * this.#rowWords + this.#groups * ROW_GROUP_WORDS + slot - this.first.targets
  }
}

/**
 * Places at targets with a limit, and who waits for them, over all threads; drawn in docs/SHARED-MEMORY.md. A thread
 * keeps its own waiters to itself and publishes the ticket of the oldest of each kind: of those that take any target of
 * the group, and of those that wait for one. All is sequentially consistent: whoever publishes a ticket and then finds no
 * place is seen by whoever gives one back after that.
 */
export class WaitTable {
  readonly #columns: number
  readonly #first: WaitSegment
  #segments: readonly WaitSegment[]

  constructor(first: SharedWaiting, workers: number) {
    this.#columns = workers + 1
    this.#first = new WaitSegment(first)
    this.#segments = [this.#first]
  }

  /** Takes in the next one, of groups and targets that are known from here on. */
  addSegment(segment: SharedWaiting): void {
    this.#segments = [...this.#segments, new WaitSegment(segment)]
  }

  /**
   * Takes one of the target's `limit` places; false when all are taken. The caller counts the place in its column
   * (`TARGET_PLACES`) at once, with nothing in between: what a thread that dies held is read there.
   */
  tryTake(slot: number, limit: number): boolean {
    const segment = this.#ofTarget(slot)
    const { words } = segment
    const at = segment.targetAt(slot)
    for (;;) {
      const taken = Atomics.load(words, at)
      if (taken >= limit) return false
      if (Atomics.compareExchange(words, at, taken, taken + 1) === taken) return true
    }
  }

  /** The caller takes the place out of its column at once after it. */
  giveBack(slot: number): void {
    const segment = this.#ofTarget(slot)
    Atomics.sub(segment.words, segment.targetAt(slot), 1)
  }

  inUse(slot: number): number {
    const segment = this.#ofTarget(slot)
    return Atomics.load(segment.words, segment.targetAt(slot))
  }

  /** How many wait in the group, over all threads. */
  waiting(group: number): number {
    const segment = this.#ofGroup(group)
    return Atomics.load(segment.words, segment.groupAt(group) + GROUP_WAITING)
  }

  /** One more waits; false when `size` wait already. */
  tryEnter(column: number, group: number, size: number): boolean {
    const segment = this.#ofGroup(group)
    const { words } = segment
    const at = segment.groupAt(group) + GROUP_WAITING
    for (;;) {
      const waiting = Atomics.load(words, at)
      if (waiting >= size) return false
      if (Atomics.compareExchange(words, at, waiting, waiting + 1) !== waiting) continue
      words[segment.rowAt(column, group) + ROW_WAITING]!++
      return true
    }
  }

  leave(column: number, group: number): void {
    const segment = this.#ofGroup(group)
    Atomics.sub(segment.words, segment.groupAt(group) + GROUP_WAITING, 1)
    segment.words[segment.rowAt(column, group) + ROW_WAITING]!--
  }

  /** Says who came first, over all threads; never NEWCOMER. */
  nextTicket(group: number): number {
    const segment = this.#ofGroup(group)
    const at = segment.groupAt(group) + GROUP_NEXT_TICKET
    const ticket = Atomics.add(segment.words, at, 1)
    return ticket === NEWCOMER ? Atomics.add(segment.words, at, 1) : ticket
  }

  /** The oldest ticket of the thread's waiters for `slot`, or for any target where that is −1; NEWCOMER for none. */
  publish(column: number, group: number, slot: number, ticket: number): void {
    if (slot < 0) {
      const segment = this.#ofGroup(group)
      Atomics.store(segment.words, segment.rowAt(column, group) + ROW_HEAD, ticket)
    } else {
      const segment = this.#ofTarget(slot)
      Atomics.store(segment.words, segment.boundAt(column, slot), ticket)
    }
  }

  /**
   * Whether nobody older than `ticket` waits for a place that the target has. `takesAny`: it is one for those that take any
   * target; one that drains, or has no weight, serves only those that are bound to it.
   */
  isTurn(group: number, slot: number, ticket: number, takesAny: boolean): boolean {
    const ofGroup = this.#ofGroup(group)
    const ofTarget = this.#ofTarget(slot)
    for (let column = 0; column < this.#columns; column++) {
      const any = Atomics.load(ofGroup.words, ofGroup.rowAt(column, group) + ROW_HEAD)
      const bound = Atomics.load(ofTarget.words, ofTarget.boundAt(column, slot))
      if ((takesAny && isOlder(any, ticket)) || isOlder(bound, ticket)) return false
    }
    return true
  }

  /** The column of whoever waits longest for a place that the target has, −1 for nobody; `takesAny` as of `isTurn`. */
  oldest(group: number, slot: number, takesAny: boolean): number {
    const ofGroup = this.#ofGroup(group)
    const ofTarget = this.#ofTarget(slot)
    let oldest = NEWCOMER
    let found = -1
    for (let column = 0; column < this.#columns; column++) {
      const any = Atomics.load(ofGroup.words, ofGroup.rowAt(column, group) + ROW_HEAD)
      const bound = Atomics.load(ofTarget.words, ofTarget.boundAt(column, slot))
      const first = takesAny && isOlder(any, bound) ? any : bound
      if (!isOlder(first, oldest)) continue
      oldest = first
      found = column
    }
    return found
  }

  /** Tells the thread that one of its waiters may have its turn. */
  wake(column: number, group: number): void {
    const segment = this.#ofGroup(group)
    const at = segment.rowAt(column, group) + ROW_WAKES
    Atomics.add(segment.words, at, 1)
    Atomics.notify(segment.words, at)
  }

  wakes(column: number, group: number): number {
    const segment = this.#ofGroup(group)
    return Atomics.load(segment.words, segment.rowAt(column, group) + ROW_WAKES)
  }

  /** Settles on the next wake after `seen`; undefined where there was one already. One promise a sleep, not a request. */
  awaitWake(column: number, group: number, seen: number): Promise<unknown> | undefined {
    const segment = this.#ofGroup(group)
    const result = Atomics.waitAsync(segment.words, segment.rowAt(column, group) + ROW_WAKES, seen)
    return result.async ? result.value : undefined
  }

  /**
   * A worker died: gives back its places, `places` by slot as its column says, and those where it waited. Only the
   * primary calls this, once the thread has ended and before the column is zeroed.
   */
  retire(dead: number, places: (slot: number) => number): void {
    for (const segment of this.#segments) {
      const { words, first } = segment
      for (let slot = first.targets; slot < segment.targetsEnd; slot++) {
        // A target without a limit has nothing taken.
        const held = Math.min(places(slot), this.inUse(slot))
        if (held > 0) Atomics.sub(words, segment.targetAt(slot), held)
        Atomics.store(words, segment.boundAt(dead, slot), NEWCOMER)
      }
    }
    // Whoever is woken looks at the places of all segments.
    for (const segment of this.#segments) {
      const { words, first } = segment
      for (let group = first.groups; group < segment.groupsEnd; group++) {
        const at = segment.rowAt(dead, group)
        Atomics.sub(words, segment.groupAt(group) + GROUP_WAITING, words[at + ROW_WAITING]!)
        words[at + ROW_WAITING] = 0
        Atomics.store(words, at + ROW_HEAD, NEWCOMER)
        if (this.waiting(group) === 0) continue
        for (let column = 0; column < this.#columns; column++) if (column !== dead) this.wake(column, group)
      }
    }
  }

  #ofGroup(group: number): WaitSegment {
    return group < this.#first.groupsEnd ? this.#first : this.#laterOfGroup(group)
  }

  #ofTarget(slot: number): WaitSegment {
    return slot < this.#first.targetsEnd ? this.#first : this.#laterOfTarget(slot)
  }

  #laterOfGroup(group: number): WaitSegment {
    for (const segment of this.#segments) if (group < segment.groupsEnd) return segment
    throw new RangeError(`no segment has the group in ${group}`)
  }

  #laterOfTarget(slot: number): WaitSegment {
    for (const segment of this.#segments) if (slot < segment.targetsEnd) return segment
    throw new RangeError(`no segment has the target in ${slot}`)
  }
}

/** Tickets wrap at 2^32, and no two that wait are half of that apart. No ticket is older than none. */
export function isOlder(ticket: number, than: number): boolean {
  if (ticket === NEWCOMER) return false
  return than === NEWCOMER || ((ticket - than) | 0) < 0
}
