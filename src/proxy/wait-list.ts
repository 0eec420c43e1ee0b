// Hot path of groups whose targets are full: linked in place, no allocation.
import type { Endpoint } from '../core/conn.js'
import { isOlder } from '../shm/waiting.js'
import type { Affinity } from './stickiness.js'
import type { Target } from './target.js'

/** Whoever wants a target, and may have to wait for it. */
export interface Waiter {
  readonly client: Endpoint
  /** As in PickKey. */
  readonly hash: number
  /** What a sticky client is bound to; told where it had to go elsewhere. */
  readonly affinity: Affinity
  /** Slots that failed it already. */
  readonly tried: readonly number[]
  /** The links belong to the list; begin with null, null, 0 and −1. */
  waitNext: Waiter | null
  waitPrevious: Waiter | null
  /** 0 while it does not wait. */
  waitTicket: number
  /** The slot it waits for, −1 for any. */
  waitSlot: number
  /** It waits no more: the target counts it already; undefined when none is left that it could go to. */
  onTurn(target: Target | undefined): void
}

/** Waiters by ticket, the oldest first. */
export class WaitList {
  head: Waiter | null = null
  #tail: Waiter | null = null

  /** Nearly always to the end; one whose target is gone keeps its ticket and gets its place among the others. */
  insert(waiter: Waiter): void {
    let before = this.#tail
    while (before !== null && isOlder(waiter.waitTicket, before.waitTicket)) before = before.waitPrevious
    const after = before === null ? this.head : before.waitNext
    waiter.waitPrevious = before
    waiter.waitNext = after
    if (before === null) this.head = waiter
    else before.waitNext = waiter
    if (after === null) this.#tail = waiter
    else after.waitPrevious = waiter
  }

  remove(waiter: Waiter): void {
    const { waitPrevious: before, waitNext: after } = waiter
    if (before === null) this.head = after
    else before.waitNext = after
    if (after === null) this.#tail = before
    else after.waitPrevious = before
    waiter.waitNext = null
    waiter.waitPrevious = null
  }
}
