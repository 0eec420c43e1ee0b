import type { AdminFacts, ClusterFacts, ProcessState, WorkerFacts } from '../admin/facts.js'
import type { Admin } from '../admin/server.js'
import { type Clock, SystemClock } from '../core/clock.js'
import type { ClusterConfig, Config, TargetConfig } from '../core/config.js'
import type { Directory, GroupTargets, ListedTarget } from '../core/directory.js'
import type { SessionStore, SessionTotals } from '../core/session-store.js'
import type { AdminState } from '../core/target-state.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import type { CertificateFacts } from '../core/tls.js'
import type { WholeAddon } from '../native/addon.js'
import type { AccessWriter } from '../observe/access-writer.js'
import { guard } from '../observe/guard.js'
import type { LogDestination, Logger } from '../observe/log.js'
import { Columns, createSharedCounters } from '../shm/columns.js'
import { Heartbeats, meshRow, probeRow } from '../shm/heartbeats.js'
import { keySeed } from '../shm/key-hash.js'
import { SessionTable } from '../shm/sessions.js'
import { SessionCensus } from '../shm/sessions-census.js'
import { SessionMemory } from '../shm/sessions-layout.js'
import { TargetTable } from '../shm/targets.js'
import { openAccessLog, reopenAccessLog, takeMessage } from './access-log.js'
import { type Binds, listenerFacts, type OpenListener, openNative, openShared } from './bind.js'
import type { Certificates } from './certificates.js'
import { chooseAddon } from './choose-addon.js'
import { ClusterLink } from './cluster-link.js'
import { ConnectionLimit } from './connection-limit.js'
import { type DescriptorPlan, openFileLimit, planDescriptors, tellOfCut } from './descriptors.js'
import { Dispatcher } from './dispatch.js'
import { End, endAll, FLUSH_NOW_MS, giveUp } from './ending.js'
import { delayDrain, handOver, holdsVip, IDLE_GRACE_MS } from './handover.js'
import { InForce } from './in-force.js'
import { capacityFor } from './next-snapshot.js'
import { openAdmin } from './open-admin.js'
import { firstChecksMs, ProbeKeeper } from './probe-thread.js'
import { TargetAddresses } from './resolve.js'
import type { RunningCastor, StartOptions } from './running.js'
import { cookieSecret } from './state-dir.js'
import { Supervisor } from './supervise.js'
import { type AddOutcome, TargetRegistry } from './target-registry.js'
import { PROBE_FILE, WORKER_FILE } from './thread-files.js'
import { LocalTicketKeys } from './ticket-keys.js'
import { version } from './version.js'
import { Watchdog } from './watchdog.js'

/** How often the primary looks after what nobody else does: sessions that expired, targets whose time is over. */
const CARE_MS = 125

/** The primary thread of a running balancer: its parts, and the order in which they start and stop. */
export class Primary implements RunningCastor, AdminFacts {
  readonly version = version()
  readonly startedAtMs = Date.now()
  readonly config: Config
  readonly columns: Columns
  readonly table: TargetTable
  readonly log: Logger
  readonly leftovers: string[] = []
  state: ProcessState = 'starting'
  readonly #destination: LogDestination
  readonly #inForce: InForce
  readonly #counters
  readonly #sessionSeed: Uint8Array
  readonly #cookieSecret: string
  readonly #addresses: TargetAddresses
  readonly #watchdog: Watchdog
  readonly #options: StartOptions
  readonly #supervisor: Supervisor
  readonly #probe: ProbeKeeper
  readonly #cluster: ClusterLink | undefined
  readonly #registry: TargetRegistry
  readonly #clock = new SystemClock()
  readonly #descriptors: DescriptorPlan
  readonly #sessions: SessionTable
  readonly #census: SessionCensus
  readonly #end = new End()
  #care: NodeJS.Timeout | undefined
  readonly #dispatcher: Dispatcher
  readonly #certificates: Certificates
  readonly #ticketKeys: TicketKeyStore
  /** Undefined on Node's own sockets. */
  readonly #addon: WholeAddon | undefined
  #binds: Binds | undefined
  #limit: ConnectionLimit | undefined
  #access: AccessWriter | undefined
  #admin: Admin | undefined
  readonly #delay = new AbortController()
  #stopping: Promise<void> | undefined
  #stoppingNow: Promise<void> | undefined

  constructor(
    config: Config,
    log: Logger,
    destination: LogDestination,
    certificates: Certificates,
    options: StartOptions,
  ) {
    const { workerFile = WORKER_FILE, ticketKeys = new LocalTicketKeys() } = options
    this.config = config
    this.#options = options
    this.#ticketKeys = ticketKeys
    this.#certificates = certificates
    this.log = log
    this.#addon = chooseAddon(config, log)
    this.#clock.onStep = (byMs) => log.warn({ byMs: Math.round(byMs) }, "the host's clock was set")
    this.#destination = destination
    this.#inForce = new InForce(config)
    this.#descriptors = planDescriptors(openFileLimit(), config.workers, config.protection.maxConnections)
    this.#sessionSeed = keySeed(config.cluster?.secret)
    this.#cookieSecret = cookieSecret(config, log)
    this.#counters = createSharedCounters(capacityFor(config, this.#inForce.snapshot), config.cluster !== undefined)
    this.columns = new Columns(this.#counters)
    this.table = new TargetTable(this.#counters.targets)
    const heartbeats = new Heartbeats(this.#counters.heartbeats)
    this.#watchdog = new Watchdog(heartbeats, config.watchdogMs, log, (thread) => this.#fail(thread))
    this.#addresses = new TargetAddresses(() => this.#registry, log)
    this.#registry = this.#makeRegistry()
    this.#sessions = new SessionTable(this.#counters.sessions, 0, this.#clock)
    this.#cluster = config.cluster && this.#makeCluster(config.cluster)
    const sessionMemory = new SessionMemory(this.#counters.sessions)
    this.#census = new SessionCensus(sessionMemory, this.table, this.#clock, this.#counters.capacity)
    this.#probe = new ProbeKeeper(
      PROBE_FILE,
      () => ({ ...this.#threadTask(), ownsProcess: this.#options.ownsProcess ?? false }),
      { watchdog: this.#watchdog, row: probeRow(config.workers) },
      log,
      (line) => destination.write(line),
      (slot, state, reason) => this.#cluster?.tellVerdict(slot, state, reason),
    )
    const addon = this.#addon
    this.#supervisor = new Supervisor({
      workerFile,
      workers: config.workers,
      columns: this.columns,
      watchdog: this.#watchdog,
      log,
      task: () => this.#task(),
      waker: addon && {
        open: () => addon.openWaker(),
        wake: (fd) => addon.wake(fd),
        close: (fd) => addon.closeFd(fd, 0),
      },
      onMessage: (message, reply) => takeMessage(message, reply, destination, this.#access),
      onDeath: (slot) => {
        this.#sessions.breakLocks(slot.column)
        this.#dispatcher.replace(slot)
      },
      discard: (fd) => this.#discard(fd),
    })
    this.#dispatcher = new Dispatcher(this.columns, this.#supervisor.slots, (fd) => this.#discard(fd))
  }

  get finished(): Promise<void> {
    return this.#end.finished
  }

  get workers(): readonly WorkerFacts[] {
    return this.#supervisor.facts
  }

  get directory(): Directory {
    return this.#inForce.directory
  }

  get listeners(): readonly OpenListener[] {
    return listenerFacts(this.config, this.#binds?.list ?? [])
  }

  get admin(): Pick<Admin, 'listening' | 'address' | 'port'> {
    return this.#admin ?? { listening: [], address: '', port: 0 }
  }

  get targets(): readonly ListedTarget[] {
    return this.#registry.all
  }

  get clock(): Clock {
    this.#clock.refresh()
    return this.#clock
  }

  get sessions(): SessionStore {
    this.#clock.refresh()
    return this.#sessions
  }

  get sessionTotals(): SessionTotals {
    return this.#census
  }

  certificates(listener: number): readonly CertificateFacts[] {
    return this.#certificates.facts(listener)
  }

  setTargetState(slot: number, state: AdminState): void {
    this.#registry.setState(slot, state, this.clock.steadyMs)
    this.#cluster?.tellOperator(slot)
  }

  setTargetWeight(slot: number, weight: number): void {
    this.#registry.setWeight(slot, weight, this.clock.steadyMs)
    this.#cluster?.tellOperator(slot)
  }

  get cluster(): ClusterFacts | undefined {
    return this.#cluster?.facts
  }

  addTarget(group: number, target: TargetConfig): Promise<AddOutcome> {
    return this.#registry.add(group, target, () => this.clock.steadyMs)
  }

  removeTarget(slot: number, now: boolean): number {
    return this.#registry.remove(slot, now, this.clock.steadyMs)
  }

  async start(): Promise<void> {
    const { config, log } = this
    this.#access = await openAccessLog(config.log.access, log, this.columns)
    this.#certificates.load()
    this.#ticketKeys.onChange = (ticketKeys) => {
      this.#supervisor.broadcast({ type: 'ticket-keys', ticketKeys })
      this.#cluster?.tellTickets(ticketKeys)
    }
    this.#ticketKeys.start()
    await this.#addresses.refresh()
    this.#registry.readdress(0)
    this.#binds = await this.#open()
    this.#inForce.bound(this.#binds.list)
    this.#admin = await openAdmin(this, this.#options.inherited)
    this.#watchdog.start()
    const threads = Promise.all([
      this.#supervisor.start(),
      this.#probe.start(firstChecksMs(config)),
      // A drain that was ordered before this host started holds from the first request on.
      this.#cluster?.start(),
    ])
    await Promise.race([threads, this.finished])
    const max = this.#descriptors.clients
    tellOfCut(this.#descriptors, config.protection.maxConnections, log)
    const { listenings } = this.#binds
    this.#limit = new ConnectionLimit(max, this.#dispatcher, listenings, log, (fd) => this.#discard(fd))
    for (const listening of listenings) listening.resume()
    this.#addresses.watch(() => this.#registry.readdress(this.clock.steadyMs))
    const care = guard(log, 'the care of targets', () => {
      this.#registry.look(this.clock.steadyMs)
      this.#census.step()
    })
    this.#care = setInterval(care, CARE_MS)
    this.#certificates.onChange = () => {
      const tls = this.#certificates.current
      this.#supervisor.broadcast({ type: 'tls', tls })
      this.#probe.send({ type: 'tls', tlsGroups: tls.groups })
    }
    this.#certificates.watch()
    this.state = 'running'
    log.info({ workers: config.workers, maxConnections: max, native: this.#addon !== undefined }, 'started')
  }

  drainHost(): void {
    this.stop().catch((err: unknown) => this.log.error({ err }, 'draining this host failed'))
  }

  reopenLogs(): Promise<void> {
    return reopenAccessLog(this.#access, this.log)
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop(this.config.shutdownTimeoutMs))
  }

  stopNow(): Promise<void> {
    this.#delay.abort()
    this.#stopping ??= this.finished
    return (this.#stoppingNow ??= this.#endAll(FLUSH_NOW_MS))
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { log, config } = this
    if (config.drainDelayMs > 0 && this.state === 'running') {
      this.state = 'draining'
      await delayDrain(config.drainDelayMs, log, this.#delay.signal)
      if (this.#stoppingNow !== undefined) return this.#stoppingNow
    }
    this.#options.sdNotify?.stopping(timeoutMs)
    const untilMs = performance.now() + timeoutMs
    log.info({ timeoutMs }, 'draining')
    if (this.state === 'running' && holdsVip(config.vips)) {
      await handOver({
        vips: config.vips,
        listenings: this.#binds!.listenings,
        log,
        drain: () => this.#supervisor.drain(timeoutMs, IDLE_GRACE_MS),
        giveUp: () => void (this.state = 'draining'),
      })
    }
    this.#closeBinds()
    await this.#supervisor.drain(timeoutMs, 0)
    await (this.#stoppingNow ??= this.#endAll(Math.max(FLUSH_NOW_MS, untilMs - performance.now())))
  }

  /** Ends the threads, whatever they are at, and gives everything back. Each step has its bound. */
  async #endAll(flushMs: number): Promise<void> {
    const threads = () => Promise.all([this.#supervisor.destroy(), this.#probe.stop(), this.#cluster?.stop()])
    const hadStarted = this.state !== 'starting'
    const parts = { hadStarted, threads, watchdog: this.#watchdog, admin: this.#admin, access: this.#access }
    this.#closeBinds()
    this.leftovers.push(...(await endAll({ ...parts, destination: this.#destination, log: this.log }, flushMs)))
    this.#end.reached()
  }

  /** A thread is stuck where nothing can end it. What it holds is lost, and only another process can do better. */
  #fail(thread: string): void {
    this.#closeBinds()
    this.leftovers.push(thread)
    const logs = { access: this.#access, destination: this.#destination, log: this.log }
    void giveUp(thread, logs).then((cause) => this.#end.failed(cause))
  }

  #closeBinds(): void {
    this.state = 'draining'
    this.#limit?.stop()
    this.#addresses.stop()
    clearInterval(this.#care)
    this.#certificates.stop()
    this.#ticketKeys.stop()
    this.#binds?.close()
  }

  async #open(): Promise<Binds> {
    if (this.#addon === undefined) return openShared(this.config)
    return openNative(this.config, this.#addon, this.log, this.#options.inherited, (records, count) =>
      this.#limit!.admit(records, count),
    )
  }

  /** Resets a connection that nobody will serve. */
  #discard(fd: number): void {
    this.#addon?.closeFd(fd, 1)
  }

  #makeCluster(cluster: ClusterConfig): ClusterLink {
    return new ClusterLink({
      cluster,
      snapshot: () => this.#inForce.snapshot,
      registry: this.#registry,
      ticketKeys: this.#ticketKeys,
      clock: () => this.clock,
      log: this.log,
      onLine: (line) => this.#destination.write(line),
      task: () => ({ ...this.#threadTask(), version: this.version }),
      watchdog: this.#watchdog,
      row: meshRow(this.config.workers),
      onDeath: () => this.#sessions.breakLocks(this.config.workers + 1),
    })
  }

  #makeRegistry(): TargetRegistry {
    const parts = {
      table: this.table,
      columns: this.columns,
      addresses: this.#addresses,
      publish: (targets: GroupTargets) => {
        this.#supervisor.broadcast({ type: 'targets', targets })
        this.#probe.send({ type: 'targets', targets })
        this.#cluster?.setTargets(targets)
      },
      onGone: ({ group, id }: ListedTarget) => {
        this.log.info({ targetGroup: this.directory.groups[group], target: id }, 'a target that was removed is gone')
      },
    }
    return new TargetRegistry(this.config.targetGroups, parts, this.startedAtMs)
  }

  /** What the threads beside the workers are given. */
  #threadTask() {
    return {
      snapshot: this.#inForce.snapshot,
      counters: this.#counters,
      targets: this.#registry.lists(),
      tlsGroups: this.#certificates.current.groups,
      maxChecks: this.#descriptors.checks,
    }
  }

  async #task() {
    const listeningFds = await this.#binds!.descriptors()
    return {
      snapshot: this.#inForce.snapshot,
      counters: this.#counters,
      sessionSeed: this.#sessionSeed,
      cookieSecret: this.#cookieSecret,
      maxConnections: this.#descriptors.clients,
      targets: this.#registry.lists(),
      maxTargetSockets: this.#descriptors.targets,
      tls: this.#certificates.current,
      ticketKeys: this.#ticketKeys.current,
      ...(listeningFds === undefined ? {} : { listeningFds }),
    }
  }
}
