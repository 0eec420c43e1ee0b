import type { AuditLog } from '../admin/audit.js'
import type { ClusterConfig } from '../core/config.js'
import type { FromProxy, SegmentMessage, TargetsMessage, ToProxy } from '../core/messages.js'
import { packSnapshot } from '../core/packed-snapshot.js'
import type { Snapshot } from '../core/snapshot.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import type { WholeAddon } from '../native/addon.js'
import type { Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import { meshRow, probeRow } from '../shm/heartbeats.js'
import { WORKER_SNAPSHOT } from '../shm/layout.js'
import type { SessionTable } from '../shm/sessions.js'
import { SharedHybridClock } from '../shm/shared-hybrid-clock.js'
import type { SourceTable } from '../shm/source-table.js'
import type { TargetTable } from '../shm/targets.js'
import type { WorkerFds } from './apply.js'
import type { Binds } from './bind.js'
import type { Certificates } from './certificates.js'
import { ClusterLink } from './cluster-link.js'
import type { DescriptorPlan } from './descriptors.js'
import { Dispatcher } from './dispatch.js'
import type { InForce } from './in-force.js'
import { MeshKeeper } from './mesh-thread.js'
import { firstChecksMs, ProbeKeeper } from './probe-thread.js'
import { Supervisor } from './supervise.js'
import type { TargetRegistry } from './target-registry.js'
import { PROBE_FILE } from './thread-files.js'
import type { Watchdog } from './watchdog.js'

/** What threads are made of and given. */
export interface ThreadParts {
  readonly workerFile: string
  readonly ownsProcess: boolean
  readonly version: string
  /** From another process, which speaks for the host in its cluster until then. */
  readonly takesOver: boolean
  readonly columns: Columns
  readonly table: TargetTable
  readonly sessions: SessionTable
  readonly sources: SourceTable
  readonly sessionSeed: Uint8Array
  readonly cookieSecret: string
  readonly addon: WholeAddon | undefined
  readonly watchdog: Watchdog
  readonly log: Logger
  readonly inForce: InForce
  readonly binds: Binds
  readonly registry: TargetRegistry
  readonly certificates: Certificates
  readonly ticketKeys: TicketKeyStore
  readonly descriptors: DescriptorPlan
  readonly clock: ConstructorParameters<typeof ClusterLink>[0]['clock']
  readonly audit: Pick<AuditLog, 'record'>
  onLine(line: string): void
  onMessage(message: FromProxy, reply: (message: ToProxy) => void): void
  /** Resets a connection that nobody will serve. */
  discard(records: Int32Array, at: number): void
}

/** The threads beside the primary: what each is given when it starts, and what all are told. */
export class Threads {
  readonly supervisor: Supervisor
  readonly dispatcher: Dispatcher
  readonly cluster: ClusterLink | undefined
  readonly #parts: ThreadParts
  readonly #probe: ProbeKeeper

  constructor(parts: ThreadParts) {
    this.#parts = parts
    const { inForce, columns, watchdog, log, sessions, workerFile, addon, onLine, onMessage, discard } = parts
    const { workers, cluster } = inForce.snapshot.config
    this.cluster = cluster && this.#makeCluster(cluster)
    this.#probe = new ProbeKeeper(
      PROBE_FILE,
      () => ({ ...this.#task(), ownsProcess: parts.ownsProcess, maxChecks: parts.descriptors.checks }),
      { watchdog, row: probeRow(workers) },
      log,
      onLine,
      (slot, state, reason) => this.cluster?.tellVerdict(slot, state, reason),
    )
    this.supervisor = new Supervisor({
      workerFile,
      workers,
      columns,
      watchdog,
      log,
      task: () => this.#workerTask(),
      waker: addon && {
        open: () => addon.openWaker(),
        wake: (fd) => addon.wake(fd),
        close: (fd) => addon.closeFd(fd, 0),
      },
      onMessage,
      onDeath: (slot) => {
        sessions.breakLocks(slot.column)
        parts.sources.fold(slot.column)
        this.dispatcher.replace(slot)
      },
      discard,
    })
    this.dispatcher = new Dispatcher(columns, this.supervisor.slots, discard)
  }

  async start(): Promise<void> {
    await Promise.all([
      this.supervisor.start(),
      this.#probe.start(firstChecksMs(this.#parts.inForce.snapshot.config)),
      // A drain that was ordered before this host started holds from the first request on.
      this.cluster?.start(),
    ])
  }

  /** Ends them, whatever they are at. */
  async stop(): Promise<void> {
    await Promise.all([this.supervisor.destroy(), this.#probe.stop(), this.cluster?.stop()])
  }

  tell(message: TargetsMessage | SegmentMessage): void {
    this.supervisor.broadcast(message)
    this.#probe.send(message)
    this.cluster?.send(message)
  }

  /** Another snapshot is in force. */
  tellSnapshot(snapshot: Snapshot, listeningFds: readonly WorkerFds[]): void {
    const tls = this.#parts.certificates.material(snapshot)
    const { registry, inForce } = this.#parts
    const targetsVersion = inForce.versions.current
    const packed = packSnapshot({ snapshot, targets: registry.lists(), targetsVersion })
    const message = { type: 'snapshot', packed } as const
    this.supervisor.tellEach((index) => {
      const fds = listeningFds[index]
      return { ...message, tls, ...(fds && { listeningFds: fds }) }
    })
    this.#probe.send({ ...message, tlsGroups: tls.groups })
    this.cluster?.send(message)
  }

  /** Certificates have changed. */
  tellTls(): void {
    const tls = this.#parts.certificates.material(this.#parts.inForce.snapshot)
    this.supervisor.broadcast({ type: 'tls', tls })
    this.#probe.send({ type: 'tls', tlsGroups: tls.groups })
  }

  tellTicketKeys(ticketKeys: Uint8Array): void {
    this.supervisor.broadcast({ type: 'ticket-keys', ticketKeys })
    this.cluster?.tellTickets(ticketKeys)
  }

  /** The version of the snapshot that every thread has; one that is being replaced has none until it is back. */
  get acknowledged(): number {
    const { columns, table } = this.#parts
    const mesh = this.cluster === undefined ? Number.POSITIVE_INFINITY : table.meshSnapshot
    return Math.min(columns.leastOfWorkers(WORKER_SNAPSHOT), table.probeSnapshot, mesh)
  }

  #makeCluster(cluster: ClusterConfig): ClusterLink {
    const {
      inForce,
      registry,
      ticketKeys,
      clock,
      log,
      audit,
      onLine,
      watchdog,
      sessions,
      version,
      columns,
      takesOver,
    } = this.#parts
    const { workers, node } = inForce.snapshot.config
    return new ClusterLink({
      cluster,
      takesOver,
      snapshot: () => inForce.snapshot,
      registry,
      ticketKeys,
      clock,
      log,
      audit,
      stamps: new SharedHybridClock(columns.shared.hybridClock, node, () => clock().wallMs),
      mesh: (listeners) =>
        new MeshKeeper({
          ...listeners,
          task: () => ({ ...this.#task(), version }),
          watchdog,
          row: meshRow(workers),
          log,
          onLine,
          onDeath: () => sessions.breakLocks(workers + 1),
        }),
    })
  }

  /** What every thread is given. */
  #task() {
    const { inForce, columns, registry, certificates } = this.#parts
    const { snapshot } = inForce
    return {
      snapshot,
      counters: columns.shared,
      targets: registry.lists(),
      targetsVersion: inForce.versions.current,
      tlsGroups: certificates.material(snapshot).groups,
    }
  }

  async #workerTask() {
    const { binds, columns, sessionSeed, cookieSecret, descriptors, registry, certificates, ticketKeys } = this.#parts
    const listeningFds = await binds.descriptors()
    const { inForce } = this.#parts
    const { snapshot } = inForce
    return {
      snapshot,
      counters: columns.shared,
      sessionSeed,
      cookieSecret,
      maxConnections: descriptors.clients,
      targets: registry.lists(),
      targetsVersion: inForce.versions.current,
      maxTargetSockets: descriptors.targets,
      tls: certificates.material(snapshot),
      ticketKeys: ticketKeys.current,
      ...(listeningFds === undefined ? {} : { listeningFds }),
    }
  }
}
