import type { Endpoint } from './conn.js'

/** A target as a balancer sees it. `slot` is its place in the shared tables and stays the same while the target lives. */
export interface BalancerTarget {
  readonly slot: number
  /** Unique in its group and the same on every host, unlike `slot`: what hashes are made of. */
  readonly id: string
  readonly weight: number
}

/**
 * What a pick may look at: the targets that may be chosen now, in config order, and the shared numbers.
 * `version` changes whenever `targets` or a weight does, so that what is derived from them can be kept.
 */
export interface GroupView {
  readonly groupSlot: number
  readonly targets: readonly BalancerTarget[]
  readonly version: number
  /** Requests or connections in flight to the target, over all threads. */
  inFlight(targetSlot: number): number
  /** Response time in milliseconds as averaged lately over all threads; 0 where nothing is known. */
  latencyMs(targetSlot: number): number
  /** The group's next ticket, counted over all threads; wraps at 2^32. */
  nextTicket(): number
}

/** What a request or connection offers to choose by. */
export interface PickKey {
  readonly client: Endpoint
  /** Hash of what the group's `hashOn` names, or −1 where it is the client's address or the request does not have it. */
  readonly hash: number
}

/**
 * Chooses a target. Pure over the view: no clock, no I/O, no state except what can be derived again from the view.
 * `tried` holds the slots that failed this request already; −1 when no target is left.
 */
export interface Balancer {
  /** Works out ahead what a pick will need after the view has changed; called off the hot path. */
  prepare?(view: GroupView): void
  pick(view: GroupView, key: PickKey, tried: readonly number[]): number
}
