// Hot path of groups with a limit: one compare-and-swap a request, and one subtraction when it is over. No allocation.
import type { Capacity } from '../core/shared-counters.js'

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
const rowWords = (capacity: Capacity): number => padded(capacity.groups * ROW_GROUP_WORDS + capacity.targets)

export function waitTableBytes(capacity: Capacity): number {
  const words = (capacity.groups + capacity.targets) * UNIT_WORDS + (capacity.workers + 1) * rowWords(capacity)
  return words * Int32Array.BYTES_PER_ELEMENT
}

/** The ticket of whoever has none: everybody who waits is older. */
export const NEWCOMER = 0

/**
 * Places at targets with a limit, and who waits for them, over all threads; drawn in docs/SHARED-MEMORY.md. A thread
 * keeps its own waiters to itself and publishes the ticket of the oldest of each kind: of those that take any target of
 * the group, and of those that wait for one. All is sequentially consistent: whoever publishes a ticket and then finds no
 * place is seen by whoever gives one back after that.
 */
export class WaitTable {
  readonly #words: Int32Array
  readonly #groups: number
  readonly #columns: number
  readonly #rowWords: number
  readonly #targetsAt: number
  readonly #rowsAt: number

  constructor(shared: SharedArrayBuffer, capacity: Capacity) {
    this.#words = new Int32Array(shared)
    this.#groups = capacity.groups
    this.#columns = capacity.workers + 1
    this.#rowWords = rowWords(capacity)
    this.#targetsAt = capacity.groups * UNIT_WORDS
    this.#rowsAt = this.#targetsAt + capacity.targets * UNIT_WORDS
  }

  /**
   * Takes one of the target's `limit` places; false when all are taken. The caller counts the request in flight in its
   * column at once, with nothing in between: what a thread that dies held is read there.
   */
  tryTake(slot: number, limit: number): boolean {
    const at = this.#targetsAt + slot * UNIT_WORDS
    for (;;) {
      const taken = Atomics.load(this.#words, at)
      if (taken >= limit) return false
      if (Atomics.compareExchange(this.#words, at, taken, taken + 1) === taken) return true
    }
  }

  /** The caller takes the request out of its column at once after it. */
  giveBack(slot: number): void {
    Atomics.sub(this.#words, this.#targetsAt + slot * UNIT_WORDS, 1)
  }

  inUse(slot: number): number {
    return Atomics.load(this.#words, this.#targetsAt + slot * UNIT_WORDS)
  }

  /** How many wait in the group, over all threads. */
  waiting(group: number): number {
    return Atomics.load(this.#words, group * UNIT_WORDS + GROUP_WAITING)
  }

  /** One more waits; false when `size` wait already. */
  tryEnter(column: number, group: number, size: number): boolean {
    const at = group * UNIT_WORDS + GROUP_WAITING
    for (;;) {
      const waiting = Atomics.load(this.#words, at)
      if (waiting >= size) return false
      if (Atomics.compareExchange(this.#words, at, waiting, waiting + 1) !== waiting) continue
      this.#words[this.#rowAt(column, group, ROW_WAITING)]!++
      return true
    }
  }

  leave(column: number, group: number): void {
    Atomics.sub(this.#words, group * UNIT_WORDS + GROUP_WAITING, 1)
    this.#words[this.#rowAt(column, group, ROW_WAITING)]!--
  }

  /** Says who came first, over all threads; never NEWCOMER. */
  nextTicket(group: number): number {
    const at = group * UNIT_WORDS + GROUP_NEXT_TICKET
    const ticket = Atomics.add(this.#words, at, 1)
    return ticket === NEWCOMER ? Atomics.add(this.#words, at, 1) : ticket
  }

  /** The oldest ticket of the thread's waiters for `slot`, or for any target where that is −1; NEWCOMER for none. */
  publish(column: number, group: number, slot: number, ticket: number): void {
    Atomics.store(this.#words, slot < 0 ? this.#rowAt(column, group, ROW_HEAD) : this.#boundAt(column, slot), ticket)
  }

  /** Whether nobody older than `ticket` waits for a place that the target has. */
  isTurn(group: number, slot: number, ticket: number): boolean {
    for (let column = 0; column < this.#columns; column++) {
      const any = Atomics.load(this.#words, this.#rowAt(column, group, ROW_HEAD))
      const bound = Atomics.load(this.#words, this.#boundAt(column, slot))
      if (isOlder(any, ticket) || isOlder(bound, ticket)) return false
    }
    return true
  }

  /** The column of whoever waits longest for a place that the target has, −1 for nobody. */
  oldest(group: number, slot: number): number {
    let oldest = NEWCOMER
    let found = -1
    for (let column = 0; column < this.#columns; column++) {
      const any = Atomics.load(this.#words, this.#rowAt(column, group, ROW_HEAD))
      const bound = Atomics.load(this.#words, this.#boundAt(column, slot))
      const first = isOlder(any, bound) ? any : bound
      if (!isOlder(first, oldest)) continue
      oldest = first
      found = column
    }
    return found
  }

  /** Tells the thread that one of its waiters may have its turn. */
  wake(column: number, group: number): void {
    const at = this.#rowAt(column, group, ROW_WAKES)
    Atomics.add(this.#words, at, 1)
    Atomics.notify(this.#words, at)
  }

  wakes(column: number, group: number): number {
    return Atomics.load(this.#words, this.#rowAt(column, group, ROW_WAKES))
  }

  /** Settles on the next wake after `seen`; undefined where there was one already. One promise a sleep, not a request. */
  awaitWake(column: number, group: number, seen: number): Promise<unknown> | undefined {
    const result = Atomics.waitAsync(this.#words, this.#rowAt(column, group, ROW_WAKES), seen)
    return result.async ? result.value : undefined
  }

  /**
   * A worker died: gives back its places, `inFlight` by slot as its column says, and those where it waited. Only the
   * primary calls this, once the thread has ended and before the column is zeroed.
   */
  retire(dead: number, targets: number, inFlight: (slot: number) => number): void {
    const words = this.#words
    for (let slot = 0; slot < targets; slot++) {
      // A target without a limit has nothing taken.
      const held = Math.min(inFlight(slot), this.inUse(slot))
      if (held > 0) Atomics.sub(words, this.#targetsAt + slot * UNIT_WORDS, held)
      Atomics.store(words, this.#boundAt(dead, slot), NEWCOMER)
    }
    for (let group = 0; group < this.#groups; group++) {
      const at = this.#rowAt(dead, group, ROW_WAITING)
      Atomics.sub(words, group * UNIT_WORDS + GROUP_WAITING, words[at]!)
      words[at] = 0
      Atomics.store(words, this.#rowAt(dead, group, ROW_HEAD), NEWCOMER)
      if (this.waiting(group) === 0) continue
      for (let column = 0; column < this.#columns; column++) if (column !== dead) this.wake(column, group)
    }
  }

  #rowAt(column: number, group: number, word: number): number {
    return this.#rowsAt + column * this.#rowWords + group * ROW_GROUP_WORDS + word
  }

  #boundAt(column: number, slot: number): number {
    return this.#rowsAt + column * this.#rowWords + this.#groups * ROW_GROUP_WORDS + slot
  }
}

/** Tickets wrap at 2^32, and no two that wait are half of that apart. No ticket is older than none. */
export function isOlder(ticket: number, than: number): boolean {
  if (ticket === NEWCOMER) return false
  return than === NEWCOMER || ((ticket - than) | 0) < 0
}
