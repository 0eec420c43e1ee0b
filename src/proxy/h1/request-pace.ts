// Hot path: once per piece of a body that does not come whole.
import type { BodyPace } from '../../limits/body-pace.js'
import type { RequestInfo } from '../request-info.js'
import type { BodyRelay } from './body-relay.js'
import type { Requester } from './requester.js'

/** Nothing is expected of the client: its body is whole, or a dialogue, or it waits to be told to go on. */
const IDLE = 0
const AWAITED = 1
/** Nobody takes what the client sends. */
const HELD = 2

/** What one request's body has to do with the pace of its client's connection. */
export class RequestPace {
  #state = IDLE
  #pace: BodyPace | undefined
  #bidirectional = false

  /** `bidirectional`: the body is a dialogue, and how fast it comes says nothing. */
  reset(bidirectional: boolean): void {
    this.#bidirectional = bidirectional
  }

  /** The body is to come from here on, or goes on, or is there. */
  follow(nowMs: number, body: BodyRelay, info: RequestInfo, session: Requester): void {
    const waits = this.#bidirectional || (info.expectContinue && body.bytes === 0)
    const state = body.done || waits ? IDLE : body.blocked ? HELD : AWAITED
    if (state !== this.#state) this.#enter(state, nowMs, session)
  }

  /** The request is over, or its response has begun: from then on the two talk to each other. */
  end(nowMs: number, session: Requester): void {
    this.#bidirectional = true
    if (this.#state !== IDLE) this.#enter(IDLE, nowMs, session)
  }

  isFastEnough(nowMs: number, session: Requester): boolean {
    return this.#state !== AWAITED || this.#pace!.isFastEnough(nowMs, session.receivedBytes)
  }

  #enter(state: number, nowMs: number, session: Requester): void {
    const pace = (this.#pace = session.bodyPace)
    if (this.#state === IDLE) pace.begin(nowMs, session.receivedBytes)
    else if (this.#state === HELD) pace.release(nowMs)
    if (state === HELD) pace.hold(nowMs)
    else if (state === IDLE) pace.end(nowMs)
    this.#state = state
  }
}
