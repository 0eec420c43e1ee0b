import { setTimeout } from 'node:timers/promises'
import type { AdminFacts, ClusterFacts, ProcessState, WorkerFacts } from '../admin/facts.js'
import type { Admin } from '../admin/server.js'
import { type Clock, SystemClock } from '../core/clock.js'
import type { Config, TargetConfig } from '../core/config.js'
import type { Directory, ListedTarget } from '../core/directory.js'
import type { SessionStore, SessionTotals } from '../core/session-store.js'
import type { AdminState } from '../core/target-state.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import type { CertificateFacts } from '../core/tls.js'
import type { WholeAddon } from '../native/addon.js'
import type { AccessWriter } from '../observe/access-writer.js'
import { guard } from '../observe/guard.js'
import type { LogDestination, Logger } from '../observe/log.js'
import { Columns, createSharedCounters } from '../shm/columns.js'
import { Heartbeats } from '../shm/heartbeats.js'
import { keySeed } from '../shm/key-hash.js'
import { SessionTable } from '../shm/sessions.js'
import { SessionCensus } from '../shm/sessions-census.js'
import { SessionMemory } from '../shm/sessions-layout.js'
import { TargetTable } from '../shm/targets.js'
import { openAccessLog, reopenAccessLog, takeMessage } from './access-log.js'
import { Apply } from './apply.js'
import { Binds, type OpenListener, openListeners } from './bind.js'
import type { Certificates } from './certificates.js'
import { chooseAddon } from './choose-addon.js'
import { ConnectionLimit } from './connection-limit.js'
import { type DescriptorPlan, openFileLimit, planDescriptors, tellOfCut } from './descriptors.js'
import { End, endAll, FLUSH_NOW_MS, giveUp } from './ending.js'
import { growTables } from './grow-tables.js'
import { delayDrain, handOver, holdsVip, IDLE_GRACE_MS } from './handover.js'
import { InForce } from './in-force.js'
import { capacityFor } from './next-snapshot.js'
import { openAdmin } from './open-admin.js'
import { nativeSockets, sharedSockets } from './open-socket.js'
import { Reloader } from './reloader.js'
import { TargetAddresses } from './resolve.js'
import type { RunningCastor, StartOptions } from './running.js'
import { snapshotMemory } from './snapshot-memory.js'
import { cookieSecret } from './state-dir.js'
import { type AddOutcome, type RegistryParts, TargetRegistry } from './target-registry.js'
import { WORKER_FILE } from './thread-files.js'
import { Threads } from './threads.js'
import { LocalTicketKeys } from './ticket-keys.js'
import { StateTransfer } from './upgrade/state-transfer.js'
import { Upgrade } from './upgrade/upgrade.js'
import { version } from './version.js'
import { Watchdog } from './watchdog.js'

/** How often the primary looks after what nobody else does: sessions that expired, targets whose time is over. */
const CARE_MS = 125

/** After an upgrade a client that comes back to its idle connection is served, and told to open another one. */
const UPGRADE_IDLE_GRACE_MS = 30_000

/** The primary thread of a running balancer: its parts, and the order in which they start and stop. */
export class Primary implements RunningCastor, AdminFacts {
  readonly version = version()
  readonly startedAtMs = Date.now()
  readonly columns: Columns
  readonly table: TargetTable
  readonly log: Logger
  readonly reloading: Reloader
  readonly leftovers: string[] = []
  state: ProcessState = 'starting'
  readonly #destination: LogDestination
  readonly #inForce: InForce
  readonly #addresses: TargetAddresses
  readonly #watchdog: Watchdog
  readonly #options: StartOptions
  readonly #threads: Threads
  readonly #apply: Apply
  /** What outlives the process in an upgrade. */
  readonly transfer: StateTransfer
  readonly upgrades: Upgrade
  readonly #registry: TargetRegistry
  readonly #clock = new SystemClock()
  readonly #descriptors: DescriptorPlan
  readonly #sessions: SessionTable
  readonly #census: SessionCensus
  readonly #end = new End()
  #care: NodeJS.Timeout | undefined
  readonly #certificates: Certificates
  readonly #ticketKeys: TicketKeyStore
  /** Undefined on Node's own sockets. */
  readonly #addon: WholeAddon | undefined
  readonly #binds: Binds
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
    const { workerFile = WORKER_FILE, ticketKeys = new LocalTicketKeys(), ownsProcess = false } = options
    this.#options = options
    this.#ticketKeys = ticketKeys
    this.#certificates = certificates
    this.log = log
    const apply = async (next: Config): Promise<void> => {
      await this.#apply.apply(next)
      log.level = next.log.level
    }
    this.reloading = new Reloader(config, { source: options.source, log, apply, serviceManager: options.sdNotify })
    const addon = chooseAddon(config, log)
    this.#addon = addon
    this.#clock.onStep = (byMs) => log.warn({ byMs: Math.round(byMs) }, "the host's clock was set")
    this.#destination = destination
    const inForce = new InForce(config)
    this.#inForce = inForce
    this.#descriptors = planDescriptors(openFileLimit(), config.workers, config.protection.maxConnections)
    const sessionSeed = keySeed(config.cluster?.secret, options.handed?.sessionSeed)
    const secret = cookieSecret(config, log, options.handed?.cookieSecret)
    const counters = createSharedCounters(capacityFor(config, inForce.snapshot), config.cluster !== undefined)
    this.columns = new Columns(counters)
    this.table = new TargetTable(counters.segments)
    const heartbeats = new Heartbeats(counters.heartbeats)
    this.#watchdog = new Watchdog(heartbeats, config.watchdogMs, log, (thread) => this.#fail(thread))
    this.#addresses = new TargetAddresses(() => this.#registry, log)
    this.#registry = this.#makeRegistry()
    this.#sessions = new SessionTable(counters.sessions, 0, this.#clock)
    this.#census = new SessionCensus(new SessionMemory(counters.sessions), this.table, this.#clock, this.columns)
    const accept = (records: Int32Array, count: number): void => this.#limit!.admit(records, count)
    this.#binds = new Binds(addon === undefined ? sharedSockets() : nativeSockets(addon, log, accept), inForce.binds)
    this.#threads = new Threads({
      workerFile,
      ownsProcess,
      version: this.version,
      columns: this.columns,
      table: this.table,
      sessions: this.#sessions,
      sessionSeed,
      cookieSecret: secret,
      addon,
      watchdog: this.#watchdog,
      log,
      inForce,
      binds: this.#binds,
      registry: this.#registry,
      certificates,
      ticketKeys,
      descriptors: this.#descriptors,
      clock: () => this.clock,
      onLine: (line) => destination.write(line),
      onMessage: (message, reply) => takeMessage(message, reply, destination, this.#access),
      discard: (fd) => this.#discard(fd),
    })
    inForce.connect(snapshotMemory(this.columns, this.#registry, inForce, this.#threads.dispatcher))
    this.#apply = new Apply({
      inForce,
      binds: this.#binds,
      certificates,
      addresses: this.#addresses,
      registry: this.#registry,
      log,
      workers: config.workers,
      steadyMs: () => this.clock.steadyMs,
      sleep: setTimeout,
      makeRoom: (next) => growTables(inForce.neededFor(next), this, (message) => this.#threads.tell(message)),
      publish: (snapshot, listeningFds) => this.#threads.tellSnapshot(snapshot, listeningFds),
      acknowledged: () => this.#threads.acknowledged,
    })
    this.transfer = new StateTransfer({
      ...{ inForce, registry: this.#registry, table: this.table, sessions: this.#sessions },
      ...{ ticketKeys, sessionSeed, cookieSecret: secret, log },
      clock: () => this.clock,
    })
    this.upgrades = new Upgrade({
      log,
      addon,
      ownsProcess,
      config: () => this.config,
      isRunning: () => this.state === 'running',
      binds: this.#binds,
      admin: () => this.#admin!,
      transfer: this.transfer,
      leave: (pid) => this.#leave(pid),
    })
  }

  get finished(): Promise<void> {
    return this.#end.finished
  }

  get workers(): readonly WorkerFacts[] {
    return this.#threads.supervisor.facts
  }

  get config(): Config {
    return this.#inForce.snapshot.config
  }

  get directory(): Directory {
    return this.#inForce.directory
  }

  get listeners(): readonly OpenListener[] {
    return openListeners(this.#inForce.snapshot)
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
    return this.#certificates.facts(this.directory.listeners[listener] ?? '')
  }

  setTargetState(slot: number, state: AdminState): void {
    this.#registry.setState(slot, state, this.clock.steadyMs)
    this.#threads.cluster?.tellOperator(slot)
  }

  setTargetWeight(slot: number, weight: number): void {
    this.#registry.setWeight(slot, weight, this.clock.steadyMs)
    this.#threads.cluster?.tellOperator(slot)
  }

  get cluster(): ClusterFacts | undefined {
    return this.#threads.cluster?.facts
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
    this.#ticketKeys.onChange = (ticketKeys) => this.#threads.tellTicketKeys(ticketKeys)
    this.#ticketKeys.start()
    await this.#addresses.refresh()
    this.#registry.readdress(0)
    const { inherited, predecessor, handed } = this.#options
    if (handed !== undefined) await this.transfer.state(handed)
    const binds = await this.#binds.prepare(config, inherited)
    this.#inForce.bound(binds)
    binds.commit()
    if (predecessor === undefined) this.#admin = await openAdmin(this, inherited)
    this.#watchdog.start()
    await Promise.race([this.#threads.start(), this.finished])
    if (predecessor !== undefined) {
      await predecessor.takeOver(this.transfer)
      // Both answer for a moment; neither may say that it is not ready.
      this.state = 'running'
      this.#admin = await openAdmin(this, inherited, predecessor.unixSockets)
    }
    const max = this.#descriptors.clients
    tellOfCut(this.#descriptors, config.protection.maxConnections, log)
    const { dispatcher } = this.#threads
    this.#limit = new ConnectionLimit(max, dispatcher, [this.#binds], log, (fd) => this.#discard(fd))
    this.#binds.resume()
    this.#addresses.watch(() => this.#registry.readdress(this.clock.steadyMs))
    const care = guard(log, 'the care of targets', () => {
      this.#registry.look(this.clock.steadyMs)
      this.#inForce.look(this.#threads.acknowledged)
      this.#census.step()
    })
    this.#care = setInterval(care, CARE_MS)
    this.#certificates.onChange = () => this.#threads.tellTls()
    this.#certificates.watch()
    this.state = 'running'
    this.reloading.start()
    log.info({ workers: config.workers, maxConnections: max, native: this.#addon !== undefined }, 'started')
  }

  drainHost(): void {
    this.stop().catch((err: unknown) => this.log.error({ err }, 'draining this host failed'))
  }

  readonly reopenLogs = (): Promise<void> => reopenAccessLog(this.#access, this.log)

  stop(): Promise<void> {
    this.upgrades.abort()
    return (this.#stopping ??= this.#stop(this.config.shutdownTimeoutMs))
  }

  stopNow(): Promise<void> {
    this.upgrades.abort()
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
        listenings: this.#binds.listenings,
        log,
        drain: () => this.#threads.supervisor.drain(timeoutMs, IDLE_GRACE_MS),
        giveUp: () => void (this.state = 'draining'),
      })
    }
    await this.#drain(untilMs, 0)
  }

  /** Another process serves in place of this one. */
  #leave(pid: number): void {
    this.#options.sdNotify?.movedTo(pid)
    this.#admin?.handOver()
    void this.#admin?.close()
    this.#stopping ??= this.#drain(performance.now() + this.config.upgradeDrainMs, UPGRADE_IDLE_GRACE_MS)
  }

  async #drain(untilMs: number, idleGraceMs: number): Promise<void> {
    this.#closeBinds()
    await this.#threads.supervisor.drain(Math.max(0, untilMs - performance.now()), idleGraceMs)
    await (this.#stoppingNow ??= this.#endAll(Math.max(FLUSH_NOW_MS, untilMs - performance.now())))
  }

  /** Ends the threads, whatever they are at, and gives everything back. Each step has its bound. */
  async #endAll(flushMs: number): Promise<void> {
    const threads = (): Promise<void> => this.#threads.stop()
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
    this.reloading.stop()
    clearInterval(this.#care)
    this.#certificates.stop()
    this.#ticketKeys.stop()
    this.#apply.stop()
    this.#binds.close()
  }

  /** Resets a connection that nobody will serve. */
  #discard(fd: number): void {
    this.#addon?.closeFd(fd, 1)
  }

  #makeRegistry(): TargetRegistry {
    const parts: RegistryParts = {
      table: this.table,
      columns: this.columns,
      addresses: this.#addresses,
      versions: this.#inForce.versions,
      tell: (message) => this.#threads.tell(message),
      onGone: ({ id }, targetGroup) => {
        this.log.info({ targetGroup, target: id }, 'a target that was removed is gone')
      },
    }
    return new TargetRegistry(this.#inForce.snapshot.groups, parts, this.startedAtMs)
  }
}
