// Looked into for each request.
import type { TargetGroupConfig } from '../core/config.js'
import type { GroupTargets } from '../core/directory.js'
import type { ClientTls } from '../core/tls.js'
import type { OutlierDetection } from '../health/outlier-detection.js'
import { Target, type TargetServices } from './target.js'
import type { WaitQueue } from './wait-queue.js'

/** The group's settings in force, and what goes by them. */
export interface RulingGroup {
  readonly config: TargetGroupConfig
  /** The set has other targets now. */
  onTargets(): void
  tick(): void
}

/**
 * The targets of one group in one thread: what stays while the group's settings change. Each target has its connections
 * and counts here, so that requests under old settings and new ones share them; so are the queue, where those who began
 * under old settings wait among the others, and what is known of failures.
 */
export class TargetSet {
  readonly groupSlot: number
  readonly services: TargetServices
  /** Grows with each list of targets that is taken on. */
  changes = 0
  /** Undefined where outlier detection is off. It goes by the settings in force, whoever reports to it. */
  outliers: OutlierDetection | undefined
  /** Made with the first limit, and kept: somebody may wait in it, or hold a place, after the limit is gone. */
  queue: WaitQueue | undefined
  #ruling: RulingGroup | undefined
  #all: readonly Target[] = []
  /** From the lowest slot on, with gaps: slots are counted over all groups. */
  #bySlot: readonly (Target | undefined)[] = []
  #firstSlot = 0
  #tlsFor: ((host: string) => ClientTls) | undefined
  /** Of the list of targets that `#all` was made from. */
  #listVersion = -1

  constructor(groupSlot: number, services: TargetServices) {
    this.groupSlot = groupSlot
    this.services = services
  }

  /** The settings in force. */
  get config(): TargetGroupConfig {
    return this.#ruling!.config
  }

  /** From here on these are the settings in force. */
  rule(group: RulingGroup): void {
    this.#ruling = group
  }

  /** Time has passed. To be called several times a second. */
  tick(): void {
    this.#ruling?.tick()
  }

  /** Every target, whatever its state. */
  get all(): readonly Target[] {
    return this.#all
  }

  bySlot(slot: number): Target | undefined {
    return slot < this.#firstSlot ? undefined : this.#bySlot[slot - this.#firstSlot]
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
      const kept = this.bySlot(placed.slot)
      if (kept === undefined || kept.generation !== placed.generation) {
        return new Target(placed, this.services, this.#tlsFor?.(placed.host))
      }
      kept.move(placed.address, kept.tls)
      return kept
    })
    let first = Number.POSITIVE_INFINITY
    let last = -1
    for (const { slot } of this.#all) {
      first = Math.min(first, slot)
      last = Math.max(last, slot)
    }
    const bySlot = new Array<Target | undefined>(Math.max(0, last - first + 1)).fill(undefined)
    for (const target of this.#all) bySlot[target.slot - first] = target
    this.#bySlot = bySlot
    this.#firstSlot = first
    this.changes++
    this.outliers?.setTargets(this.#all)
    this.#ruling?.onTargets()
    // Whoever waited for what is gone waits for another from here on: its slot will be given out again.
    this.queue?.tick()
    return before.filter((target) => this.bySlot(target.slot) !== target)
  }

  /** With what targets are spoken to from now on, those that are added later too. Throws what `tlsFor` throws. */
  setTls(tlsFor: (host: string) => ClientTls): void {
    const each = this.#all.map((target) => tlsFor(target.host))
    this.#all.forEach((target, index) => {
      target.move(target.address, each[index])
    })
    this.#tlsFor = tlsFor
  }

  /** Gives up half of the idle connections, the oldest. */
  shrinkIdle(): void {
    for (const target of this.#all) target.pool.closeOldest(Math.ceil(target.pool.size / 2))
  }

  closeIdle(): void {
    for (const target of this.#all) target.pool.closeAll()
  }

  /** Nothing of this thread is with any of them, and nobody waits to be. */
  get isQuiet(): boolean {
    if (this.queue !== undefined && this.queue.waiting > 0) return false
    return this.#all.every((target) => target.inFlight === 0 && target.connections === 0)
  }

  get idleConnections(): number {
    return this.#all.reduce((sum, target) => sum + target.pool.size, 0)
  }
}
