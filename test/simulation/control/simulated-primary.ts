import pino from 'pino'
import { Apply } from '../../../src/control/apply.js'
import { Binds } from '../../../src/control/bind.js'
import { ClusterLink } from '../../../src/control/cluster-link.js'
import { Dispatcher } from '../../../src/control/dispatch.js'
import { growTables } from '../../../src/control/grow-tables.js'
import { InForce } from '../../../src/control/in-force.js'
import { capacityFor } from '../../../src/control/next-snapshot.js'
import { snapshotMemory } from '../../../src/control/snapshot-memory.js'
import { TargetRegistry } from '../../../src/control/target-registry.js'
import { LocalTicketKeys, ROTATE_MS } from '../../../src/control/ticket-keys.js'
import type { ManualClock } from '../../../src/core/clock.js'
import type { Config } from '../../../src/core/config.js'
import { RECORD_FD, RECORD_LISTENER, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { CastorError } from '../../../src/core/errors.js'
import { packSnapshot } from '../../../src/core/packed-snapshot.js'
import type { Snapshot } from '../../../src/core/snapshot.js'
import type { AdminState } from '../../../src/core/target-state.js'
import { createSharedCounters } from '../../../src/shm/columns.js'
import { WORKER_SNAPSHOT } from '../../../src/shm/layout.js'
import { createOutbox } from '../../../src/shm/outbox.js'
import { SessionTable } from '../../../src/shm/sessions.js'
import { SharedHybridClock } from '../../../src/shm/shared-hybrid-clock.js'
import { Later } from './later.js'
import { SimulatedMesh } from './simulated-mesh.js'
import { SimulatedNames } from './simulated-names.js'
import { SimulatedProxy, type Task, type ToThread } from './simulated-proxy.js'
import { SimulatedSockets } from './simulated-sockets.js'
import { SimulatedProbe } from './simulated-watchers.js'
import { PlaceLedger, SlotLedger, WatchedColumns, WatchedTable } from './slot-ledger.js'
import type { World } from './world.js'

/** More sessions than there can be: nobody's is pushed out. */
const SESSIONS = 256
/** So few that readers miss some. */
const OUTBOX_RECORDS = 16
const SILENT = pino({ level: 'silent' })

/** The primary's part of the control plane, and the threads that it tells; what joins them is `Threads` in miniature. */
export class SimulatedPrimary {
  readonly clock: ManualClock
  readonly later = new Later()
  readonly sockets = new SimulatedSockets(this.later)
  readonly names = new SimulatedNames(this.later)
  readonly inForce: InForce
  readonly columns: WatchedColumns
  readonly table: WatchedTable
  readonly registry: TargetRegistry
  readonly binds: Binds
  readonly dispatcher: Dispatcher
  readonly proxies: readonly SimulatedProxy[]
  readonly probe: SimulatedProbe
  readonly mesh: SimulatedMesh
  readonly cluster: ClusterLink
  /** Its timer is the simulation's. */
  readonly ticketKeys = new LocalTicketKeys()
  #keysSinceMs: number
  /** The primary's door to the sessions of all threads. */
  readonly sessions: SessionTable
  readonly ledger = new SlotLedger()
  readonly places = new PlaceLedger()
  readonly #apply: Apply
  /** Changes of the configuration that are under way. */
  applying = 0
  badCertificate = false
  /** What came about, for whoever wants to know what a course was worth. */
  readonly tally = { applied: 0, refused: 0, deaths: 0 }

  constructor(config: Config, boot: string, clock: ManualClock, world: World) {
    this.clock = clock
    this.#keysSinceMs = clock.nowMs
    this.probe = new SimulatedProbe(clock)
    this.mesh = new SimulatedMesh(boot, world, clock, this.later)
    const { sockets, names, ledger } = this
    this.inForce = new InForce(config)
    const { inForce } = this
    const counters = {
      ...createSharedCounters({ ...capacityFor(config, inForce.snapshot), sessions: SESSIONS }),
      outboxes: Array.from({ length: config.workers }, () => createOutbox(OUTBOX_RECORDS)),
    }
    this.sessions = new SessionTable(counters.sessions, 0, clock)
    this.columns = new WatchedColumns(counters, this.places)
    this.table = new WatchedTable(counters.segments, this.places)
    const tell = (message: ToThread): void => {
      for (const thread of [...this.proxies, this.probe]) thread.send(message)
      const isPlain = message.type !== 'snapshot'
      this.cluster.send(isPlain ? message : { type: 'snapshot', packed: packSnapshot(message) })
    }
    this.registry = new TargetRegistry(
      inForce.snapshot.groups,
      {
        table: this.table,
        columns: this.columns,
        addresses: names.addresses,
        versions: inForce.versions,
        tell,
        onGone() {},
      },
      clock.steadyMs,
    )
    this.cluster = new ClusterLink({
      cluster: config.cluster!,
      snapshot: () => inForce.snapshot,
      registry: this.registry,
      ticketKeys: this.ticketKeys,
      clock: () => clock,
      log: SILENT,
      stamps: new SharedHybridClock(counters.hybridClock, config.node, () => clock.wallMs),
      mesh: (listeners) => this.mesh.keeper(listeners),
    })
    this.ticketKeys.onChange = (keys) => {
      this.#keysSinceMs = clock.nowMs
      this.cluster.tellTickets(keys)
    }
    this.binds = new Binds(sockets.opener(), inForce.binds)
    this.proxies = Array.from(
      { length: config.workers },
      (_, index) => new SimulatedProxy(index + 1, clock, sockets, world),
    )
    this.dispatcher = new Dispatcher(this.columns, this.proxies, (records, at) =>
      sockets.close(records[at + RECORD_FD]!),
    )
    const memory = snapshotMemory(this.columns, this.registry, inForce, this.dispatcher)
    inForce.connect({
      listeners: ledger.watch('listeners', memory.listeners),
      groups: ledger.watch('groups', memory.groups),
      series: ledger.watch('series', memory.series),
      rules: ledger.watch('rules', memory.rules),
      binds: ledger.watch('binds', memory.binds),
    })
    this.#apply = new Apply({
      inForce,
      binds: this.binds,
      certificates: { prepare: () => this.#prepareCertificates() },
      addresses: names.addresses,
      registry: this.registry,
      table: this.table,
      log: SILENT,
      workers: config.workers,
      steadyMs: () => clock.steadyMs,
      sleep: (ms) => this.later.sleep(ms, clock.nowMs),
      makeRoom: (next) => growTables(inForce.neededFor(next), this, tell),
      publish: (snapshot) => {
        ledger.change(snapshot)
        tell({ type: 'snapshot', snapshot, ...this.#lists() })
      },
      acknowledged: () => this.acknowledged,
    })
  }

  get threads() {
    return [...this.proxies, this.probe, this.mesh]
  }

  get snapshot(): Snapshot {
    return this.inForce.snapshot
  }

  get acknowledged(): number {
    const { columns, table } = this
    return Math.min(columns.leastOfWorkers(WORKER_SNAPSHOT), table.probeSnapshot, table.meshSnapshot)
  }

  /** The sockets are open and every thread is on its way. */
  async start(): Promise<void> {
    this.later.isAtOnce = true
    const binds = await this.binds.prepare(this.snapshot.config)
    this.later.isAtOnce = false
    this.inForce.bound(binds)
    this.ledger.change(this.snapshot)
    binds.commit()
    this.binds.resume()
    for (const thread of this.threads) await this.restart(thread)
    void this.cluster.start()
  }

  /** Resolves to whether the configuration holds. */
  async apply(config: Config): Promise<boolean> {
    this.applying++
    try {
      await this.#apply.apply(config)
      this.tally.applied++
      return true
    } catch (cause) {
      // Anything else is a fault of the program.
      if (!(cause instanceof CastorError)) throw cause
      this.tally.refused++
      return false
    } finally {
      this.applying--
    }
  }

  /** What the thread of a place starts with, once it has a place to get messages. */
  async restart(thread: SimulatedProxy | SimulatedProbe | SimulatedMesh): Promise<void> {
    if (thread.queue !== undefined) return
    const queue: { type: 'start'; task: Task }[] = []
    thread.queue = queue
    await this.binds.descriptors()
    const { snapshot } = this.inForce
    const task: Task = { snapshot, counters: this.columns.shared, ...this.#lists() }
    queue.unshift({ type: 'start', task })
  }

  kill(thread: SimulatedProxy | SimulatedProbe | SimulatedMesh, how: number): void {
    if (!thread.running) return
    thread.die(how)
    this.tally.deaths++
    if (thread instanceof SimulatedMesh) this.sessions.breakLocks(this.proxies.length + 1)
    if (!(thread instanceof SimulatedProxy)) return
    this.columns.retire(thread.column)
    this.sessions.breakLocks(thread.column)
    this.dispatcher.replace(thread)
  }

  /** The process ends without a word, and all that it had with it. */
  die(how: number): void {
    this.mesh.die(how)
  }

  remove(slot: number, now: boolean): void {
    this.registry.remove(slot, now, this.clock.steadyMs)
  }

  setState(slot: number, state: AdminState): void {
    this.registry.setState(slot, state, this.clock.steadyMs)
    this.cluster.tellOperator(slot)
  }

  setWeight(slot: number, weight: number): void {
    this.registry.setWeight(slot, weight, this.clock.steadyMs)
    this.cluster.tellOperator(slot)
  }

  /** A client connects to one of the addresses that accept. */
  connect(choice: number): void {
    const accepting = [...this.sockets.listening.values()].filter(({ accepts }) => accepts)
    const socket = accepting[choice % Math.max(1, accepting.length)]
    if (socket === undefined) return
    const record = new Int32Array(RECORD_WORDS)
    record[RECORD_FD] = this.sockets.take(`${socket.address} port ${socket.port}`)
    record[RECORD_LISTENER] = socket.slot
    this.dispatcher.dispatch(record, 1)
  }

  /** As often as the primary does it: what is gone is let go of. */
  look(): void {
    this.registry.look(this.clock.steadyMs)
    this.inForce.look(this.acknowledged)
  }

  /** So much time has passed. */
  pass(ms: number): void {
    this.clock.advance(ms)
    this.later.tick(this.clock.nowMs)
    if (this.clock.nowMs - this.#keysSinceMs >= ROTATE_MS) this.ticketKeys.rotate()
  }

  #lists() {
    return { targets: this.registry.lists(), targetsVersion: this.inForce.versions.current }
  }

  #prepareCertificates() {
    if (this.badCertificate) {
      this.badCertificate = false
      throw new CastorError('CONFIG_INVALID', 'a certificate cannot be used')
    }
    return { commit() {} }
  }
}
