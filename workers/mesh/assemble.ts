import { type Clock, SystemClock } from '../../src/core/clock.js'
import type { ClusterConfig } from '../../src/core/config.js'
import type { GroupTargets } from '../../src/core/directory.js'
import type { HybridClock, MeshTransport, Stamp } from '../../src/core/mesh.js'
import type { FromMesh, MeshTask } from '../../src/core/messages.js'
import { blankEntry, SESSION_KEY_WORDS } from '../../src/core/session-store.js'
import { OperatorLedger } from '../../src/mesh/operator-ledger.js'
import { RedisTransport } from '../../src/mesh/redis-transport.js'
import { Replica } from '../../src/mesh/replica.js'
import { Sealer } from '../../src/mesh/seal.js'
import { SessionEntries } from '../../src/mesh/session-entries.js'
import type { Logger } from '../../src/observe/log.js'
import { EVICTED_SLOT, Outbox } from '../../src/shm/outbox.js'
import { SessionTable } from '../../src/shm/sessions.js'
import { SharedHybridClock } from '../../src/shm/shared-hybrid-clock.js'
import { TargetTable } from '../../src/shm/targets.js'
import { LocalState } from './local-state.js'
import { MeshLog } from './mesh-log.js'
import { DirectoryNames } from './names.js'

/** Records taken from one worker in one turn, so that the others and the network get theirs. */
const RECORDS_A_TURN = 2_000
/** What this host wants to be remembered is said again so often; soon after the start for the first time. */
const REFRESH_MS = 12 * 60 * 60_000
const FIRST_REFRESH_MS = 10 * 60_000
/** A busy worker's clock stands still between its turns: what it writes may bear a time as old as that. */
const WORKER_CLOCK_MS = 1_000

/** The parts of the mesh thread, joined. */
export class MeshThread {
  readonly clock: Clock
  readonly table: TargetTable
  readonly names: DirectoryNames
  readonly state: LocalState
  readonly replica: Replica
  readonly #stamps: HybridClock
  readonly #stamp: Stamp = { high: 0, low: 0 }
  readonly #sessions: SessionEntries
  readonly #outboxes: readonly Outbox[]
  readonly #key = new Int32Array(SESSION_KEY_WORDS)
  readonly #session = blankEntry()
  /** Until then everything that the workers wrote was read, by `Clock.steadyMs`. */
  #readUntilMs: number
  #refreshAtMs: number
  /** By which Redis throws away what is kept; empty where it does not. */
  evictionPolicy = ''
  readonly said: MeshLog
  link: { readonly up: boolean; readonly sinceMs: number; readonly reason: string }

  constructor(task: MeshTask, log: Logger, post: (message: FromMesh) => void) {
    const { counters } = task
    const { config } = task.snapshot
    const cluster: ClusterConfig = config.cluster!
    const clock = new SystemClock(counters.steadyOriginMs)
    this.clock = clock
    this.table = new TargetTable(counters.segments)
    const { table } = this
    table.meshSnapshot = task.snapshot.version
    const wallMs = (): number => clock.wallMs
    this.#stamps = new SharedHybridClock(counters.hybridClock, config.node, wallMs)
    this.names = new DirectoryNames(task.snapshot, task.targets)
    // The last column: the primary has 0 and the workers theirs.
    const store = new SessionTable(counters.sessions, config.workers + 1, clock)
    this.#sessions = new SessionEntries(store, this.names, clock, (key) => this.replica.forget(key))
    this.state = new LocalState({
      sessions: this.#sessions,
      ledger: new OperatorLedger(),
      names: this.names,
      table,
      clock,
      onOperator: (entry) => post({ type: 'operator', entry }),
      onTickets: (keys) => post({ type: 'tickets', keys }),
    })
    const transport: MeshTransport = new RedisTransport(cluster.redis, cluster.name, (policy) => {
      this.evictionPolicy = policy
    })
    this.link = { up: false, sinceMs: clock.wallMs, reason: 'not connected yet' }
    this.said = new MeshLog(log, clock)
    const { said } = this
    let joined = false
    this.replica = new Replica(
      { node: config.node, boot: task.boot, version: task.version, heartbeatMs: cluster.heartbeatMs },
      {
        transport,
        sealer: new Sealer(cluster.secret),
        state: this.state,
        clock: this.#stamps,
        time: clock,
        onPeer: (peer, change) => said.peer(peer, change),
        onAhead: (node, aheadMs) => said.ahead(node, aheadMs),
        onSkipped: (node, skipped) => said.skipped(node, skipped),
        onLink: (up, reason) => {
          this.link = { up, sinceMs: this.link.up === up ? this.link.sinceMs : clock.wallMs, reason }
          said.link(up, reason)
          if (up && !joined) {
            joined = true
            post({ type: 'joined' })
          }
        },
      },
    )
    this.#outboxes = counters.outboxes.map((shared) => new Outbox(shared))
    this.#readUntilMs = clock.steadyMs - WORKER_CLOCK_MS
    this.#refreshAtMs = clock.nowMs + FIRST_REFRESH_MS
    if (task.again) {
      for (const outbox of this.#outboxes) outbox.skipToEnd()
      this.replica.resync(0)
    }
  }

  /** One turn: what the workers wrote goes out, and whatever is due is done. */
  turn(): void {
    this.clock.refresh()
    let isEmpty = true
    for (const outbox of this.#outboxes) isEmpty = this.#empty(outbox) && isEmpty
    if (isEmpty) this.#readUntilMs = this.clock.steadyMs - WORKER_CLOCK_MS
    if (this.clock.nowMs >= this.#refreshAtMs) {
      this.#refreshAtMs = this.clock.nowMs + REFRESH_MS
      for (const entry of this.state.refresh()) this.replica.change(entry)
    }
    this.replica.tick()
  }

  /** Other groups may be there from here on, or other targets in them. */
  apply({ snapshot, targets }: Pick<MeshTask, 'snapshot' | 'targets'>): void {
    if (snapshot.version <= this.table.meshSnapshot) return
    this.names.setGroups(snapshot)
    for (const list of targets) this.takeTargets(list)
    this.table.meshSnapshot = snapshot.version
  }

  /** A group has these targets now. */
  takeTargets(list: GroupTargets): void {
    const group = this.names.groupOf(list.group)
    for (const id of this.names.setTargets(list)) if (group !== undefined) this.state.announce(group, id)
  }

  /** The next stamp, for what this host itself has to say. */
  stamp(): Readonly<Stamp> {
    this.#stamps.next(this.#stamp)
    return this.#stamp
  }

  /** Returns false where it left some for the next turn. */
  #empty(outbox: Outbox): boolean {
    for (let i = 0; i < RECORDS_A_TURN; i++) {
      const outcome = outbox.next(this.#key, this.#session)
      if (outcome === 'none') return true
      if (outcome === 'missed') {
        this.replica.resync(this.#readUntilMs)
        continue
      }
      if (this.#session.targetSlot === EVICTED_SLOT) {
        this.replica.forget(this.#key)
        continue
      }
      // Another worker has evicted it since, and may have said so already: it must not come back to the store.
      if (!this.#sessions.has(this.#key)) continue
      const entry = this.#sessions.entryOf(this.#key, this.#session)
      if (entry !== undefined) this.replica.change(entry)
    }
    return false
  }
}
