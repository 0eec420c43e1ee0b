import type { Clock } from '../../src/core/clock.js'
import type {
  HealthNews,
  MergeOutcome,
  MeshEntry,
  MeshState,
  OperatorEntry,
  TicketsEntry,
} from '../../src/core/mesh.js'
import { CHECK_STATES } from '../../src/core/target-state.js'
import { replaces } from '../../src/mesh/merge-order.js'
import type { OperatorLedger } from '../../src/mesh/operator-ledger.js'
import type { SessionEntries, TargetNames } from '../../src/mesh/session-entries.js'
import type { TargetTable } from '../../src/shm/targets.js'

export interface LocalStateParts {
  readonly sessions: SessionEntries
  readonly ledger: OperatorLedger
  readonly names: TargetNames
  readonly table: TargetTable
  readonly clock: Clock
  /** News for the primary, which alone writes operator state and hands out ticket keys. */
  readonly onOperator: (entry: OperatorEntry) => void
  readonly onTickets: (keys: Uint8Array) => void
}

/** Everything this host shares, as the replica sees it: sessions in shared memory, operator state, ticket keys. */
export class LocalState implements MeshState {
  readonly #parts: LocalStateParts
  #tickets: TicketsEntry | undefined

  constructor(parts: LocalStateParts) {
    this.#parts = parts
  }

  /** What this host itself has made or been told, before it goes out. */
  own(entry: OperatorEntry | TicketsEntry): void {
    if (entry.kind === 'tickets') this.#tickets = entry
    else this.#parts.ledger.merge(entry, this.#parts.clock.wallMs)
  }

  /** What this host is to say again, so that it is not forgotten: what operators want of targets that it has. */
  refresh(): readonly OperatorEntry[] {
    const { ledger, names, clock } = this.#parts
    return ledger.refresh(clock.wallMs, ({ group, target }) => names.targetSlot(group, target) >= 0)
  }

  /** This host has a target that it did not have before: what operators said of it earlier holds. */
  announce(group: string, target: string): void {
    const { ledger, onOperator } = this.#parts
    const entry = ledger.all.find((candidate) => candidate.group === group && candidate.target === target)
    if (entry !== undefined) onOperator(entry)
  }

  merge(entry: MeshEntry, sentMs: number): MergeOutcome {
    const { sessions, ledger, onOperator, onTickets } = this.#parts
    switch (entry.kind) {
      case 'session':
        return sessions.merge(entry)
      case 'operator': {
        const outcome = ledger.merge(entry, sentMs)
        if (outcome === 'news') onOperator(entry)
        return outcome
      }
      case 'tickets': {
        const known = this.#tickets
        if (known !== undefined && !replaces(entry, known)) return replaces(known, entry) ? 'older' : 'known'
        this.#tickets = entry
        onTickets(entry.keys)
        return 'news'
      }
    }
  }

  current(entry: MeshEntry): MeshEntry | undefined {
    switch (entry.kind) {
      case 'session':
        return this.#parts.sessions.current(entry)
      case 'operator':
        return this.#parts.ledger.current(entry)
      case 'tickets':
        return this.#tickets
    }
  }

  page(cursor: number, limit: number, sinceMs: number): { entries: readonly MeshEntry[]; next: number } {
    const page = this.#parts.sessions.page(cursor, limit, sinceMs)
    if (cursor > 0) return page
    const tickets = this.#tickets === undefined ? [] : [this.#tickets]
    return { entries: [...this.#parts.ledger.all, ...tickets, ...page.entries], next: page.next }
  }

  /** Another host sees the target otherwise: this one looks now, and believes its own eyes. */
  onHealth({ group, target, state }: HealthNews): void {
    const { names, table } = this.#parts
    const slot = names.targetSlot(group, target)
    if (slot >= 0 && CHECK_STATES[table.check(slot)] !== state) table.askForCheck(slot)
  }
}
