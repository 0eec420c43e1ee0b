import type { Clock } from '../core/clock.js'

const LINES_PER_SECOND = 5
const BURST = 20

/** Holds log lines that clients can cause at will to a few a second, so that nobody fills the disk; counts the rest. */
export class LineBudget {
  readonly #clock: Clock
  #tokens = BURST
  #filledMs: number
  #leftOut = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#filledMs = clock.nowMs
  }

  /** Whether a line may be written; one that may not is counted. */
  take(): boolean {
    const { nowMs } = this.#clock
    this.#tokens = Math.min(BURST, this.#tokens + ((nowMs - this.#filledMs) / 1000) * LINES_PER_SECOND)
    this.#filledMs = nowMs
    if (this.#tokens >= 1) {
      this.#tokens--
      return true
    }
    this.#leftOut++
    return false
  }

  /** How many lines were left out since it was last asked; nothing where none were. */
  omitted(): { readonly leftOut?: number } {
    const leftOut = this.#leftOut
    this.#leftOut = 0
    return leftOut === 0 ? {} : { leftOut }
  }
}
