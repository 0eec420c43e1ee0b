import type { Config } from '../core/config.js'
import type { Directory } from '../core/directory.js'
import { ADMIN_STATES, type AdminState, CHECK_INITIAL, CHECK_UNCHECKED } from '../core/target-state.js'
import type { TargetTable } from '../shm/targets.js'

/** What the operator wants of the targets: the primary alone writes it. */
export class OperatorState {
  readonly #table: TargetTable
  readonly #drainingMs: readonly number[]
  /** As the configuration has them. */
  readonly #weights: readonly number[]

  /** Enters every target as the config has it: its weight, active, and unproven where checks will have a say. */
  constructor(config: Config, directory: Directory, table: TargetTable, nowMs: number) {
    this.#table = table
    this.#drainingMs = directory.targets.map(({ group }) => config.targetGroups[group]!.drainingMs)
    this.#weights = directory.targets.map(
      ({ group, id }) => config.targetGroups[group]!.targets.find((target) => target.id === id)!.weight,
    )
    directory.targets.forEach(({ group }, slot) => {
      const { healthCheck } = config.targetGroups[group]!
      table.setWeight(slot, this.#weights[slot]!)
      table.setCheck(slot, healthCheck.protocol === 'off' ? CHECK_UNCHECKED : CHECK_INITIAL, 0, nowMs)
    })
  }

  /** Draining lets go when the group's time for it is over, maintenance at once. */
  setState(slot: number, state: AdminState, nowMs: number): void {
    const drainMs = state === 'draining' ? this.#drainingMs[slot]! : 0
    this.#table.setAdmin(slot, ADMIN_STATES.indexOf(state), nowMs + drainMs)
  }

  setWeight(slot: number, weight: number): void {
    this.#table.setWeight(slot, weight)
  }

  /** What is wanted of a target now; a weight of −1 is the configuration's. */
  wishFor(slot: number): { state: AdminState; weight: number; drainUntilMs: number } {
    const weight = this.#table.weight(slot)
    return {
      state: ADMIN_STATES[this.#table.admin(slot)]!,
      weight: weight === this.#weights[slot] ? -1 : weight,
      drainUntilMs: this.#table.drainUntilMs(slot),
    }
  }

  /** The same from another host. */
  adopt(slot: number, state: AdminState, weight: number, drainUntilMs: number): void {
    this.#table.setWeight(slot, weight < 0 ? this.#weights[slot]! : weight)
    this.#table.setAdmin(slot, ADMIN_STATES.indexOf(state), drainUntilMs)
  }
}
