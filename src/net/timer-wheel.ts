// Hot path: every connection is scheduled here. No allocation after construction, no closures per timer.
import type { Clock } from '../core/clock.js'

/**
 * What can be timed. The links belong to the wheel; begin with `null`, `null`, −1 and 0, and leave them alone.
 * Intrusive, because a list node per timer would be the only thing allocated per request.
 */
export interface Timed {
  timerNext: Timed | null
  timerPrevious: Timed | null
  /** −1 while not scheduled. */
  timerSlot: number
  /** Loop time at which it falls due. */
  timerDeadlineMs: number
  /**
   * Called once the deadline has passed. Returns the milliseconds until it wants to be called again, or 0 to stop: an
   * idle timer need not be moved on every byte, it just returns the rest of its time when it fires too soon. It may
   * schedule and cancel others and itself; what it scheduled for itself stands when it returns 0.
   */
  onTimeout(nowMs: number): number
}

/** Returns the milliseconds until the timer is to be called again, or 0. */
export type OnTimerFault = (fault: unknown, timed: Timed) => number

function rethrow(fault: unknown): never {
  throw fault
}

/** Stands at the head of a slot's ring, so that linking and unlinking need no test for the ends. */
class Head implements Timed {
  timerNext: Timed | null = this
  timerPrevious: Timed | null = this
  timerSlot = -1
  timerDeadlineMs = 0
  onTimeout(): number {
    return 0
  }
}

/** Longer delays are cut to this (about 35 years), so that slot numbers stay exact. */
const LONGEST_DELAY_MS = 2 ** 40

/**
 * Timers of one thread, to the nearest tick: never early, and late by less than one tick plus the owner's own delay.
 * Schedule, move and cancel are O(1); a tick looks at the timers of the slots it passes. A timer further away than a
 * turn of the wheel stays in its slot and is looked at once a turn.
 */
export class TimerWheel {
  readonly tickMs: number
  readonly #clock: Clock
  readonly #onFault: OnTimerFault
  readonly #heads: Head[] = []
  /** Holds the timers of the slot being visited; keeps what a throwing `onTimeout` left for the next tick. */
  readonly #visiting = new Head()
  /** Number, counted from loop time 0, of the last tick whose slot was emptied. */
  #visited: number
  #size = 0

  /**
   * `onFault` is told of what an `onTimeout` threw, and answers as that would have; without it the fault is the caller's of
   * `tick`.
   */
  constructor(clock: Clock, tickMs = 100, slots = 512, onFault: OnTimerFault = rethrow) {
    this.#onFault = onFault
    this.#clock = clock
    this.tickMs = tickMs
    for (let i = 0; i < slots; i++) this.#heads.push(new Head())
    this.#visited = Math.floor(clock.nowMs / tickMs)
  }

  /** Timers scheduled now. */
  get size(): number {
    return this.#size
  }

  /** Calls `timed` back after `delayMs` (less than 1 counts as 1); moves it when it is scheduled already. */
  schedule(timed: Timed, delayMs: number): void {
    if (timed.timerSlot >= 0) unlink(timed)
    else this.#size++
    // At least 1, so that a deadline lies after the running tick and a timer cannot fire twice in it.
    const delay = delayMs > 1 ? Math.min(delayMs, LONGEST_DELAY_MS) : 1
    const deadlineMs = this.#clock.nowMs + delay
    timed.timerDeadlineMs = deadlineMs
    timed.timerSlot = Math.ceil(deadlineMs / this.tickMs) % this.#heads.length
    append(this.#heads[timed.timerSlot]!, timed)
  }

  /** Does nothing when `timed` is not scheduled. */
  cancel(timed: Timed): void {
    if (timed.timerSlot < 0) return
    unlink(timed)
    timed.timerSlot = -1
    this.#size--
  }

  /** Fires what is due by `clock.nowMs`, which the owner has refreshed. Call it about every `tickMs`; late is harmless. */
  tick(): void {
    const nowMs = this.#clock.nowMs
    this.#fire(nowMs)
    const last = Math.floor(nowMs / this.tickMs)
    // After a stall longer than a turn every slot is visited, and once is enough.
    if (last - this.#visited > this.#heads.length) this.#visited = last - this.#heads.length
    while (this.#visited < last) {
      this.#visited++
      // Taken off the slot as a whole: what callbacks put into the slot meanwhile is not for this visit.
      splice(this.#heads[this.#visited % this.#heads.length]!, this.#visiting)
      this.#fire(nowMs)
    }
  }

  /** A fault in one timer is nobody else's. */
  #timeout(timed: Timed, nowMs: number): number {
    try {
      return timed.onTimeout(nowMs)
    } catch (fault) {
      return this.#onFault(fault, timed)
    }
  }

  #fire(nowMs: number): void {
    const head = this.#visiting
    for (let timed = head.timerNext!; timed !== head; timed = head.timerNext!) {
      unlink(timed)
      if (timed.timerDeadlineMs > nowMs) {
        append(this.#heads[timed.timerSlot]!, timed)
        continue
      }
      timed.timerSlot = -1
      this.#size--
      const againMs = this.#timeout(timed, nowMs)
      if (againMs > 0) this.schedule(timed, againMs)
    }
  }
}

function unlink(timed: Timed): void {
  timed.timerPrevious!.timerNext = timed.timerNext
  timed.timerNext!.timerPrevious = timed.timerPrevious
  timed.timerNext = null
  timed.timerPrevious = null
}

function append(head: Head, timed: Timed): void {
  const last = head.timerPrevious!
  timed.timerPrevious = last
  timed.timerNext = head
  last.timerNext = timed
  head.timerPrevious = timed
}

/** Moves everything from one ring to the empty other. */
function splice(from: Head, to: Head): void {
  if (from.timerNext === from) return
  to.timerNext = from.timerNext
  to.timerPrevious = from.timerPrevious
  to.timerNext!.timerPrevious = to
  to.timerPrevious!.timerNext = to
  from.timerNext = from
  from.timerPrevious = from
}
