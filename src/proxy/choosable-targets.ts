// Hot path: a pick looks here. What is derived is worked out when something has changed.
import type { BalancerTarget, GroupView } from '../core/balancer.js'
import type { Clock } from '../core/clock.js'
import type { TargetGroupConfig } from '../core/config.js'
import { ADMIN_ACTIVE } from '../core/target-state.js'
import { isAvailable, isEjected } from '../health/availability.js'
import { awaitedLatency, fadedLatency } from '../health/latency.js'
import { ignoresEjections } from '../health/panic.js'
import { isRamping, nextRiseMs, rampedWeight } from '../health/slow-start.js'
import type { Columns } from '../shm/columns.js'
import type { TargetTable } from '../shm/targets.js'
import type { Target } from './target.js'
import type { TargetSet } from './target-set.js'

const RAMP_FINENESS = 10
/** A response time that is older than this no longer says how the target is. */
const STALE_MS = 3_000

/** Which of a group's targets may be chosen now, and at what weight, by one version of the group's settings. */
export class ChoosableTargets implements GroupView {
  readonly groupSlot: number
  /** Their weights as they are now. */
  targets: readonly BalancerTarget[] = []
  version = 0
  /** Too few targets are left for ejections to count. */
  ignoreEjections = false
  readonly #config: TargetGroupConfig
  readonly #set: TargetSet
  readonly #columns: Columns
  readonly #table: TargetTable
  readonly #clock: Clock
  /** The table's and the set's counts of changes when `targets` was last worked out. */
  #seenTable = -1
  #seenSet = -1
  /** Steady time from which on time alone changes something: an ejection ends, a weight rises. */
  #lookAgainMs = Number.POSITIVE_INFINITY

  constructor(config: TargetGroupConfig, set: TargetSet) {
    const { columns, table, clock } = set.services
    this.groupSlot = set.groupSlot
    this.#config = config
    this.#set = set
    this.#columns = columns
    this.#table = table
    this.#clock = clock
  }

  /** Something has changed since `refresh`. */
  get isOutdated(): boolean {
    return this.#table.changes !== this.#seenTable || this.#set.changes !== this.#seenSet
  }

  /** The set's targets are other ones than those that `refresh` saw. */
  get hasOtherTargets(): boolean {
    return this.#set.changes !== this.#seenSet
  }

  /** The same, or time alone has changed something. */
  get isDue(): boolean {
    return this.#clock.steadyMs >= this.#lookAgainMs || this.isOutdated
  }

  /** Whether the target may get new traffic now. */
  has(slot: number): boolean {
    return this.targets.some((target) => target.slot === slot && target.weight > 0)
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
    return awaitedLatency(knownMs, fadedMs, this.averageMs())
  }

  /** Of what the targets were last known to take; harmonic, so that one that is failing hardly counts. */
  averageMs(): number {
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

  /** Works out which targets may be chosen, and at what weight. */
  refresh(): void {
    const table = this.#table
    const nowMs = this.#clock.steadyMs
    this.#seenTable = table.changes
    this.#seenSet = this.#set.changes
    this.#lookAgainMs = Number.POSITIVE_INFINITY
    const reachable = this.#set.all.filter((target) => target.address !== '')
    const available = this.#available(reachable, nowMs)
    // Every target down: with failOpen those that the operator has not taken out are tried all the same.
    const failOpen = available.length === 0 && this.#config.failOpen
    const chosen = failOpen ? reachable.filter((target) => table.admin(target.slot) === ADMIN_ACTIVE) : available
    this.targets = this.#weigh(chosen, nowMs)
    for (const { slot } of reachable) {
      if (isEjected(table, slot, nowMs)) this.#lookAgainMs = Math.min(this.#lookAgainMs, table.ejectedUntilMs(slot))
    }
    this.version++
  }

  /** Those that may get new traffic; the ejected ones too where too few would be left without them. */
  #available(reachable: readonly Target[], nowMs: number): readonly Target[] {
    const table = this.#table
    this.ignoreEjections = ignoresEjections(table, this.#set.all, this.#config.panicPercent, nowMs)
    return reachable.filter(({ slot }) => isAvailable(table, slot, nowMs, this.ignoreEjections))
  }

  /** Weights as they are now; while one rises all are told in finer steps, so that a small one rises evenly too. */
  #weigh(targets: readonly Target[], nowMs: number): BalancerTarget[] {
    const table = this.#table
    const { slowStartMs } = this.#config
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
