// Hot path: every request takes its way to a target here.
import type { Endpoint } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { Affinity } from '../stickiness.js'
import type { Target } from '../target.js'
import type { Waiter } from '../wait-list.js'
import { UpstreamConnection } from './connect-target.js'
import {
  UPSTREAM_NONE,
  UPSTREAM_READY,
  UPSTREAM_WAITING,
  type UpstreamSession,
  type UpstreamState,
} from './upstream-state.js'

/** One request's way to a target: pick, take an open connection or dial, and where that fails, elsewhere. */
export class Upstream extends UpstreamConnection implements Waiter {
  #attemptsLeft = 0
  hash = -1
  affinity!: Affinity
  readonly tried: number[] = []
  waitNext: Waiter | null = null
  waitPrevious: Waiter | null = null
  waitTicket = 0
  waitSlot = -1
  /** Why there is no target, when the state is UPSTREAM_NONE. */
  refusal: ReasonCode = 'NO_TARGET'

  get client(): Endpoint {
    return this.session.clientAddress.source
  }

  /** How long it may take to reach a target: its turn in the queue, or a dial. Milliseconds. */
  get timeoutMs(): number {
    const { queue, timeouts } = this.session.route.group.config
    return this.waitTicket !== 0 ? queue.timeoutMs : timeouts.connectMs
  }

  /**
   * `hash` as in PickKey; `connectionAuth`: the request has credentials for its connection; `once`: it may not be sent
   * again where it was sent already.
   */
  begin(session: UpstreamSession, hash: number, affinity: Affinity, connectionAuth: boolean, once: boolean): void {
    this.session = session
    this.once = once
    this.unread = false
    this.hash = hash
    this.affinity = affinity
    this.#attemptsLeft = session.route.group.config.retries.attempts
    // Not always: setting a length leaves compiled code, even where it changes nothing.
    if (this.tried.length > 0) this.tried.length = 0
    this.target = undefined
    this.conn = undefined
    this.connecting = false
    this.resent = false
    this.pinned = connectionAuth
    const { pinned, route } = session
    // Where nothing else binds the client it is bound by the connections it has.
    if (pinned !== undefined && affinity.slot < 0 && !affinity.hasKey) affinity.slot = pinned.slotIn(route.group)
  }

  /** Claims a target and a connection to it, or a turn in the queue for one. */
  pickAndConnect(): UpstreamState {
    const acquired = this.session.route.group.acquire(this)
    switch (acquired) {
      case 'none':
        return this.#refuse('NO_TARGET')
      case 'full':
        return this.#refuse('QUEUE_FULL')
      case 'waiting':
        this.attemptMs = this.context.clock.nowMs
        return UPSTREAM_WAITING
      default:
        return this.reach(acquired)
    }
  }

  /** Its turn in the queue. The head, and what of the body was held back, can follow where the connection is open. */
  onTurn(target: Target | undefined): void {
    if (target === undefined) {
      this.user.onUpstreamTurn(this.#refuse('NO_TARGET'))
      return
    }
    const state = this.reach(target)
    if (state === UPSTREAM_READY) this.conn!.write(this.head.bytes, 0, this.head.length)
    this.user.onUpstreamTurn(state)
  }

  /** Milliseconds that are left to reach a target. Ends what has taken too long. */
  checkTime(nowMs: number): number {
    // A dial that had to wait for a socket has its time from when it began.
    const sinceMs = this.waitTicket === 0 ? Math.max(this.attemptMs, this.conn?.dialledMs ?? 0) : this.attemptMs
    const restMs = sinceMs + this.timeoutMs - nowMs
    if (restMs > 0) return restMs
    if (this.waitTicket === 0) {
      this.abandonDial()
    } else {
      this.session.route.group.cancel(this)
      this.user.onUpstreamTurn(this.#refuse('QUEUE_TIMEOUT'))
    }
    return restMs
  }

  #refuse(reason: ReasonCode): UpstreamState {
    this.refusal = reason
    return UPSTREAM_NONE
  }

  /**
   * The connection was lost before a byte of the response came, and the request may be sent again: once more on a new
   * connection where this was an old one that the target may have closed while it was idle, else as `retries` allows. The
   * target may have read it each time, so both are retries that the budget knows of.
   */
  resend(refused: boolean, held: Uint8Array | undefined): UpstreamState {
    if (refused) {
      if (held !== undefined) this.head.keepAll(held)
      const state = this.connectElsewhere('CONNECT_FAILED')
      // Where the others turned out to be full, the one that it was with is given back already.
      if (state !== UPSTREAM_NONE || held !== undefined || this.target === undefined) return state
    }
    if (!this.reused) return this.connectElsewhere('TARGET_RESET')
    if (!this.session.route.group.retryBudget.tryRetry()) return UPSTREAM_NONE
    this.resent = true
    this.context.countRetry()
    return this.dial(this.target!)
  }

  /**
   * Tries another target where the one that it was with is at fault, and where `retries`, its budget and the other targets
   * allow. The head is written again.
   */
  connectElsewhere(reason: ReasonCode): UpstreamState {
    const { group } = this.session.route
    const failed = this.target!
    if (this.#attemptsLeft === 0 || !group.mayRetryOn(reason)) return UPSTREAM_NONE
    if (!group.hasOther(failed, this.tried) || !group.retryBudget.tryRetry()) return UPSTREAM_NONE
    group.finish(failed)
    this.tried.push(failed.slot)
    this.target = undefined
    this.#attemptsLeft--
    this.context.countRetry()
    const state = this.pickAndConnect()
    if (state === UPSTREAM_READY) this.conn!.write(this.head.bytes, 0, this.head.length)
    return state
  }

  /** The request is over, whatever became of it. */
  finish(): void {
    if (this.waitTicket !== 0) this.session.route.group.cancel(this)
    if (this.target !== undefined) this.session.route.group.finish(this.target)
    this.target = undefined
  }
}
