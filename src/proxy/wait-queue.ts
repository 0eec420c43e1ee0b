// Hot path of groups with a limit: a claim a request. Promises only while somebody waits, one a sleep of the thread.
import type { BalancerTarget } from '../core/balancer.js'
import type { Clock } from '../core/clock.js'
import type { Endpoint } from '../core/conn.js'
import { NEWCOMER, type WaitTable } from '../shm/waiting.js'
import type { Target } from './target.js'
import { type Waiter, WaitList } from './wait-list.js'

/** Looks at the targets anew so often when places that were seen free are taken by other threads meanwhile. */
const ROUNDS = 4
const NONE_TRIED: readonly number[] = []

/** What a queue asks its group. */
export interface QueuedGroup {
  /** Those that may be chosen now. */
  readonly targets: readonly BalancerTarget[]
  /** Every target, whatever its state. */
  readonly all: readonly Target[]
  isChoosable(slot: number): boolean
  bySlot(slot: number): Target | undefined
  bound(slot: number, tried: readonly number[]): Target | undefined
  pick(client: Endpoint, hash: number, tried: readonly number[]): Target | undefined
}

/** Why a claim got no target: there is none; it waits for its turn; all are full, and so is the queue. */
export type Refusal = 'none' | 'waiting' | 'full'

/**
 * One group's places and queue in one thread. A target's places are reserved in shared memory, so their number is exact
 * over all threads, and who comes first is served first, over all threads: a place belongs to whoever holds the oldest
 * ticket that can use it, and nobody else takes it meanwhile. ConcurrencyLimit that become free are looked at at the end of the
 * turn; a thread whose waiter's turn it is, is woken through shared memory. Ten times a second each thread looks by
 * itself, which is for what no place that becomes free announces: targets that come, go or fail.
 */
export class WaitQueue {
  readonly #groupSlot: number
  /** The settings in force: whoever waits is given a target by them, whichever it began to wait under. */
  #group!: QueuedGroup
  readonly #table: WaitTable
  readonly #clock: Clock
  readonly #column: number
  readonly #onFault: (fault: unknown) => void
  #limit = 0
  #size = 0
  /** By the slot waited for; −1 for those that take any. */
  readonly #lists = new Map<number, WaitList>()
  #waiting = 0
  #soon = false
  #asleep = false
  readonly #excluded: number[] = []

  constructor(
    groupSlot: number,
    services: {
      readonly table: WaitTable
      readonly clock: Clock
      readonly column: number
      /** What somebody threw whose turn it was. */
      readonly onFault?: (fault: unknown) => void
    },
  ) {
    this.#groupSlot = groupSlot
    this.#onFault = services.onFault ?? rethrow
    this.#table = services.table
    this.#clock = services.clock
    this.#column = services.column
  }

  /**
   * These settings are in force from here on. Places that are taken stay so until they are given back. Whoever waits
   * keeps its ticket, and has its turn by the new limit: at once where there is none any more, which is `limit` infinite.
   * More than the new `size` may wait, those who wait already.
   */
  goBy(group: QueuedGroup, limit: number, size: number): void {
    this.#group = group
    this.#limit = limit
    this.#size = size
    this.tick()
  }

  /** How many of this thread wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * A target with a place for whoever asks, taken already. A sticky client waits for its target where it may wait;
   * where it may not it goes elsewhere for once, and stays bound.
   */
  acquire(who: Waiter): Target | Refusal {
    const { affinity, tried } = who
    const bound = this.#group.bound(affinity.slot, tried)
    affinity.spilled = false
    if (bound !== undefined) {
      if (this.#take(bound, NEWCOMER)) return bound
    } else {
      const found = this.#takeAny(who, NEWCOMER)
      if (found !== 'full') return found
    }
    if (this.#table.tryEnter(this.#column, this.#groupSlot, this.#size)) {
      this.#enter(who)
      return 'waiting'
    }
    if (bound === undefined) return 'full'
    const other = this.#takeAny(who, NEWCOMER)
    if (typeof other === 'string') return 'full'
    affinity.spilled = true
    return other
  }

  /** It waits no more: it is gone, or has waited too long. Does nothing for one that does not wait. */
  cancel(who: Waiter): void {
    if (who.waitTicket === 0) return
    this.#remove(who)
    // What it was in the way of may go on.
    this.freed()
  }

  /** A request that got its target here is over. */
  giveBack(target: Target): void {
    this.#table.giveBack(target.slot)
    target.placeGivenBack()
  }

  /** A place became free, or somebody left the queue: at the end of the turn the next has its turn. */
  freed(): void {
    if (this.#soon || this.#table.waiting(this.#groupSlot) === 0) return
    this.#soon = true
    queueMicrotask(this.#serveSoon)
  }

  /** Time has passed: targets may have come, gone, recovered or failed. */
  tick(): void {
    if (this.#waiting > 0) this.#serve()
  }

  readonly #serveSoon = (): void => {
    this.#soon = false
    this.#serve()
  }

  readonly #onWake = (): void => {
    this.#asleep = false
    this.#clock.refresh()
    this.#serve()
  }

  #enter(who: Waiter): void {
    who.waitTicket = this.#table.nextTicket(this.#groupSlot)
    this.#waiting++
    this.#put(who, this.#wanted(who) ?? -1)
    // A place that became free before the ticket was there to be seen was announced to nobody: look again.
    this.freed()
  }

  /**
   * The slot to wait for, −1 for any, undefined for none. A second try waits for one that has not failed it: among those
   * that take any it would be in the way of all who can use what it cannot.
   */
  #wanted(who: Waiter): number | undefined {
    const bound = this.#group.bound(who.affinity.slot, who.tried)
    if (bound !== undefined) return bound.slot
    return who.tried.length === 0 ? -1 : this.#group.pick(who.client, who.hash, who.tried)?.slot
  }

  #put(who: Waiter, slot: number): void {
    who.waitSlot = slot
    let list = this.#lists.get(slot)
    if (list === undefined) this.#lists.set(slot, (list = new WaitList()))
    list.insert(who)
    if (list.head === who) this.#publish(slot, list)
  }

  #unlink(who: Waiter): void {
    const list = this.#lists.get(who.waitSlot)!
    const first = list.head === who
    list.remove(who)
    if (first) this.#publish(who.waitSlot, list)
  }

  #remove(who: Waiter): void {
    this.#unlink(who)
    who.waitTicket = 0
    this.#waiting--
    this.#table.leave(this.#column, this.#groupSlot)
  }

  #publish(slot: number, list: WaitList): void {
    this.#table.publish(this.#column, this.#groupSlot, slot, list.head?.waitTicket ?? NEWCOMER)
  }

  /** Gives every waiter of this thread its turn that has one, then wakes the threads whose turn it is. */
  #serve(): void {
    const groupSlot = this.#groupSlot
    const seen = this.#table.wakes(this.#column, groupSlot)
    let served: boolean
    do {
      served = false
      for (const list of this.#lists.values()) {
        while (list.head !== null && this.#turn(list.head)) served = true
      }
    } while (served)
    if (this.#table.waiting(groupSlot) > this.#waiting) this.#passOn()
    if (this.#waiting > 0) this.#sleep(seen)
  }

  /** False when it goes on waiting where it is. */
  #turn(who: Waiter): boolean {
    const slot = who.waitSlot
    if (slot >= 0 && !this.#mayServe(who, slot)) {
      const wanted = this.#wanted(who)
      if (wanted !== undefined) {
        this.#unlink(who)
        this.#put(who, wanted)
        return true
      }
      this.#remove(who)
      this.#tell(who, undefined)
      return true
    }
    const found = slot < 0 ? this.#takeAny(who, who.waitTicket) : this.#takeOne(who, slot)
    if (found === 'full') return false
    this.#remove(who)
    this.#tell(who, typeof found === 'string' ? undefined : found)
    return true
  }

  /** A fault of one is not those' who wait behind it. */
  #tell(who: Waiter, target: Target | undefined): void {
    try {
      who.onTurn(target)
    } catch (fault) {
      this.#onFault(fault)
    }
  }

  /** Whether what it waits for still serves it: draining targets keep those that are bound to them, and nobody else. */
  #mayServe(who: Waiter, slot: number): boolean {
    if (who.affinity.slot === slot) return this.#group.bound(slot, who.tried) !== undefined
    return this.#group.isChoosable(slot)
  }

  #takeOne(who: Waiter, slot: number): Target | 'full' {
    const target = this.#group.bySlot(slot)!
    return this.#take(target, who.waitTicket) ? target : 'full'
  }

  /** As the group's algorithm chooses among those that have a place. */
  #takeAny(who: Waiter, ticket: number): Target | 'none' | 'full' {
    let without = who.tried
    for (let round = 0; round < ROUNDS; round++) {
      const target = this.#group.pick(who.client, who.hash, without)
      if (target === undefined) return round === 0 ? 'none' : 'full'
      if (this.#take(target, ticket)) return target
      if (!this.#excludeFull(who.tried, ticket)) return 'full'
      without = this.#excluded
    }
    return 'full'
  }

  /** Lists what cannot be taken now. False when that is all. */
  #excludeFull(tried: readonly number[], ticket: number): boolean {
    const excluded = this.#excluded
    excluded.length = 0
    for (let i = 0; i < tried.length; i++) excluded.push(tried[i]!)
    let free = false
    for (const { slot, weight } of this.#group.targets) {
      if (!(weight > 0) || tried.includes(slot)) continue
      if (this.#table.inUse(slot) < this.#limit && this.#isTurn(slot, ticket)) free = true
      else excluded.push(slot)
    }
    return free
  }

  #take(target: Target, ticket: number): boolean {
    const { slot } = target
    if (!this.#isTurn(slot, ticket) || !this.#table.tryTake(slot, this.#limit)) return false
    target.placeTaken()
    target.begin()
    return true
  }

  #isTurn(slot: number, ticket: number): boolean {
    const groupSlot = this.#groupSlot
    if (this.#table.waiting(groupSlot) === 0) return true
    return this.#table.isTurn(groupSlot, slot, ticket, this.#group.isChoosable(slot))
  }

  #passOn(): void {
    const groupSlot = this.#groupSlot
    const { all } = this.#group
    for (const { slot } of all) {
      if (this.#table.inUse(slot) >= this.#limit || this.#group.bound(slot, NONE_TRIED) === undefined) continue
      const column = this.#table.oldest(groupSlot, slot, this.#group.isChoosable(slot))
      if (column >= 0 && column !== this.#column) this.#table.wake(column, groupSlot)
    }
  }

  /** Until another thread says that something was given back; `seen` is from before this one last looked. */
  #sleep(seen: number): void {
    if (this.#asleep) return
    const wake = this.#table.awaitWake(this.#column, this.#groupSlot, seen)
    if (wake === undefined) {
      this.freed()
      return
    }
    this.#asleep = true
    void wake.then(this.#onWake)
  }
}

function rethrow(fault: unknown): never {
  throw fault
}
