// Hot path: a pick a request.
import type { Balancer, BalancerTarget, GroupView } from '../core/balancer.js'
import type { Clock } from '../core/clock.js'
import type { TargetGroupConfig } from '../core/config.js'
import type { Endpoint } from '../core/conn.js'
import type { GroupTargets } from '../core/directory.js'
import type { CastorError } from '../core/errors.js'
import { type FailureKind, failureOfStatus } from '../core/failure-kinds.js'
import { ADMIN_ACTIVE } from '../core/target-state.js'
import type { ClientTls } from '../core/tls.js'
import { isAvailable, isEjected, isWanted, keepsClients } from '../health/availability.js'
import { awaitedLatency, fadedLatency, failedLatency, peakEwma } from '../health/latency.js'
import { isPanic } from '../health/outlier.js'
import { OutlierDetection } from '../health/outlier-detection.js'
import { isRamping, nextRiseMs, rampedWeight } from '../health/slow-start.js'
import { RetryBudget } from '../limits/retry-budget.js'
import type { Columns } from '../shm/columns.js'
import type { TargetTable } from '../shm/targets.js'
import { Stickiness } from './stickiness.js'
import { Target, type TargetServices } from './target.js'
import type { Waiter } from './wait-list.js'
import { type Refusal, WaitQueue } from './wait-queue.js'

const RAMP_FINENESS = 10
/** A response time that is older than this no longer says how the target is. */
const STALE_MS = 3_000
const NOBODY: Endpoint = { family: 4, address: '', port: 0 }

/** A target group in one thread: the balancer and what it looks at. */
export class TargetGroup implements GroupView {
  readonly config: TargetGroupConfig
  readonly groupSlot: number
  readonly retryBudget: RetryBudget
  readonly stickiness: Stickiness | undefined
  /** Those that may be chosen now, their weights as they are now. */
  targets: readonly BalancerTarget[] = []
  version = 0
  #all: readonly Target[] = []
  #tlsFor: ((host: string) => ClientTls) | undefined
  /** With gaps: slots are counted over all groups. */
  #bySlot: readonly (Target | undefined)[] = []
  /** Of the list of targets that `#all` was made from. */
  #listVersion = -1
  readonly #services: TargetServices
  readonly #balancer: Balancer
  readonly #columns: Columns
  readonly #table: TargetTable
  readonly #clock: Clock
  /** Somebody reads the averaged response times. */
  readonly #averages: boolean
  /** The table's count of changes when `targets` was last worked out. */
  #seen = -1
  /** Epoch time from which on time alone changes something: an ejection ends, a weight rises. */
  #lookAgainMs = Number.POSITIVE_INFINITY
  /** Too few targets are left for them to count. */
  #ignoreEjections = false
  /** Undefined where it is off. */
  readonly #outliers: OutlierDetection | undefined
  /** Of the failure that was counted last. */
  #lastCause: CastorError | undefined
  readonly #key = { client: NOBODY, hash: -1 }
  /** Undefined without a limit. */
  readonly #queue: WaitQueue | undefined

  constructor(config: TargetGroupConfig, targets: GroupTargets, balancer: Balancer, services: TargetServices) {
    this.config = config
    this.groupSlot = targets.group
    this.#services = services
    this.#balancer = balancer
    this.#columns = services.columns
    this.#table = services.table
    this.#clock = services.clock
    this.#averages = config.algorithm === 'peak-ewma'
    const { stickiness } = config
    this.stickiness =
      stickiness.type === 'off'
        ? undefined
        : new Stickiness(stickiness, { slot: targets.group, name: config.name }, services.sticky)
    this.retryBudget = new RetryBudget(services.clock, config.retries.budgetPercent)
    if (config.outlierDetection.on !== 0) {
      const sources = services.columns.sourcesOf(targets.group, config.outlierDetection.windowMs)
      this.#outliers = new OutlierDetection(config.outlierDetection, { ...services, sources })
    }
    if (config.maxConnectionsPerTarget > 0) {
      const { clock, column, onFault } = services
      this.#queue = new WaitQueue(this, config, {
        table: services.columns.waiting,
        clock,
        column,
        ...(onFault && { onFault }),
      })
    }
    this.setTargets(targets)
  }

  /**
   * The group has these targets now. Those that it had already go on with their connections, unless their address is
   * another one: then what is idle is closed, and the rest lives on until it ends. Returns those that are gone, whose
   * connections are the caller's to end. A list that is older than the one in force changes nothing.
   */
  setTargets(list: GroupTargets): readonly Target[] {
    if (list.version <= this.#listVersion) return []
    this.#listVersion = list.version
    const before = this.#all
    this.#all = list.targets.map((placed) => {
      const kept = this.#bySlot[placed.slot]
      if (kept === undefined || kept.generation !== placed.generation) {
        return new Target(placed, this.#services, this.#tlsFor?.(placed.host))
      }
      kept.move(placed.address, kept.tls)
      return kept
    })
    const slots = this.#all.reduce((most, target) => Math.max(most, target.slot + 1), 0)
    const bySlot = new Array<Target | undefined>(slots).fill(undefined)
    for (const target of this.#all) {
      bySlot[target.slot] = target
      target.places = this.#queue
    }
    this.#bySlot = bySlot
    this.stickiness?.setTargets(this.#all)
    this.#outliers?.setTargets(this.#all)
    this.#refresh()
    // Whoever waited for what is gone waits for another from here on: its slot will be given out again.
    this.#queue?.tick()
    return before.filter((target) => bySlot[target.slot] !== target)
  }

  /** With what targets are spoken to from now on, those that are added later too. Throws what `tlsFor` throws. */
  setTls(tlsFor: (host: string) => ClientTls): void {
    const each = this.#all.map((target) => tlsFor(target.host))
    this.#all.forEach((target, index) => {
      target.move(target.address, each[index])
    })
    this.#tlsFor = tlsFor
  }

  /**
   * A target for whoever asks, which counts it from here on: the one it is bound to, or as the algorithm says. Where the
   * group has a limit it may have to wait for its turn.
   */
  acquire(who: Waiter): Target | Refusal {
    this.#outliers?.sawClient(who.client)
    if (this.#queue !== undefined) return this.#queue.acquire(who)
    const target = this.bound(who.affinity.slot, who.tried) ?? this.pick(who.client, who.hash, who.tried)
    if (target === undefined) return 'none'
    target.begin()
    return target
  }

  /** It waits no more; harmless where it does not. */
  cancel(who: Waiter): void {
    this.#queue?.cancel(who)
  }

  bySlot(slot: number): Target | undefined {
    return this.#bySlot[slot]
  }

  /** Whether the target may get new traffic now. */
  isChoosable(slot: number): boolean {
    return this.targets.some((target) => target.slot === slot && target.weight > 0)
  }

  /** The target for this client, never one whose slot is in `tried`; undefined when none is left. `hash` as in PickKey. */
  pick(client: Endpoint, hash: number, tried: readonly number[]): Target | undefined {
    if (this.#table.changes !== this.#seen) this.#refresh()
    this.#key.client = client
    this.#key.hash = hash
    const slot = this.#balancer.pick(this, this.#key, tried)
    return slot < 0 ? undefined : this.#bySlot[slot]
  }

  /** The target in `slot` if a client that is bound to it may still go there: also while it drains, not when it is down. */
  bound(slot: number, tried: readonly number[]): Target | undefined {
    if (slot < 0 || tried.includes(slot)) return undefined
    const target = this.#bySlot[slot]
    if (target === undefined || target.address === '') return undefined
    if (this.#table.changes !== this.#seen) this.#refresh()
    return keepsClients(this.#table, slot, this.#clock.steadyMs, this.#ignoreEjections) ? target : undefined
  }

  /** Whether there is a target to pick beside `but` and those in `tried`. */
  hasOther(but: Target, tried: readonly number[]): boolean {
    for (const target of this.targets) {
      if (target.slot !== but.slot && target.weight > 0 && !tried.includes(target.slot)) return true
    }
    return false
  }

  inFlight(targetSlot: number): number {
    return this.#columns.inFlight(targetSlot)
  }

  latencyMs(targetSlot: number): number {
    const table = this.#table
    const knownMs = table.latencyMs(targetSlot)
    if (knownMs === 0) return 0
    const sinceMs = this.#clock.steadyMs - table.latencyAtMs(targetSlot)
    const fadedMs = fadedLatency(knownMs, sinceMs)
    if (sinceMs < STALE_MS || this.#columns.inFlight(targetSlot) === 0) return fadedMs
    return awaitedLatency(knownMs, fadedMs, this.#averageMs())
  }

  /** Of what the targets were last known to take; harmonic, so that one that is failing hardly counts. */
  #averageMs(): number {
    let known = 0
    let sum = 0
    for (let i = 0; i < this.targets.length; i++) {
      const latencyMs = this.#table.latencyMs(this.targets[i]!.slot)
      if (latencyMs === 0) continue
      known++
      sum += 1 / latencyMs
    }
    return known === 0 ? 0 : known / sum
  }

  nextTicket(): number {
    return this.#columns.nextTicket(this.groupSlot)
  }

  /** Time has passed: what it alone changes is looked at, off the hot path. */
  tick(): void {
    this.#outliers?.tick()
    if (this.#clock.steadyMs >= this.#lookAgainMs || this.#table.changes !== this.#seen) this.#refresh()
    this.#queue?.tick()
  }

  /**
   * It failed a request before it answered. `cause` as the connection gave it: what ended with one connection, be it many
   * streams, was one failure.
   */
  countFailure(target: Target, kind: FailureKind, client: Endpoint, cause?: CastorError): void {
    target.failed()
    this.#penalize(target.slot, -1)
    if (cause !== undefined && cause === this.#lastCause) return
    this.#lastCause = cause
    this.#outliers?.countBad(target.slot, kind, client)
  }

  /** It answered. How fast belongs to what it shows of itself, but an error must not win it more requests. */
  countResponse(target: Target, status: number, durationMs: number, client: Endpoint): void {
    const outliers = this.#outliers
    const failure = failureOfStatus(status)
    target.responded(durationMs)
    if (failure === 0) {
      outliers?.countGood(target.slot, target.countersAt)
      this.#average(target.slot, durationMs)
      return
    }
    target.failed()
    this.#penalize(target.slot, durationMs)
    if (outliers?.counts(failure)) outliers.countBad(target.slot, failure, client)
    else outliers?.countGood(target.slot, target.countersAt)
  }

  /** It accepted a connection, in a group where that is all that can be seen of an answer. */
  countAccepted(target: Target, durationMs: number): void {
    target.responded(durationMs)
    this.#outliers?.countAccepted(target.slot, target.countersAt)
    this.#average(target.slot, durationMs)
  }

  /** The connection that it accepted has served its client. */
  countServed(target: Target): void {
    this.#table.clearFailures(target.slot)
  }

  /** It cut the answer that it had begun with this status, or the connection before a byte; 0 in the latter case. */
  countCut(target: Target, status: number, client: Endpoint): void {
    const failure = failureOfStatus(status)
    if (failure !== 0 && this.#outliers?.counts(failure)) return
    target.failed()
    this.#outliers?.countReset(target.slot, target.countersAt, client)
  }

  #average(slot: number, durationMs: number): void {
    if (!this.#averages) return
    const table = this.#table
    const nowMs = this.#clock.steadyMs
    table.setLatency(slot, peakEwma(table.latencyMs(slot), durationMs, nowMs - table.latencyAtMs(slot)), nowMs)
  }

  #penalize(slot: number, durationMs: number): void {
    this.#table.setLatency(slot, failedLatency(this.latencyMs(slot), durationMs), this.#clock.steadyMs)
  }

  /** Every target, whatever its state. */
  get all(): readonly Target[] {
    return this.#all
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

  /** Works out which targets may be chosen, and at what weight. */
  #refresh(): void {
    const table = this.#table
    const nowMs = this.#clock.steadyMs
    this.#seen = table.changes
    this.#lookAgainMs = Number.POSITIVE_INFINITY
    const reachable = this.#all.filter((target) => target.address !== '')
    const available = this.#available(reachable, nowMs)
    // Every target down: with failOpen those that the operator has not taken out are tried all the same.
    const failOpen = available.length === 0 && this.config.failOpen
    const chosen = failOpen ? reachable.filter((target) => table.admin(target.slot) === ADMIN_ACTIVE) : available
    this.targets = this.#weigh(chosen, nowMs)
    for (const { slot } of reachable) {
      if (isEjected(table, slot, nowMs)) this.#lookAgainMs = Math.min(this.#lookAgainMs, table.ejectedUntilMs(slot))
    }
    this.version++
    this.#balancer.prepare?.(this)
  }

  /** Those that may get new traffic; the ejected ones too where too few would be left without them. */
  #available(reachable: readonly Target[], nowMs: number): readonly Target[] {
    const table = this.#table
    const left = reachable.filter(({ slot }) => isAvailable(table, slot, nowMs, false))
    const wanted = this.#all.filter(({ slot }) => isWanted(table, slot)).length
    const taking = left.filter(({ slot }) => table.weight(slot) > 0).length
    this.#ignoreEjections = isPanic(wanted, taking, this.config.panicPercent)
    return this.#ignoreEjections ? reachable.filter(({ slot }) => isAvailable(table, slot, nowMs, true)) : left
  }

  /** Weights as they are now; while one rises all are told in finer steps, so that a small one rises evenly too. */
  #weigh(targets: readonly Target[], nowMs: number): BalancerTarget[] {
    const table = this.#table
    const { slowStartMs } = this.config
    let ramping = false
    for (const { slot } of targets) {
      const fromMs = this.#inServiceSinceMs(slot, nowMs)
      if (!isRamping(fromMs, slowStartMs, nowMs)) continue
      ramping = true
      this.#lookAgainMs = Math.min(this.#lookAgainMs, nextRiseMs(fromMs, slowStartMs, nowMs))
    }
    return targets.map(({ slot, id }) => {
      const weight = table.weight(slot)
      if (!ramping) return { slot, id, weight }
      return {
        slot,
        id,
        weight: rampedWeight(weight * RAMP_FINENESS, this.#inServiceSinceMs(slot, nowMs), slowStartMs, nowMs),
      }
    })
  }

  /** When it came into service last, by the checks, the operator or the end of an ejection; 0 = long ago. */
  #inServiceSinceMs(slot: number, nowMs: number): number {
    const table = this.#table
    const ejectedUntilMs = table.ejectedUntilMs(slot)
    return ejectedUntilMs > nowMs ? table.rampFromMs(slot) : Math.max(table.rampFromMs(slot), ejectedUntilMs)
  }
}
