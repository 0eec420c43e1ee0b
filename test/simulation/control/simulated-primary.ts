import pino from 'pino'
import { Apply } from '../../../src/control/apply.js'
import { Binds } from '../../../src/control/bind.js'
import { Dispatcher } from '../../../src/control/dispatch.js'
import { growTables } from '../../../src/control/grow-tables.js'
import { InForce } from '../../../src/control/in-force.js'
import { capacityFor } from '../../../src/control/next-snapshot.js'
import { snapshotMemory } from '../../../src/control/snapshot-memory.js'
import { TargetRegistry } from '../../../src/control/target-registry.js'
import { ManualClock } from '../../../src/core/clock.js'
import type { Config } from '../../../src/core/config.js'
import { RECORD_FD, RECORD_LISTENER, RECORD_WORDS } from '../../../src/core/connection-record.js'
import { CastorError } from '../../../src/core/errors.js'
import type { Snapshot } from '../../../src/core/snapshot.js'
import { createSharedCounters } from '../../../src/shm/columns.js'
import { WORKER_SNAPSHOT } from '../../../src/shm/layout.js'
import { Later } from './later.js'
import { SimulatedNames } from './simulated-names.js'
import { SimulatedProxy, type Task, type ToThread } from './simulated-proxy.js'
import { SimulatedSockets } from './simulated-sockets.js'
import { SimulatedMesh, SimulatedProbe } from './simulated-watchers.js'
import { PlaceLedger, SlotLedger, WatchedColumns, WatchedTable } from './slot-ledger.js'

/** The primary's part of the control plane, and the threads that it tells; what joins them is `Threads` in miniature. */
export class SimulatedPrimary {
  readonly clock = new ManualClock()
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
  readonly probe = new SimulatedProbe(this.clock)
  readonly mesh = new SimulatedMesh()
  readonly ledger = new SlotLedger()
  readonly places = new PlaceLedger()
  readonly #apply: Apply
  /** Changes of the configuration that are under way. */
  applying = 0
  badCertificate = false
  /** What came about, for whoever wants to know what a course was worth. */
  readonly tally = { applied: 0, refused: 0, deaths: 0 }

  constructor(config: Config) {
    const { clock, sockets, names, ledger } = this
    this.inForce = new InForce(config)
    const { inForce } = this
    const counters = createSharedCounters({ ...capacityFor(config, inForce.snapshot), sessions: 1 })
    this.columns = new WatchedColumns(counters, this.places)
    this.table = new WatchedTable(counters.segments, this.places)
    const tell = (message: ToThread): void => {
      for (const thread of this.threads) thread.send(message)
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
    this.binds = new Binds(sockets.opener(), inForce.binds)
    this.proxies = Array.from({ length: config.workers }, (_, index) => new SimulatedProxy(index + 1, clock, sockets))
    this.dispatcher = new Dispatcher(this.columns, this.proxies, (fd) => sockets.close(fd))
    const memory = snapshotMemory(this.columns, this.registry, inForce, this.dispatcher)
    inForce.connect({
      listeners: ledger.watch('listeners', memory.listeners),
      groups: ledger.watch('groups', memory.groups),
      series: ledger.watch('series', memory.series),
      binds: ledger.watch('binds', memory.binds),
    })
    this.#apply = new Apply({
      inForce,
      binds: this.binds,
      certificates: { prepare: () => this.#prepareCertificates() },
      addresses: names.addresses,
      registry: this.registry,
      log: pino({ level: 'silent' }),
      workers: config.workers,
      steadyMs: () => clock.steadyMs,
      sleep: (ms) => this.later.sleep(clock.nowMs + ms),
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
    const queue: NonNullable<SimulatedProxy['queue']> = []
    thread.queue = queue
    await this.binds.descriptors()
    const { snapshot } = this.inForce
    const task: Task = { snapshot, counters: this.columns.shared, ...this.#lists() }
    queue.unshift({ type: 'start', task })
  }

  kill(thread: SimulatedProxy | SimulatedProbe | SimulatedMesh): void {
    if (!thread.running) return
    thread.die()
    this.tally.deaths++
    if (!(thread instanceof SimulatedProxy)) return
    this.columns.retire(thread.column)
    this.dispatcher.replace(thread)
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

  pass(ms: number): void {
    this.clock.advance(ms)
    this.later.tick(this.clock.nowMs)
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
