import type { AuditLog } from '../admin/audit.js'
import type { AdminFacts, ClusterFacts, ProcessState, WorkerFacts } from '../admin/facts.js'
import type { Clock } from '../core/clock.js'
import type { Config, TargetConfig } from '../core/config.js'
import type { Directory, ListedTarget } from '../core/directory.js'
import type { ExplainQuestion, Explanation, Unexplained } from '../core/explanation.js'
import type { SessionStore, SessionTotals } from '../core/session-store.js'
import type { AdminState } from '../core/target-state.js'
import type { CertificateFacts } from '../core/tls.js'
import type { Logger } from '../observe/log.js'
import { explainGroup } from '../proxy/explain/explain-group.js'
import type { Columns } from '../shm/columns.js'
import type { TargetTable } from '../shm/targets.js'
import { type OpenListener, openListeners } from './bind.js'
import { explain } from './explain.js'
import { heldVips } from './handover.js'
import type { Parts } from './parts.js'
import type { Reloader } from './reloader.js'
import type { AddOutcome } from './target-registry.js'
import type { Upgrade } from './upgrade/upgrade.js'

/** What of the process itself the administration asks. */
export interface ProcessFacts {
  readonly state: ProcessState
  drainHost(): void
}

/** The running balancer as the administration sees it, and what it may change. */
export class PrimaryFacts implements AdminFacts {
  readonly version: string
  readonly startedAtMs: number
  readonly columns: Columns
  readonly table: TargetTable
  readonly log: Logger
  readonly reloading: Reloader
  readonly audit: AuditLog
  readonly upgrades: Upgrade
  readonly #parts: Parts
  readonly #process: ProcessFacts

  constructor(parts: Parts, process: ProcessFacts) {
    this.#parts = parts
    this.#process = process
    this.version = parts.version
    this.startedAtMs = parts.startedAtMs
    this.columns = parts.columns
    this.table = parts.table
    this.log = parts.log
    this.reloading = parts.reloading
    this.audit = parts.audit
    this.upgrades = parts.upgrades
  }

  get state(): ProcessState {
    return this.#process.state
  }

  get workers(): readonly WorkerFacts[] {
    return this.#parts.threads.supervisor.facts
  }

  get config(): Config {
    return this.#parts.config
  }

  get directory(): Directory {
    return this.#parts.inForce.directory
  }

  get listeners(): readonly OpenListener[] {
    return openListeners(this.#parts.inForce.snapshot)
  }

  get targets(): readonly ListedTarget[] {
    return this.#parts.registry.all
  }

  get clock(): Clock {
    return this.#parts.now
  }

  get sessions(): SessionStore {
    this.#parts.clock.refresh()
    return this.#parts.sessions
  }

  get sessionTotals(): SessionTotals {
    return this.#parts.census
  }

  get cluster(): ClusterFacts | undefined {
    return this.#parts.threads.cluster?.facts
  }

  explain(question: ExplainQuestion): Explanation | Unexplained {
    const { columns, table, clock, targets, config } = this
    const { snapshot } = this.#parts.inForce
    const { sticky } = this.#parts
    return explain(question, {
      version: snapshot.version,
      config,
      plugins: config.plugins,
      protection: config.protection,
      secret: sticky.secret,
      addresses: (name) =>
        snapshot.binds
          .filter((bind) => bind !== undefined && snapshot.listeners[bind.listener]?.config.name === name)
          .map((bind) => bind!),
      group: (name, request, weight) => {
        const entry = snapshot.groups.find((each) => each?.config.name === name)!
        const own = targets.filter((target) => target.group === entry.slot)
        return {
          ...explainGroup(entry.config, entry.slot, own, request, { columns, table, clock, sticky }),
          weight,
        }
      },
    })
  }

  certificates(listener: number): readonly CertificateFacts[] {
    return this.#parts.certificates.facts(this.directory.listeners[listener] ?? '')
  }

  peerUser(fd: number): number {
    return this.#parts.addon?.peerUser(fd) ?? -1
  }

  drainHost(): readonly string[] {
    const held = heldVips(this.config.vips)
    this.#process.drainHost()
    return held
  }

  setTargetState(slot: number, state: AdminState): void {
    this.#parts.registry.setState(slot, state, this.clock.steadyMs)
    this.#parts.threads.cluster?.tellOperator(slot)
  }

  setTargetWeight(slot: number, weight: number): void {
    this.#parts.registry.setWeight(slot, weight, this.clock.steadyMs)
    this.#parts.threads.cluster?.tellOperator(slot)
  }

  addTarget(group: number, target: TargetConfig): Promise<AddOutcome> {
    return this.#parts.registry.add(group, target, () => this.clock.steadyMs)
  }

  removeTarget(slot: number, now: boolean): number {
    return this.#parts.registry.remove(slot, now, this.clock.steadyMs)
  }
}
