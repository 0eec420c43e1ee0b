import type { MergeOutcome, OperatorEntry } from '../core/mesh.js'
import { isOutdated } from './keeping.js'
import { entryName, replaces } from './merge-order.js'

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

  merge(entry: OperatorEntry, saidMs: number): MergeOutcome {
    const name = entryName(entry)
    const known = this.#kept.get(name)
    const isNews = known === undefined || replaces(entry, known.entry)
    if (!isNews && replaces(known.entry, entry)) return 'older'
    this.#kept.delete(name)
    this.#kept.set(name, { entry, saidMs: Math.max(saidMs, known?.saidMs ?? 0) })
    if (this.#kept.size > MAX_ENTRIES) this.#kept.delete(this.#kept.keys().next().value!)
    return isNews ? 'news' : 'known'
  }

  current(entry: OperatorEntry): OperatorEntry | undefined {
    return this.#kept.get(entryName(entry))?.entry
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

  get all(): readonly OperatorEntry[] {
    return [...this.#kept.values()].map(({ entry }) => entry)
  }
}
