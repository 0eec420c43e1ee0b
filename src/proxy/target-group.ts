// Hot path: a pick a request.
import type { Balancer, BalancerTarget, GroupView } from '../core/balancer.js'
import type { Clock } from '../core/clock.js'
import type { TargetConfig, TargetGroupConfig } from '../core/config.js'
import type { Endpoint } from '../core/conn.js'
import { IdlePool } from '../net/idle-pool.js'
import type { TimerWheel } from '../net/timer-wheel.js'
import { RetryBudget } from '../protect/retry-budget.js'
import { type Columns, recordDuration } from '../shm/columns.js'
import { TARGET_CONNECTIONS, TARGET_FAILURES, TARGET_LATENCY, TARGET_REQUESTS } from '../shm/layout.js'

/** What a target needs of its thread. */
export interface TargetServices {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly columns: Columns
  readonly column: number
}

/** A target in one thread: where it is, its idle connections, and its words in the thread's column. */
export class Target implements BalancerTarget {
  readonly slot: number
  readonly id: string
  readonly weight: number
  readonly port: number
  readonly pool: IdlePool
  /** IP address; empty while the name could not be resolved. */
  address: string
  readonly #words: Float64Array
  readonly #at: number
  readonly #inFlightAt: number

  constructor(slot: number, config: TargetConfig, address: string, services: TargetServices) {
    this.slot = slot
    this.id = config.id
    this.weight = config.weight
    this.port = config.port
    this.address = address
    this.#words = services.columns.words
    this.#at = services.columns.targetAt(services.column, slot)
    this.#inFlightAt = services.columns.inFlightAt(services.column, slot)
    this.pool = new IdlePool(services.clock, services.wheel, () => this.connectionClosed())
  }

  /** First word of the target's counters. */
  get countersAt(): number {
    return this.#at
  }

  /** A request or connection was given to it. */
  begin(): void {
    this.#words[this.#at + TARGET_REQUESTS]!++
    this.#words[this.#inFlightAt]!++
  }

  finish(): void {
    this.#words[this.#inFlightAt]!--
  }

  responded(durationMs: number): void {
    recordDuration(this.#words, this.#at + TARGET_LATENCY, durationMs)
  }

  failed(): void {
    this.#words[this.#at + TARGET_FAILURES]!++
  }

  connectionOpened(): void {
    this.#words[this.#at + TARGET_CONNECTIONS]!++
  }

  connectionClosed(): void {
    this.#words[this.#at + TARGET_CONNECTIONS]!--
  }
}

/** A target group in one thread: the balancer and what it looks at. */
export class TargetGroup implements GroupView {
  readonly config: TargetGroupConfig
  readonly groupSlot: number
  readonly retryBudget: RetryBudget
  /** Those that may be chosen now. */
  targets: readonly Target[] = []
  version = 0
  readonly #all: readonly Target[]
  readonly #bySlot = new Map<number, Target>()
  readonly #balancer: Balancer
  readonly #columns: Columns
  readonly #key: { client: Endpoint } = { client: { family: 4, address: '', port: 0 } }

  constructor(
    config: TargetGroupConfig,
    groupSlot: number,
    targets: readonly Target[],
    balancer: Balancer,
    services: TargetServices,
  ) {
    this.config = config
    this.groupSlot = groupSlot
    this.#all = targets
    this.#balancer = balancer
    this.#columns = services.columns
    this.retryBudget = new RetryBudget(services.clock, config.retries.budgetPercent)
    for (const target of targets) this.#bySlot.set(target.slot, target)
    this.refresh()
  }

  /** The target for this client, never one whose slot is in `tried`; undefined when none is left. */
  pick(client: Endpoint, tried: readonly number[]): Target | undefined {
    this.#key.client = client
    const slot = this.#balancer.pick(this, this.#key, tried)
    return slot < 0 ? undefined : this.#bySlot.get(slot)
  }

  /** Whether there is an available target beside `but` and those in `tried`. */
  hasOther(but: Target, tried: readonly number[]): boolean {
    for (const target of this.targets) {
      if (target !== but && !tried.includes(target.slot)) return true
    }
    return false
  }

  inFlight(targetSlot: number): number {
    return this.#columns.inFlight(targetSlot)
  }

  nextTicket(): number {
    return this.#columns.nextTicket(this.groupSlot)
  }

  /** Looks again at which targets may be chosen. */
  refresh(): void {
    this.targets = this.#all.filter(isAvailable)
    this.version++
  }

  /** New addresses by slot; connections to the old ones live on until they end. */
  readdress(addresses: readonly string[]): void {
    for (const target of this.#all) {
      const address = addresses[target.slot] ?? ''
      if (address === target.address) continue
      target.address = address
      target.pool.closeAll()
    }
    this.refresh()
  }

  /** Gives up half of the idle connections, the oldest. */
  shrinkIdle(): void {
    for (const target of this.#all) target.pool.closeOldest(Math.ceil(target.pool.size / 2))
  }

  closeIdle(): void {
    for (const target of this.#all) target.pool.closeAll()
  }

  get idleConnections(): number {
    return this.#all.reduce((sum, target) => sum + target.pool.size, 0)
  }
}

/** The one place that says whether a target may get new traffic. */
export function isAvailable(target: Target): boolean {
  return target.weight > 0 && target.address !== ''
}
