import type { Config } from '../core/config.js'
import type { Directory } from '../core/directory.js'
import { ADMIN_STATES, type AdminState, CHECK_INITIAL, CHECK_UNCHECKED } from '../core/target-state.js'
import type { TargetTable } from '../shm/targets.js'

/** What the operator wants of the targets: the primary alone writes it. */
export class OperatorState {
  readonly #table: TargetTable
  readonly #drainingMs: readonly number[]

  /** Enters every target as the config has it: its weight, active, and unproven where checks will have a say. */
  constructor(config: Config, directory: Directory, table: TargetTable, nowMs: number) {
    this.#table = table
    this.#drainingMs = directory.targets.map(({ group }) => config.targetGroups[group]!.drainingMs)
    directory.targets.forEach(({ group, id }, slot) => {
      const { healthCheck, targets } = config.targetGroups[group]!
      table.setWeight(slot, targets.find((target) => target.id === id)!.weight)
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
}
