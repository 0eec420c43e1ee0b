import { setTimeout } from 'node:timers/promises'
import { AuditLog } from '../admin/audit.js'
import { auditOwnReload } from '../admin/audit-reload.js'
import { newAuditId } from '../admin/auditor.js'
import type { Admin } from '../admin/server.js'
import { type Clock, SystemClock } from '../core/clock.js'
import type { Config } from '../core/config.js'
import { RECORD_FD, recordPlace } from '../core/connection-record.js'
import type { TicketKeyStore } from '../core/ticket-keys.js'
import type { WholeAddon } from '../native/addon.js'
import type { AccessWriter } from '../observe/access-writer.js'
import type { LogDestination, Logger } from '../observe/log.js'
import { SourceLog } from '../proxy/source-log.js'
import type { StickyServices } from '../proxy/stickiness.js'
import { Columns, createSharedCounters } from '../shm/columns.js'
import { Heartbeats } from '../shm/heartbeats.js'
import { KeyHash, keySeed } from '../shm/key-hash.js'
import { SessionTable } from '../shm/sessions.js'
import { SessionCensus } from '../shm/sessions-census.js'
import { SessionMemory } from '../shm/sessions-layout.js'
import { SharedHybridClock } from '../shm/shared-hybrid-clock.js'
import { SourceTable } from '../shm/source-table.js'
import { TargetTable } from '../shm/targets.js'
import { takeMessage } from './access-log.js'
import { Apply } from './apply.js'
import { Binds } from './bind.js'
import type { Certificates } from './certificates.js'
import { chooseAddon } from './choose-addon.js'
import { type DescriptorPlan, openFileLimit, planDescriptors } from './descriptors.js'
import { growTables } from './grow-tables.js'
import { InForce } from './in-force.js'
import { capacityFor } from './next-snapshot.js'
import { nativeSockets, sharedSockets } from './open-socket.js'
import { Reloader } from './reloader.js'
import { TargetAddresses } from './resolve.js'
import type { StartOptions } from './running.js'
import { snapshotMemory } from './snapshot-memory.js'
import { SourceGate } from './source-gate.js'
import { cookieSecret } from './state-dir.js'
import { TargetRegistry } from './target-registry.js'
import { WORKER_FILE } from './thread-files.js'
import { Threads } from './threads.js'
import { LocalTicketKeys } from './ticket-keys.js'
import { StateTransfer } from './upgrade/state-transfer.js'
import { Upgrade } from './upgrade/upgrade.js'
import { version } from './version.js'
import { Watchdog } from './watchdog.js'

/** What happens to the parts that concerns the whole process, and what they ask of it. */
export interface PartsEvents {
  /** Connections were accepted: records as the acceptor fills them. */
  accepted(records: Int32Array, count: number): void
  /** A thread can neither serve nor be ended. */
  stuck(thread: string): void
  /** The process `pid` serves from here on. */
  leave(pid: number): void
  isRunning(): boolean
  admin(): Admin
  access(): AccessWriter | undefined
}

/** What the primary thread is made of, joined and not yet started. */
export class Parts {
  readonly version: string
  readonly startedAtMs = Date.now()
  readonly log: Logger
  readonly certificates: Certificates
  readonly ticketKeys: TicketKeyStore
  readonly clock = new SystemClock()
  /** Undefined on Node's own sockets. */
  readonly addon: WholeAddon | undefined
  /** What explain looks clients up with; it remembers none. */
  readonly sticky: StickyServices
  readonly columns: Columns
  readonly table: TargetTable
  readonly sessions: SessionTable
  readonly census: SessionCensus
  readonly sources: SourceTable
  readonly sourceGate: SourceGate
  readonly descriptors: DescriptorPlan
  readonly inForce: InForce
  readonly addresses: TargetAddresses
  readonly registry: TargetRegistry
  readonly binds: Binds
  readonly threads: Threads
  readonly watchdog: Watchdog
  readonly apply: Apply
  readonly reloading: Reloader
  readonly audit: AuditLog
  /** What outlives the process in an upgrade. */
  readonly transfer: StateTransfer
  readonly upgrades: Upgrade

  constructor(
    config: Config,
    log: Logger,
    destination: LogDestination,
    certificates: Certificates,
    options: StartOptions,
    events: PartsEvents,
  ) {
    const { workerFile = WORKER_FILE, ticketKeys = new LocalTicketKeys(), ownsProcess = false } = options
    this.version = version()
    this.log = log
    this.certificates = certificates
    this.ticketKeys = ticketKeys
    const apply = async (next: Config): Promise<void> => {
      await this.apply.apply(next)
      log.level = next.log.level
    }
    this.audit = new AuditLog(Date.now, newAuditId)
    this.reloading = new Reloader(config, {
      ...{ source: options.source, log, apply, serviceManager: options.sdNotify },
      onAsked: () => this.upgrades.reloadAsked(),
      onReloaded: (by, outcome) => {
        const audited = auditOwnReload(by, outcome)
        if (audited !== undefined) this.audit.record(audited)
      },
    })
    const addon = chooseAddon(config, log)
    this.addon = addon
    this.clock.onStep = (byMs) => log.warn({ byMs: Math.round(byMs) }, "the host's clock was set")
    const inForce = new InForce(config)
    this.inForce = inForce
    this.descriptors = planDescriptors(openFileLimit(), config.workers, config.protection.maxConnections)
    const sessionSeed = keySeed(config.cluster?.secret, options.handed?.sessionSeed)
    const secret = cookieSecret(config, log, options.handed?.cookieSecret)
    const counters = createSharedCounters(capacityFor(config, inForce.snapshot), config.cluster !== undefined)
    this.columns = new Columns(counters)
    this.table = new TargetTable(counters.segments)
    const heartbeats = new Heartbeats(counters.heartbeats)
    this.watchdog = new Watchdog(heartbeats, config.watchdogMs, log, events.stuck)
    this.addresses = new TargetAddresses(() => this.registry, log)
    this.registry = this.#makeRegistry()
    this.sessions = new SessionTable(counters.sessions, 0, this.clock)
    const { sessions, table, clock } = this
    const stamps = new SharedHybridClock(counters.hybridClock, config.node, () => clock.wallMs)
    this.sticky = { store: sessions, table, clock, stamps, keys: new KeyHash(sessionSeed), secret }
    this.census = new SessionCensus(new SessionMemory(counters.sessions), this.table, this.clock, this.columns)
    this.sources = new SourceTable(counters.sources, 0)
    this.sourceGate = new SourceGate({
      table: this.sources,
      columns: this.columns,
      log: new SourceLog(log, this.clock),
      snapshot: () => inForce.snapshot,
      clock: () => this.now,
      reset: (records, at) => this.addon?.closeFd(records[at + RECORD_FD]!, 1),
    })
    this.binds = new Binds(
      addon === undefined ? sharedSockets() : nativeSockets(addon, log, events.accepted),
      inForce.binds,
    )
    this.threads = new Threads({
      workerFile,
      ownsProcess,
      version: this.version,
      takesOver: options.predecessor !== undefined,
      columns: this.columns,
      table: this.table,
      sessions: this.sessions,
      sources: this.sources,
      sessionSeed,
      cookieSecret: secret,
      addon,
      watchdog: this.watchdog,
      log,
      inForce,
      binds: this.binds,
      registry: this.registry,
      certificates,
      ticketKeys,
      descriptors: this.descriptors,
      clock: () => this.now,
      audit: this.audit,
      onLine: (line) => destination.write(line),
      onMessage: (message, reply) => takeMessage(message, reply, destination, events.access()),
      discard: (records, at) => this.discard(records, at),
    })
    inForce.connect(snapshotMemory(this.columns, this.registry, inForce, this.threads.dispatcher))
    this.apply = new Apply({
      inForce,
      binds: this.binds,
      certificates,
      addresses: this.addresses,
      registry: this.registry,
      table: this.table,
      log,
      workers: config.workers,
      steadyMs: () => this.now.steadyMs,
      sleep: setTimeout,
      makeRoom: (next) => growTables(inForce.neededFor(next), this, (message) => this.threads.tell(message)),
      publish: (snapshot, listeningFds) => this.threads.tellSnapshot(snapshot, listeningFds),
      acknowledged: () => this.threads.acknowledged,
    })
    this.transfer = new StateTransfer({
      ...{ inForce, registry: this.registry, table: this.table, sessions: this.sessions },
      ...{ ticketKeys, sessionSeed, cookieSecret: secret, log },
      onSessions: () => this.threads.cluster?.tellHandedSessions(),
      clock: () => this.now,
    })
    this.upgrades = new Upgrade({
      log,
      addon,
      ownsProcess,
      config: () => this.config,
      isRunning: events.isRunning,
      binds: this.binds,
      admin: events.admin,
      transfer: this.transfer,
      leave: events.leave,
      mute: async () => this.threads.cluster?.mute(),
    })
  }

  /** The clock, read anew: between turns of the threads it stands. */
  get now(): Clock {
    this.clock.refresh()
    return this.clock
  }

  get config(): Config {
    return this.inForce.snapshot.config
  }

  /** Resets a connection that nobody will serve. */
  discard(records: Int32Array, at: number): void {
    this.sourceGate.lost(records, at)
    this.addon?.closeFd(records[at + RECORD_FD]!, 1)
    const place = recordPlace(records, at)
    if (place >= 0) this.sources.leave(place)
  }

  #makeRegistry(): TargetRegistry {
    return new TargetRegistry(
      this.inForce.snapshot.groups,
      {
        table: this.table,
        columns: this.columns,
        addresses: this.addresses,
        versions: this.inForce.versions,
        tell: (message) => this.threads.tell(message),
        onGone: ({ id }, targetGroup) => {
          this.log.info({ targetGroup, target: id }, 'a target that was removed is gone')
        },
      },
      this.startedAtMs,
    )
  }
}
