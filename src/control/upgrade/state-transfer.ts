import type { Clock } from '../../core/clock.js'
import type { SessionStore } from '../../core/session-store.js'
import type { TicketKeyStore } from '../../core/ticket-keys.js'
import type { Logger } from '../../observe/log.js'
import type { TargetTable } from '../../shm/targets.js'
import type { InForce } from '../in-force.js'
import type { TargetRegistry } from '../target-registry.js'
import type { HandedState, SessionsFrame } from './frames.js'
import type { Takeover } from './predecessor.js'
import { exportSessions, importSessions, type SessionParts } from './session-transfer.js'
import { exportTargets, importTargets, type TargetParts } from './target-transfer.js'

export interface TransferParts {
  readonly inForce: InForce
  readonly registry: TargetRegistry
  readonly table: TargetTable
  readonly sessions: SessionStore
  readonly ticketKeys: TicketKeyStore
  readonly sessionSeed: Uint8Array
  readonly cookieSecret: string
  readonly log: Logger
  /** Sessions of the process before have come in. */
  readonly onSessions: () => void
  /** As of now. */
  readonly clock: () => Clock
}

/** All that outlives the process in an upgrade, beside the sockets; as the one before gives it, and the new one takes it. */
export class StateTransfer implements Takeover {
  readonly #parts: TransferParts
  readonly #sessions: SessionParts
  readonly #targets: TargetParts
  /** Sessions of the process before are found by the keys that this one makes. */
  #hasSameKeys = true

  constructor(parts: TransferParts) {
    const { sessions: store, registry, table, clock, inForce } = parts
    this.#parts = parts
    this.#sessions = { store, groups: () => inForce.directory.groups, targets: () => registry.all, clock }
    this.#targets = { groups: () => inForce.snapshot.groups.map((group) => group?.config), registry, table, clock }
  }

  /** By `Clock.steadyMs`. */
  get nowMs(): number {
    return this.#parts.clock().steadyMs
  }

  current(): HandedState {
    const { sessionSeed, cookieSecret, ticketKeys } = this.#parts
    return {
      type: 'state',
      sessionSeed,
      cookieSecret,
      ticketKeys: ticketKeys.current,
      ...exportTargets(this.#targets),
    }
  }

  usedSince(steadyMs: number): AsyncGenerator<SessionsFrame> {
    return exportSessions(this.#sessions, steadyMs)
  }

  async state(state: HandedState): Promise<void> {
    const { ticketKeys, sessionSeed, log } = this.#parts
    if (!Buffer.from(state.ticketKeys).equals(ticketKeys.current)) ticketKeys.adopt(state.ticketKeys)
    const hasSameKeys = Buffer.from(state.sessionSeed).equals(sessionSeed)
    if (!hasSameKeys && this.#hasSameKeys) {
      log.warn('upgrade: learned sessions of the process before are of another secret, and end with it')
    }
    this.#hasSameKeys = hasSameKeys
    await importTargets(state, this.#targets)
  }

  sessions(frame: SessionsFrame): void {
    if (this.#hasSameKeys && importSessions(frame, this.#sessions) > 0) this.#parts.onSessions()
  }
}
