import { isLostAt } from '../core/hybrid-clock.js'
import type { MergeOutcome, OperatorEntry, Stamp } from '../core/mesh.js'
import { isOutdated } from './keeping.js'
import { entryName, operatorName, replaces } from './merge-order.js'

/** More than operators ever want anything of; what was said longest ago makes room. */
const MAX_ENTRIES = 10_000

interface Kept {
  readonly entry: OperatorEntry
  /** When somebody said so last, in milliseconds since the epoch. */
  readonly saidMs: number
}

/**
 * What operators have said of targets, on any host, also of targets that this host does not have; for as long as somebody
 * says it again now and then.
 */
export class OperatorLedger {
  /** By name, what was said longest ago first. */
  readonly #kept = new Map<string, Kept>()

  /** `wallMs`: now. What a clock stamped that was far ahead, and was set right since, stands against nothing. */
  merge(entry: OperatorEntry, saidMs: number, wallMs = Number.POSITIVE_INFINITY): MergeOutcome {
    const known = this.#kept.get(entryName(entry))
    const isNews = known === undefined || replaces(entry, known.entry) || isLostAt(known.entry, wallMs)
    if (!isNews && replaces(known.entry, entry)) return 'older'
    this.#keep(entry, Math.max(saidMs, known?.saidMs ?? 0))
    return isNews ? 'news' : 'known'
  }

  /** It was said on this host, by somebody who knew what it replaces. */
  own(entry: OperatorEntry, wallMs: number): void {
    this.#keep(entry, wallMs)
  }

  current(entry: OperatorEntry): OperatorEntry | undefined {
    return this.#kept.get(entryName(entry))?.entry
  }

  find(group: string, target: string): OperatorEntry | undefined {
    return this.#kept.get(operatorName(group, target))?.entry
  }

  /**
   * Forgets what nobody has said for too long. Returns what is to be said again, which is what `isHere` is true of: that
   * counts as said now.
   */
  refresh(wallMs: number, isHere: (entry: OperatorEntry) => boolean): readonly OperatorEntry[] {
    const again: OperatorEntry[] = []
    for (const [name, { entry, saidMs }] of [...this.#kept]) {
      if (isHere(entry)) {
        again.push(entry)
        this.#kept.set(name, { entry, saidMs: wallMs })
      } else if (isOutdated(entry, saidMs, wallMs)) this.#kept.delete(name)
    }
    return again
  }

  /**
   * The wall clock was set back: what it stamped while it was far ahead no other host has taken, and none would before
   * that time has come. It counts as said now, by the stamps that `next` gives. Returns what is to be said so.
   */
  restamp(wallMs: number, next: () => Readonly<Stamp>): readonly OperatorEntry[] {
    const lost = this.all.filter((entry) => isLostAt(entry, wallMs))
    return lost.map((entry) => {
      const again = { ...entry, ...next() }
      this.#keep(again, wallMs)
      return again
    })
  }

  #keep(entry: OperatorEntry, saidMs: number): void {
    const name = entryName(entry)
    this.#kept.delete(name)
    this.#kept.set(name, { entry, saidMs })
    if (this.#kept.size > MAX_ENTRIES) this.#kept.delete(this.#kept.keys().next().value!)
  }

  get all(): readonly OperatorEntry[] {
    return [...this.#kept.values()].map(({ entry }) => entry)
  }
}
