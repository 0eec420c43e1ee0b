import type { Clock } from '../../src/core/clock.js'
import { isLostAt } from '../../src/core/hybrid-clock.js'
import type {
  HealthNews,
  MergeOutcome,
  MeshEntry,
  MeshState,
  OperatorEntry,
  Stamp,
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
  readonly onOperator: (entry: OperatorEntry, from?: string) => void
  readonly onTickets: (entry: TicketsEntry) => void
}

/** Everything this host shares, as the replica sees it: sessions in shared memory, operator state, ticket keys. */
export class LocalState implements MeshState {
  readonly #parts: LocalStateParts
  #tickets: TicketsEntry | undefined

  constructor(parts: LocalStateParts) {
    this.#parts = parts
  }

  /**
   * The primary knows it, and the other hosts may not yet. False where something later is known, which the primary is told
   * of: it may know of it, or may have put this in its place while the clock was set back.
   */
  own(entry: OperatorEntry | TicketsEntry): boolean {
    const { ledger, clock, onOperator, onTickets } = this.#parts
    if (entry.kind === 'operator') {
      if (ledger.merge(entry, clock.wallMs, clock.wallMs) !== 'older') return true
      onOperator(ledger.current(entry)!)
      return false
    }
    const known = this.#tickets
    if (known !== undefined && !this.#replacesTickets(entry, known)) {
      if (replaces(known, entry)) onTickets(known)
      return false
    }
    this.#tickets = entry
    return true
  }

  /** What this host is to say again, so that it is not forgotten: what operators want of targets that it has. */
  refresh(): readonly OperatorEntry[] {
    const { ledger, names, clock } = this.#parts
    return ledger.refresh(clock.wallMs, ({ group, target }) => names.targetSlot(group, target) >= 0)
  }

  /**
   * The host's clock was set back: see `OperatorLedger.restamp`. Returns what is to be said now, which the primary is told
   * as well.
   */
  restamp(next: () => Readonly<Stamp>): readonly (OperatorEntry | TicketsEntry)[] {
    const { ledger, clock, onOperator, onTickets } = this.#parts
    const operators = ledger.restamp(clock.wallMs, next)
    for (const entry of operators) onOperator(entry)
    const tickets = this.#tickets
    if (tickets === undefined || !isLostAt(tickets, clock.wallMs)) return operators
    this.#tickets = { ...tickets, ...next() }
    onTickets(this.#tickets)
    return [...operators, this.#tickets]
  }

  merge(entry: MeshEntry, sentMs: number, from?: string): MergeOutcome {
    const { sessions, ledger, clock, onOperator, onTickets } = this.#parts
    switch (entry.kind) {
      case 'session':
        return sessions.merge(entry)
      case 'operator': {
        const outcome = ledger.merge(entry, sentMs, clock.wallMs)
        if (outcome === 'news') onOperator(entry, from)
        return outcome
      }
      case 'tickets': {
        const known = this.#tickets
        if (known !== undefined && !this.#replacesTickets(entry, known))
          return replaces(known, entry) ? 'older' : 'known'
        this.#tickets = entry
        onTickets(entry)
        return 'news'
      }
    }
  }

  #replacesTickets(entry: TicketsEntry, known: TicketsEntry): boolean {
    return replaces(entry, known) || isLostAt(known, this.#parts.clock.wallMs)
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
