/** Looks in the time that a thread may stand still, and the most that is between two of them. */
const LOOKS = 10
const LONGEST_POLL_MS = 1_000

/** Milliseconds between two looks where `limitMs` of silence are too many; 0 = no silence is. */
export function pollMs(limitMs: number): number {
  return limitMs === 0 ? LONGEST_POLL_MS : Math.min(LONGEST_POLL_MS, Math.max(1, Math.round(limitMs / LOOKS)))
}

/**
 * For how long a thread's count of turns has stood still, in time in which whoever looks was awake itself: when all
 * threads were stopped together (SIGSTOP, a debugger, a host without processor time), nobody has been silent.
 */
export class Silence {
  #turns = -1
  #silentMs = 0

  /** `sinceMs` after the last look, which was to be `periodMs` ago. Returns the silence in milliseconds. */
  look(turns: number, sinceMs: number, periodMs: number): number {
    // A look that comes late counts as one in time: what was in between, the looking thread has not seen.
    if (turns === this.#turns) this.#silentMs += Math.min(sinceMs, periodMs)
    else this.#silentMs = 0
    this.#turns = turns
    return this.#silentMs
  }

  /** Another thread has the row. */
  reset(): void {
    this.#turns = -1
    this.#silentMs = 0
  }
}
