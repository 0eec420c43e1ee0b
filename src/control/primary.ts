import type { ProcessState, WorkerFacts } from '../admin/facts.js'
import type { Admin } from '../admin/server.js'
import type { Config } from '../core/config.js'
import type { AccessWriter } from '../observe/access-writer.js'
import { guard } from '../observe/guard.js'
import type { LogDestination, Logger } from '../observe/log.js'
import { openAccessLog, reopenAccessLog } from './access-log.js'
import { type AuditFile, openAuditLog, reopenAuditLog } from './audit-log.js'
import type { OpenListener } from './bind.js'
import type { Certificates } from './certificates.js'
import { ConnectionLimit } from './connection-limit.js'
import { tellOfCut } from './descriptors.js'
import { End, endAll, FLUSH_NOW_MS, giveUp } from './ending.js'
import { delayDrain, handOver, holdsVip, IDLE_GRACE_MS } from './handover.js'
import { openAdmin } from './open-admin.js'
import { Parts } from './parts.js'
import { PrimaryFacts } from './primary-facts.js'
import type { Reloader } from './reloader.js'
import type { RunningCastor, StartOptions } from './running.js'
import type { StateTransfer } from './upgrade/state-transfer.js'

/** How often the primary looks after what nobody else does: sessions that expired, targets whose time is over. */
const CARE_MS = 125

/** After an upgrade a client that comes back to its idle connection is served, and told to open another one. */
const UPGRADE_IDLE_GRACE_MS = 30_000

/** The primary thread of a running balancer: the order in which its parts start and stop. */
export class Primary implements RunningCastor {
  readonly leftovers: string[] = []
  readonly facts: PrimaryFacts
  state: ProcessState = 'starting'
  readonly #parts: Parts
  readonly #options: StartOptions
  readonly #destination: LogDestination
  readonly #end = new End()
  readonly #delay = new AbortController()
  #care: NodeJS.Timeout | undefined
  #limit: ConnectionLimit | undefined
  #access: AccessWriter | undefined
  #audit: AuditFile | undefined
  #admin: Admin | undefined
  #stopping: Promise<void> | undefined
  #stoppingNow: Promise<void> | undefined

  constructor(
    config: Config,
    log: Logger,
    destination: LogDestination,
    certificates: Certificates,
    options: StartOptions,
  ) {
    this.#options = options
    this.#destination = destination
    this.#parts = new Parts(config, log, destination, certificates, options, {
      accepted: (records, count) => this.#limit!.admit(records, this.#parts.sourceGate.admit(records, count)),
      stuck: (thread) => this.#fail(thread),
      leave: (pid) => this.#leave(pid),
      isRunning: () => this.state === 'running',
      admin: () => this.#admin!,
      access: () => this.#access,
    })
    this.facts = new PrimaryFacts(this.#parts, this)
  }

  get finished(): Promise<void> {
    return this.#end.finished
  }

  get workers(): readonly WorkerFacts[] {
    return this.facts.workers
  }

  get listeners(): readonly OpenListener[] {
    return this.facts.listeners
  }

  get reloading(): Reloader {
    return this.#parts.reloading
  }

  get transfer(): StateTransfer {
    return this.#parts.transfer
  }

  get admin(): Pick<Admin, 'listening' | 'address' | 'port'> {
    return this.#admin ?? { listening: [], address: '', port: 0 }
  }

  /** The process before has left: this one speaks for the host from here on. */
  isService(): void {
    this.#parts.threads.cluster?.unmute()
  }

  drainHost(): void {
    this.stop().catch((err: unknown) => this.#parts.log.error({ err }, 'draining this host failed'))
  }

  async start(): Promise<void> {
    const { config, log } = this.#parts
    this.#access = await openAccessLog(config.log.access, log, this.#parts.columns)
    this.#audit = await openAuditLog(config, this.#parts.audit, log, this.#destination)
    this.#parts.certificates.load()
    this.#parts.ticketKeys.onChange = (ticketKeys) => this.#parts.threads.tellTicketKeys(ticketKeys)
    this.#parts.ticketKeys.start()
    await this.#parts.addresses.refresh()
    this.#parts.registry.readdress(0)
    const { inherited, predecessor, handed } = this.#options
    if (handed !== undefined) await this.#parts.transfer.state(handed)
    const binds = await this.#parts.binds.prepare(config, inherited)
    this.#parts.inForce.bound(binds)
    binds.commit()
    if (predecessor === undefined) this.#admin = await openAdmin(this.facts, inherited)
    this.#parts.watchdog.start()
    await Promise.race([this.#parts.threads.start(), this.finished])
    if (predecessor !== undefined) {
      await predecessor.takeOver(this.#parts.transfer)
      // Both answer for a moment; neither may say that it is not ready.
      this.state = 'running'
      this.#admin = await openAdmin(this.facts, inherited, predecessor.unixSockets)
    }
    const max = this.#parts.descriptors.clients
    tellOfCut(this.#parts.descriptors, config.protection.maxConnections, log)
    const { dispatcher } = this.#parts.threads
    this.#limit = new ConnectionLimit(max, dispatcher, [this.#parts.binds], log, (records, at) =>
      this.#parts.discard(records, at),
    )
    this.#parts.binds.resume()
    this.#parts.addresses.watch(() => this.#parts.registry.readdress(this.#parts.now.steadyMs))
    const care = guard(log, 'the care of targets', () => {
      this.#parts.registry.look(this.#parts.now.steadyMs)
      this.#parts.inForce.look(this.#parts.threads.acknowledged)
      this.#parts.census.step()
    })
    this.#care = setInterval(care, CARE_MS)
    this.#parts.certificates.onChange = () => this.#parts.threads.tellTls()
    this.#parts.certificates.watch()
    this.state = 'running'
    this.#parts.reloading.start()
    log.info({ workers: config.workers, maxConnections: max, native: this.#parts.addon !== undefined }, 'started')
  }

  readonly reopenLogs = async (): Promise<void> => {
    await reopenAuditLog(this.#audit, this.#parts.log)
    await reopenAccessLog(this.#access, this.#parts.log)
  }

  stop(): Promise<void> {
    this.#parts.upgrades.abort()
    return (this.#stopping ??= this.#stop(this.#parts.config.shutdownTimeoutMs))
  }

  stopNow(): Promise<void> {
    this.#parts.upgrades.abort()
    this.#delay.abort()
    this.#stopping ??= this.finished
    return (this.#stoppingNow ??= this.#endAll(FLUSH_NOW_MS))
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { log, config } = this.#parts
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
        listenings: this.#parts.binds.listenings,
        log,
        drain: () => this.#parts.threads.supervisor.drain(timeoutMs, IDLE_GRACE_MS),
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
    this.#stopping ??= this.#drain(performance.now() + this.#parts.config.upgradeDrainMs, UPGRADE_IDLE_GRACE_MS)
  }

  async #drain(untilMs: number, idleGraceMs: number): Promise<void> {
    this.#closeBinds()
    await this.#parts.threads.supervisor.drain(Math.max(0, untilMs - performance.now()), idleGraceMs)
    await (this.#stoppingNow ??= this.#endAll(Math.max(FLUSH_NOW_MS, untilMs - performance.now())))
  }

  /** Ends the threads, whatever they are at, and gives everything back. Each step has its bound. */
  async #endAll(flushMs: number): Promise<void> {
    const threads = (): Promise<void> => this.#parts.threads.stop()
    const hadStarted = this.state !== 'starting'
    const parts = {
      hadStarted,
      threads,
      watchdog: this.#parts.watchdog,
      admin: this.#admin,
      access: this.#access,
      audit: this.#audit,
    }
    this.#closeBinds()
    this.leftovers.push(...(await endAll({ ...parts, destination: this.#destination, log: this.#parts.log }, flushMs)))
    this.#end.reached()
  }

  /** A thread is stuck where nothing can end it. What it holds is lost, and only another process can do better. */
  #fail(thread: string): void {
    this.#closeBinds()
    this.leftovers.push(thread)
    const logs = { access: this.#access, audit: this.#audit, destination: this.#destination, log: this.#parts.log }
    void giveUp(thread, logs).then((cause) => this.#end.failed(cause))
  }

  #closeBinds(): void {
    this.state = 'draining'
    this.#parts.addresses.stop()
    this.#parts.reloading.stop()
    clearInterval(this.#care)
    this.#parts.certificates.stop()
    this.#parts.ticketKeys.stop()
    this.#parts.apply.stop()
    this.#parts.binds.close()
    // Behind the last that came in: what there is no room for is let go.
    this.#limit?.stop()
  }
}
