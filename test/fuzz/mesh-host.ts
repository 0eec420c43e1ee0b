import { ManualClock } from '../../src/core/clock.js'
import type { TargetGroupConfig } from '../../src/core/config.js'
import { LocalHybridClock } from '../../src/core/hybrid-clock.js'
import type { MeshEntry, MeshState, MeshTransport, OperatorEntry } from '../../src/core/mesh.js'
import { ADMIN_STATES } from '../../src/core/target-state.js'
import { OperatorLedger } from '../../src/mesh/operator-ledger.js'
import { Replica } from '../../src/mesh/replica.js'
import { Sealer } from '../../src/mesh/seal.js'
import { SessionEntries } from '../../src/mesh/session-entries.js'
import { createSharedCounters } from '../../src/shm/columns.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { TargetTable } from '../../src/shm/targets.js'
import { LocalState } from '../../workers/mesh/local-state.js'
import { DirectoryNames } from '../../workers/mesh/names.js'

export const GROUP = 'web'
export const TARGET = '10.0.0.1:80'
const CAPACITY = { workers: 1, listeners: 1, series: 1, rules: 1, groups: 1, targets: 2, sessions: 4_096 }
/** A transport with nothing behind it: frames are handed to the replica. */
const NOWHERE: MeshTransport = {
  open: () => {},
  publish: (_frame, done) => done(true),
  save: (_key, _frame, _ttlMs, done) => done(true),
  pending: 0,
  close: async () => {},
}

/** The mesh thread's parts as they are in the product, over memory of their own; what they would hand to the primary is kept. */
export class MeshHost {
  readonly clock = new ManualClock(0, Date.UTC(2026, 0, 1))
  readonly replica: Replica
  readonly state: MeshState
  readonly operators: OperatorEntry[] = []
  readonly tickets: Uint8Array[] = []
  /** What the log would say. */
  readonly said: string[] = []
  readonly #sessions: SessionEntries

  constructor(secret: string) {
    const { clock } = this
    const counters = createSharedCounters(CAPACITY, true)
    const table = new TargetTable(counters.segments)
    const generation = table.occupy(0, 10, 2, 0)
    const place = { slot: 0, generation, group: 0, id: TARGET, host: '10.0.0.1', port: 80, address: '10.0.0.1' }
    const names = new DirectoryNames(
      { groups: [{ slot: 0, generation: 1, since: 1, config: { name: GROUP } as TargetGroupConfig }] },
      [{ group: 0, version: 1, targets: [place] }],
    )
    this.#sessions = new SessionEntries(new SessionTable(counters.sessions, 1, clock), names, clock, (key) =>
      this.replica.forget(key),
    )
    this.state = new LocalState({
      sessions: this.#sessions,
      ledger: new OperatorLedger(),
      names,
      table,
      clock,
      onOperator: (entry) => this.operators.push(entry),
      onTickets: ({ keys }) => this.tickets.push(keys),
    })
    this.replica = new Replica(
      { node: 'here', boot: 'boot of here', version: '1.2.3', heartbeatMs: 1_000 },
      {
        transport: NOWHERE,
        sealer: new Sealer(secret),
        state: this.state,
        clock: new LocalHybridClock('here', () => clock.wallMs),
        time: clock,
        onPeer: ({ node, version }, change) => this.said.push(node, version, change),
        onLink: () => {},
        onAhead: (node) => this.said.push(node),
        onSkipped: (node) => this.said.push(node),
      },
    )
    this.replica.onUp(false)
  }

  /** A second passes: time for beats, and for peers to fall silent. */
  pass(): void {
    this.clock.advance(1_000)
    this.replica.tick()
  }

  knows(entry: MeshEntry): boolean {
    return this.state.current(entry) !== undefined
  }

  /** What must hold whatever was sent. */
  faults(): string[] {
    const found: string[] = []
    for (const { weight, state, drainUntilMs } of this.operators.splice(0)) {
      if (!Number.isInteger(weight) || weight < -1 || weight > 100) found.push(`a weight of ${weight} was handed on`)
      if (!ADMIN_STATES.includes(state)) found.push(`the state ${state} was handed on`)
      if (!(drainUntilMs <= this.clock.wallMs + 24 * 3_600_000))
        found.push(`a drain until ${drainUntilMs} was handed on`)
    }
    for (const { length } of this.tickets.splice(0)) {
      if (length === 0 || length % 80 !== 0 || length > 16 * 80)
        found.push(`${length} bytes of ticket keys were handed on`)
    }
    for (const text of this.said.splice(0))
      if (!/^[ -~]*$/.test(text)) found.push(`${JSON.stringify(text)} would be shown`)
    for (const { node, lastSeenMs } of this.replica.peers.list) {
      if (!(lastSeenMs <= this.clock.wallMs)) found.push(`peer ${node} was seen at ${lastSeenMs}`)
    }
    return found
  }

  /** The same of all sessions that are kept; takes a while. */
  sessionFaults(): string[] {
    const found: string[] = []
    for (const entry of this.state.page(0, CAPACITY.sessions, 0).entries) {
      if (entry.kind !== 'session') continue
      if (!(entry.expiresMs <= this.clock.wallMs + 3 * 24 * 3_600_000))
        found.push(`a session until ${entry.expiresMs} is kept`)
    }
    return found
  }
}
