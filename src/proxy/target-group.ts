// Hot path: a pick a request.
import { isDeepStrictEqual } from 'node:util'
import type { Balancer } from '../core/balancer.js'
import { targetFailureOf } from '../core/blame.js'
import type { Clock } from '../core/clock.js'
import type { TargetGroupConfig } from '../core/config.js'
import type { Endpoint } from '../core/conn.js'
import type { ReasonCode } from '../core/reasons.js'
import { keepsClients } from '../health/availability.js'
import { OutlierDetection } from '../health/outlier-detection.js'
import { RetryBudget } from '../limits/retry-budget.js'
import type { TargetTable } from '../shm/targets.js'
import { ChoosableTargets } from './choosable-targets.js'
import { Stickiness } from './stickiness.js'
import type { Target } from './target.js'
import { TargetOutcomes } from './target-outcomes.js'
import type { RulingGroup, TargetSet } from './target-set.js'
import type { Waiter } from './wait-list.js'
import { type QueuedGroup, type Refusal, WaitQueue } from './wait-queue.js'

const NOBODY: Endpoint = { family: 4, address: '', port: 0 }

/**
 * A target group in one thread by one version of its settings: who may be chosen, by which algorithm, and how long things
 * may take. A changed group is another one over the same targets. Requests finish under the one that they began under;
 * what is known of the targets, and who waits, belongs to the set.
 */
export class TargetGroup implements RulingGroup, QueuedGroup {
  readonly config: TargetGroupConfig
  readonly groupSlot: number
  readonly retryBudget: RetryBudget
  readonly stickiness: Stickiness | undefined
  readonly set: TargetSet
  /** What becomes of its requests is told here. */
  readonly outcomes: TargetOutcomes
  readonly #choosable: ChoosableTargets
  readonly #balancer: Balancer
  readonly #table: TargetTable
  readonly #clock: Clock
  readonly #key = { client: NOBODY, hash: -1 }
  /** Undefined without a limit: then requests that began here hold no places, whatever other settings say. */
  readonly #queue: WaitQueue | undefined

  /** `before` is what the set went by until now: what its settings have in common with these goes on. */
  constructor(config: TargetGroupConfig, set: TargetSet, balancer: Balancer, before?: TargetGroup) {
    const { clock, table } = set.services
    this.config = config
    this.groupSlot = set.groupSlot
    this.set = set
    this.#choosable = new ChoosableTargets(config, set)
    this.#balancer = balancer
    this.#table = table
    this.#clock = clock
    this.outcomes = new TargetOutcomes(set, this.#choosable, config.algorithm === 'peak-ewma')
    this.stickiness = stickinessOf(config, set, before)
    const { budgetPercent } = config.retries
    const hasBudget = before?.config.retries.budgetPercent === budgetPercent
    this.retryBudget = hasBudget ? before.retryBudget : new RetryBudget(clock, budgetPercent)
    if (config.maxConnectionsPerTarget > 0) this.#queue = set.queue ??= newQueue(set)
  }

  /** From here on the set goes by these settings. Whoever waits goes on to wait, by the new limits. */
  rule(): void {
    const { config, set } = this
    const { outlierDetection, maxConnectionsPerTarget, queue } = config
    const kept = set.outliers !== undefined && isDeepStrictEqual(set.config.outlierDetection, outlierDetection)
    if (!kept) set.outliers = outliersOf(config, set)
    set.rule(this)
    this.#refresh()
    set.queue?.goBy(this, maxConnectionsPerTarget || Number.POSITIVE_INFINITY, queue.size)
  }

  onTargets(): void {
    this.#refresh()
  }

  /** Every target, whatever its state. */
  get all(): readonly Target[] {
    return this.set.all
  }

  get targets(): ChoosableTargets['targets'] {
    return this.#choosable.targets
  }

  /**
   * A target for whoever asks, which counts it from here on: the one it is bound to, or as the algorithm says. Where the
   * group has a limit it may have to wait for its turn. To be given back by `finish` of the same group.
   */
  acquire(who: Waiter): Target | Refusal {
    this.set.outliers?.sawClient(who.client)
    if (this.#queue !== undefined) return this.#queue.acquire(who)
    const target = this.bound(who.affinity.slot, who.tried) ?? this.pick(who.client, who.hash, who.tried)
    if (target === undefined) return 'none'
    target.begin()
    return target
  }

  /** What `acquire` gave is over. */
  finish(target: Target): void {
    const queue = this.#queue
    queue?.giveBack(target)
    target.finish()
    queue?.freed()
  }

  /** It waits no more; harmless where it does not. */
  cancel(who: Waiter): void {
    this.#queue?.cancel(who)
  }

  bySlot(slot: number): Target | undefined {
    return this.set.bySlot(slot)
  }

  /** Whether the target may get new traffic now. */
  isChoosable(slot: number): boolean {
    return this.#choosable.has(slot)
  }

  /** The target for this client, never one whose slot is in `tried`; undefined when none is left. `hash` as in PickKey. */
  pick(client: Endpoint, hash: number, tried: readonly number[]): Target | undefined {
    if (this.#choosable.isOutdated) this.#refresh()
    this.#key.client = client
    this.#key.hash = hash
    const slot = this.#balancer.pick(this.#choosable, this.#key, tried)
    return slot < 0 ? undefined : this.set.bySlot(slot)
  }

  /** The target in `slot` if a client that is bound to it may still go there: also while it drains, not when it is down. */
  bound(slot: number, tried: readonly number[]): Target | undefined {
    if (slot < 0 || tried.includes(slot)) return undefined
    const target = this.set.bySlot(slot)
    if (target === undefined || target.address === '') return undefined
    if (this.#choosable.isOutdated) this.#refresh()
    return keepsClients(this.#table, slot, this.#clock.steadyMs, this.#choosable.ignoreEjections) ? target : undefined
  }

  /** Whether there is a target to pick. */
  get hasChoosable(): boolean {
    if (this.#choosable.isOutdated) this.#refresh()
    for (const target of this.#choosable.targets) if (target.weight > 0) return true
    return false
  }

  /** Whether there is a target to pick beside `but` and those in `tried`. */
  hasOther(but: Target, tried: readonly number[]): boolean {
    if (this.#choosable.isOutdated) this.#refresh()
    for (const target of this.#choosable.targets) {
      if (target.slot !== but.slot && target.weight > 0 && !tried.includes(target.slot)) return true
    }
    return false
  }

  /** Whether another target may have what came to nothing for this reason: where it is the target's fault, and `retries` say so. */
  mayRetryOn(reason: ReasonCode): boolean {
    const condition = targetFailureOf(reason)?.retryOn
    return condition !== undefined && this.config.retries.on.includes(condition)
  }

  /** Time has passed: what it alone changes is looked at, off the hot path. Of the settings in force only. */
  tick(): void {
    const { outliers, queue } = this.set
    outliers?.tick()
    if (this.#choosable.isDue) this.#refresh()
    queue?.tick()
  }

  #refresh(): void {
    if (this.#choosable.hasOtherTargets) this.stickiness?.setTargets(this.set.all)
    this.#choosable.refresh()
    this.#balancer.prepare?.(this.#choosable)
  }
}

function stickinessOf(
  { stickiness, name }: TargetGroupConfig,
  { groupSlot, services }: TargetSet,
  before: TargetGroup | undefined,
): Stickiness | undefined {
  if (stickiness.type === 'off') return undefined
  if (isDeepStrictEqual(before?.config.stickiness, stickiness)) return before!.stickiness
  return new Stickiness(stickiness, { slot: groupSlot, name }, services.sticky)
}

function outliersOf({ outlierDetection }: TargetGroupConfig, set: TargetSet): OutlierDetection | undefined {
  if (outlierDetection.on === 0) return undefined
  const { services, groupSlot } = set
  const sources = services.columns.sourcesOf(groupSlot, outlierDetection.windowMs)
  const outliers = new OutlierDetection(outlierDetection, { ...services, sources })
  outliers.setTargets(set.all)
  return outliers
}

function newQueue({ groupSlot, services }: TargetSet): WaitQueue {
  const { clock, column, columns, onFault } = services
  return new WaitQueue(groupSlot, { table: columns.waiting, clock, column, ...(onFault && { onFault }) })
}
