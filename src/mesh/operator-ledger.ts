import type { MergeOutcome, OperatorEntry } from '../core/mesh.js'
import { entryName, replaces } from './merge-order.js'

/** What operators have said of targets, on any host, also of targets that this host does not have. */
export class OperatorLedger {
  readonly #entries = new Map<string, OperatorEntry>()

  merge(entry: OperatorEntry): MergeOutcome {
    const name = entryName(entry)
    const known = this.#entries.get(name)
    if (known !== undefined && !replaces(entry, known)) return replaces(known, entry) ? 'older' : 'known'
    this.#entries.set(name, entry)
    return 'news'
  }

  current(entry: OperatorEntry): OperatorEntry | undefined {
    return this.#entries.get(entryName(entry))
  }

  get all(): readonly OperatorEntry[] {
    return [...this.#entries.values()]
  }
}
