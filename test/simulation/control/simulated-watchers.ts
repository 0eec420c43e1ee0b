import type { Clock } from '../../../src/core/clock.js'
import type { TargetSlot } from '../../../src/core/directory.js'
import { CHECK_HEALTHY, CHECK_UNHEALTHY } from '../../../src/core/target-state.js'
import type { Checker } from '../../../src/health/checker.js'
import { TargetTable } from '../../../src/shm/targets.js'
import { CheckedTargets, type CurrentTarget } from '../../../workers/probe/checked-targets.js'
import type { Task, ToThread } from './simulated-proxy.js'
import { insist } from './violation.js'

type Message = ToThread | { readonly type: 'start'; readonly task: Task }

/** A thread beside the proxies: its messages come when the simulation says so. */
abstract class SimulatedWatcher {
  /** Undefined while nobody would get them. */
  queue: Message[] | undefined
  protected table: TargetTable | undefined

  get running(): boolean {
    return this.table !== undefined
  }

  send(message: ToThread): void {
    this.queue?.push(message)
  }

  deliver(): void {
    const message = this.queue?.shift()
    if (message?.type === 'start') {
      this.table = new TargetTable(message.task.counters.segments)
      this.start(message.task, this.table)
    } else if (message?.type === 'segment') this.table!.addSegment(message.segment)
    else if (message !== undefined) this.take(message, this.table!)
  }

  die(_how?: number): void {
    this.queue = undefined
    this.table = undefined
  }

  protected abstract start(task: Task, table: TargetTable): void
  protected abstract take(message: Exclude<ToThread, { type: 'segment' }>, table: TargetTable): void
}

/** The probe thread's lists; what its checks find is the simulation's to say. */
export class SimulatedProbe extends SimulatedWatcher {
  checked = new Set<CurrentTarget>()
  #targets: CheckedTargets | undefined
  readonly #clock: Clock

  constructor(clock: Clock) {
    super()
    this.#clock = clock
  }

  /** Slots and generations. */
  get places(): readonly TargetSlot[] {
    return [...this.checked].map(({ placed }) => placed)
  }

  /** One of the targets is checked; returns what is news of it. */
  find(choice: number, isGood: (target: TargetSlot) => boolean): TargetSlot | undefined {
    const { places, table } = this
    const placed = places[choice % Math.max(1, places.length)]
    if (placed === undefined || table === undefined) return undefined
    insist(
      table.generation(placed.slot) === placed.generation,
      'a check writes for a target that is not there any more',
    )
    const state = isGood(placed) ? CHECK_HEALTHY : CHECK_UNHEALTHY
    if (table.check(placed.slot) === state) return undefined
    table.setCheck(placed.slot, state, 0, this.#clock.steadyMs)
    return placed
  }

  override die(): void {
    super.die()
    this.checked = new Set()
  }

  protected start({ snapshot, targets, targetsVersion }: Task, table: TargetTable): void {
    const { checked } = this
    const check = (target: CurrentTarget): Checker => {
      const checker = {
        start: async () => void checked.add(target),
        stop: () => void checked.delete(target),
        look() {},
      }
      return checker as unknown as Checker
    }
    this.#targets = new CheckedTargets(check, table, this.#clock)
    table.probeSnapshot = snapshot.version
    for (const list of targets) void this.#targets.setTargets(list)
    this.#targets.takeOn(targetsVersion)
  }

  protected take(message: Exclude<ToThread, { type: 'segment' }>, table: TargetTable): void {
    const lists = message.type === 'targets' ? [message.targets] : message.targets
    if (message.type === 'snapshot' && message.snapshot.version <= table.probeSnapshot) return
    for (const list of lists) void this.#targets!.setTargets(list)
    if (message.type === 'targets') return
    this.#targets!.takeOn(message.targetsVersion)
    table.probeSnapshot = message.snapshot.version
  }
}
