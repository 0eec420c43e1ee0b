import type { Clock } from '../core/clock.js'

const SECONDS = 10
const SECOND_MS = 1000

/**
 * Keeps retries from multiplying the load on targets that are failing because of load: over the last ten seconds, by
 * whole seconds, no more retries than `budgetPercent` of the requests, and a few a second besides, so that a quiet
 * group can retry at all. One worker's; O(1), no timer.
 */
export class RetryBudget {
  readonly #clock: Clock
  readonly #share: number
  readonly #floor: number
  readonly #requests = new Float64Array(SECONDS)
  readonly #retries = new Float64Array(SECONDS)
  #requestsTotal = 0
  #retriesTotal = 0
  #second: number

  /**
   * `budgetPercent`: retries per hundred requests; raising it hides more failures and costs failing targets more load.
   * `minimumPerSecond`: allowed on top, however few the requests.
   */
  constructor(clock: Clock, budgetPercent: number, minimumPerSecond = 3) {
    this.#clock = clock
    this.#share = budgetPercent / 100
    this.#floor = minimumPerSecond * SECONDS
    this.#second = Math.floor(clock.nowMs / SECOND_MS)
  }

  /** Counts a request, once however often it is tried. */
  countRequest(): void {
    this.#turn()
    this.#requests[this.#second % SECONDS]!++
    this.#requestsTotal++
  }

  /** True when one more retry is allowed, which is thereby counted. */
  tryRetry(): boolean {
    this.#turn()
    if (this.#retriesTotal + 1 > this.#requestsTotal * this.#share + this.#floor) return false
    this.#retries[this.#second % SECONDS]!++
    this.#retriesTotal++
    return true
  }

  /** Forgets the seconds that have left the window. */
  #turn(): void {
    const now = Math.floor(this.#clock.nowMs / SECOND_MS)
    if (now === this.#second) return
    const from = Math.max(this.#second + 1, now - SECONDS + 1)
    for (let second = from; second <= now; second++) {
      const at = second % SECONDS
      this.#requestsTotal -= this.#requests[at]!
      this.#retriesTotal -= this.#retries[at]!
      this.#requests[at] = 0
      this.#retries[at] = 0
    }
    this.#second = now
  }
}
