import type { GroupTargets, TargetSlot } from '../../src/core/directory.js'
import type { Snapshot } from '../../src/core/snapshot.js'
import type { TargetNames } from '../../src/mesh/session-entries.js'

/**
 * What slots are called, by the lists of targets of the moment. A slot that was given to another target than the list
 * says has another generation by then, so that a session of either is not taken for one of the other.
 */
export class DirectoryNames implements TargetNames {
  #groups: readonly (string | undefined)[]
  /** By group slot. */
  readonly #lists = new Map<number, GroupTargets>()
  readonly #bySlot = new Map<number, TargetSlot>()
  readonly #byName = new Map<string, TargetSlot>()

  constructor({ groups }: Pick<Snapshot, 'groups'>, lists: readonly GroupTargets[]) {
    this.#groups = groups.map((entry) => entry?.config.name)
    for (const list of lists) this.setTargets(list)
  }

  /** The groups are called so now. */
  setGroups({ groups }: Pick<Snapshot, 'groups'>): void {
    this.#groups = groups.map((entry) => entry?.config.name)
  }

  /** A group has these targets now. */
  setTargets(list: GroupTargets): void {
    const known = this.#lists.get(list.group)
    if (known !== undefined && list.version <= known.version) return
    this.#lists.set(list.group, list)
    for (const { slot, group, id } of known?.targets ?? []) {
      this.#bySlot.delete(slot)
      this.#byName.delete(nameOf(group, id))
    }
    for (const target of list.targets) {
      this.#bySlot.set(target.slot, target)
      this.#byName.set(nameOf(target.group, target.id), target)
    }
  }

  groupOf(groupSlot: number): string | undefined {
    return this.#groups[groupSlot]
  }

  groupSlot(group: string): number {
    return this.#groups.indexOf(group)
  }

  targetOf(slot: number, generation: number): string | undefined {
    const target = this.#bySlot.get(slot)
    return target?.generation === generation ? target.id : undefined
  }

  targetSlot(group: string, target: string): number {
    return this.#byName.get(nameOf(this.groupSlot(group), target))?.slot ?? -1
  }

  nameOf(slot: number): { group: string; target: string } | undefined {
    const target = this.#bySlot.get(slot)
    const group = target && this.#groups[target.group]
    return group === undefined ? undefined : { group, target: target!.id }
  }

  generation(slot: number): number {
    return this.#bySlot.get(slot)?.generation ?? -1
  }
}

/** By the group's slot: a group that is leaving may have the name of another by now. */
function nameOf(group: number, id: string): string {
  return `${group}/${id}`
}
