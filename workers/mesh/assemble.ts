import { type Clock, SystemClock } from '../../src/core/clock.js'
import type { ClusterConfig } from '../../src/core/config.js'
import { isLostAt, LOST_AHEAD_MS } from '../../src/core/hybrid-clock.js'
import type { HybridClock, MeshTransport, Stamp } from '../../src/core/mesh.js'
import type { FromMesh, MeshTask, ToMesh } from '../../src/core/messages.js'
import { unpackSnapshot } from '../../src/core/packed-snapshot.js'
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
/** Less is what a time server does all the time. */
const STEP_MS = 1_000

/** What the thread has from the system. */
export interface MeshSurroundings {
  clock(task: Pick<MeshTask, 'counters'>): Clock
  /** `onPolicy` as of RedisTransport. */
  transport(cluster: ClusterConfig, onPolicy: (policy: string) => void): MeshTransport
}

const SYSTEM: MeshSurroundings = {
  clock: ({ counters }) => new SystemClock(counters.steadyOriginMs),
  transport: ({ redis, name }, onPolicy) => new RedisTransport(redis, name, onPolicy),
}

/** The parts of the mesh thread, joined. */
export class MeshThread {
  readonly clock: Clock
  readonly table: TargetTable
  readonly names: DirectoryNames
  readonly state: LocalState
  readonly replica: Replica
  readonly #post: (message: FromMesh) => void
  readonly #stamps: HybridClock
  readonly #stamp: Stamp = { high: 0, low: 0 }
  readonly #sessions: SessionEntries
  readonly #outboxes: readonly Outbox[]
  readonly #key = new Int32Array(SESSION_KEY_WORDS)
  readonly #session = blankEntry()
  /** Until then everything that the workers wrote was read, by `Clock.steadyMs`. */
  #readUntilMs: number
  #refreshAtMs: number
  /** Of the steady one, as of the last turn. */
  #wallAheadMs: number
  /** By which Redis throws away what is kept; empty where it does not. */
  evictionPolicy = ''
  readonly said: MeshLog
  link: { readonly up: boolean; readonly sinceMs: number; readonly reason: string }

  constructor(task: Omit<MeshTask, 'port'>, log: Logger, post: (message: FromMesh) => void, surroundings = SYSTEM) {
    this.#post = post
    const { counters } = task
    const { config } = task.snapshot
    const cluster: ClusterConfig = config.cluster!
    const clock = surroundings.clock(task)
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
      onOperator: (entry, from) => post({ type: 'operator', entry, from }),
      onTickets: (entry) => post({ type: 'tickets', entry }),
    })
    const transport = surroundings.transport(cluster, (policy) => {
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
    this.#wallAheadMs = clock.wallMs - clock.steadyMs
    for (const entry of task.known) this.state.own(entry)
    // The clock may have been set while there was no mesh thread.
    this.#restamp()
    if (task.muted) this.replica.mute(() => {})
    if (task.again) {
      for (const outbox of this.#outboxes) outbox.skipToEnd()
      this.replica.resync(0)
    }
  }

  /** One turn: what the workers wrote goes out, and whatever is due is done. */
  turn(): void {
    this.clock.refresh()
    this.#followClock()
    let isEmpty = true
    for (const outbox of this.#outboxes) isEmpty = this.#empty(outbox) && isEmpty
    if (isEmpty) this.#readUntilMs = this.clock.steadyMs - WORKER_CLOCK_MS
    if (this.clock.nowMs >= this.#refreshAtMs) {
      this.#refreshAtMs = this.clock.nowMs + REFRESH_MS
      for (const entry of this.state.refresh()) this.replica.change(entry)
    }
    this.replica.tick()
  }

  /** What the primary says. */
  take(message: Exclude<ToMesh, { readonly type: 'stop' }>): void {
    switch (message.type) {
      case 'operator':
      case 'tickets':
        if (!this.state.own(message.entry)) return
        // The clock was set back while this was on its way.
        if (isLostAt(message.entry, this.clock.wallMs)) this.#restamp()
        else this.replica.change(message.entry)
        return
      case 'verdict': {
        const name = this.names.nameOf(message.slot)
        const { state, reason } = message
        if (name !== undefined) this.replica.news({ kind: 'health', ...name, state, reason })
        return
      }
      case 'mute':
        this.#mute(message.muted)
        return
      case 'resync':
        this.replica.resync(message.sinceMs)
        return
      case 'segment':
        this.table.addSegment(message.segment)
        return
      case 'targets':
        this.names.setTargets(message.targets)
        return
      case 'snapshot': {
        const content = unpackSnapshot(message.packed)
        this.said.log.level = content.snapshot.config.log.level
        this.#apply(content)
        return
      }
    }
  }

  #mute(muted: boolean): void {
    if (!muted) {
      this.replica.unmute()
      return
    }
    // What the workers wrote until now is still said.
    this.turn()
    this.replica.mute(() => this.#post({ type: 'muted' }))
  }

  /** Other groups may be there from here on, or other targets in them. */
  #apply({ snapshot, targets }: Pick<MeshTask, 'snapshot' | 'targets'>): void {
    if (snapshot.version <= this.table.meshSnapshot) return
    this.names.setGroups(snapshot)
    for (const list of targets) this.names.setTargets(list)
    this.table.meshSnapshot = snapshot.version
  }

  /**
   * What a clock stamped that was ahead nobody else has taken: it is said again, some of it once its time has come. So is
   * what a clock said that was behind, and is answered with what others have said since.
   */
  #followClock(): void {
    const { wallMs, steadyMs } = this.clock
    const byMs = wallMs - steadyMs - this.#wallAheadMs
    this.#wallAheadMs += byMs
    if (Math.abs(byMs) < STEP_MS) return
    if (byMs < 0) this.#restamp()
    this.#refreshAtMs = Math.min(this.#refreshAtMs, this.clock.nowMs + LOST_AHEAD_MS)
  }

  #restamp(): void {
    for (const entry of this.state.restamp(() => this.#nextStamp())) this.replica.change(entry)
  }

  #nextStamp(): Readonly<Stamp> {
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
