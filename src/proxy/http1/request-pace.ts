import { BodyPace } from '../../protect/body-pace.js'
import type { BodyRelay } from './body-relay.js'
import type { RequestFacts } from './request-facts.js'

/** Whether a request's body comes fast enough, told apart from a client that has to wait. */
export class RequestPace {
  #unhurried = false
  readonly #pace = new BodyPace()
  readonly #minBytesPerSecond: number

  constructor(minBytesPerSecond: number) {
    this.#minBytesPerSecond = minBytesPerSecond
  }

  /** `unhurried`: the body is a dialogue, and how fast it comes says nothing. */
  reset(nowMs: number, unhurried: boolean): void {
    this.#unhurried = unhurried
    this.begin(nowMs)
  }

  begin(nowMs: number): void {
    this.#pace.begin(nowMs)
  }

  /** A client that waits for a target to take bytes, or to say that it wants any, is not slow. */
  isFastEnough(nowMs: number, body: BodyRelay, facts: RequestFacts): boolean {
    const excused = this.#unhurried || body.blocked || (facts.expectContinue && body.bytes === 0)
    return this.#pace.isFastEnough(nowMs, body.bytes, this.#minBytesPerSecond, excused)
  }
}
