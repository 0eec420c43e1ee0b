import type { Directory } from '../../src/core/directory.js'
import type { TargetNames } from '../../src/mesh/session-entries.js'
import type { TargetTable } from '../../src/shm/targets.js'

/** What slots are called, by the directory of the moment. */
export class DirectoryNames implements TargetNames {
  readonly #table: TargetTable
  #directory: Directory
  readonly #slots = new Map<string, number>()

  constructor(directory: Directory, table: TargetTable) {
    this.#table = table
    this.#directory = directory
    this.update(directory)
  }

  update(directory: Directory): void {
    this.#directory = directory
    this.#slots.clear()
    directory.targets.forEach(({ group, id }, slot) => {
      this.#slots.set(`${directory.groups[group]}/${id}`, slot)
    })
  }

  groupOf(groupSlot: number): string | undefined {
    return this.#directory.groups[groupSlot]
  }

  groupSlot(group: string): number {
    return this.#directory.groups.indexOf(group)
  }

  targetOf(slot: number, generation: number): string | undefined {
    if (this.#table.generation(slot) !== generation) return undefined
    return this.#directory.targets[slot]?.id
  }

  targetSlot(group: string, target: string): number {
    return this.#slots.get(`${group}/${target}`) ?? -1
  }

  nameOf(slot: number): { group: string; target: string } | undefined {
    const entry = this.#directory.targets[slot]
    const group = entry && this.#directory.groups[entry.group]
    return group === undefined ? undefined : { group, target: entry!.id }
  }

  generation(slot: number): number {
    return this.#table.generation(slot)
  }
}
