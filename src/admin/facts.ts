import type { Clock } from '../core/clock.js'
import type { Config, TargetConfig } from '../core/config.js'
import type { Directory, ListedTarget } from '../core/directory.js'
import type { ExplainQuestion, Explanation, Unexplained } from '../core/explanation.js'
import type { MeshStatus } from '../core/mesh.js'
import type { SessionStore, SessionTotals } from '../core/session-store.js'
import type { AdminState } from '../core/target-state.js'
import type { CertificateFacts } from '../core/tls.js'
import type { Logger } from '../observe/log.js'
import type { Columns } from '../shm/columns.js'
import type { TargetTable } from '../shm/targets.js'
import type { AdminErrorCode } from './admin-errors.js'
import type { AuditLog } from './audit.js'
import type { ReloadControl } from './reload-control.js'

export type ProcessState = 'starting' | 'running' | 'draining'

/** `stuck`: its loop has not turned for `watchdog`, and it is being ended. */
export type WorkerState = 'starting' | 'running' | 'stuck' | 'restarting'

export interface WorkerFacts {
  /** Its column in shared memory, 1 upwards. */
  readonly id: number
  readonly state: WorkerState
  /** Threads that died in this slot since the process started. */
  readonly restarts: number
  /** Those of them that had stood still and were ended by the watchdog. */
  readonly stuck: number
}

export interface ListenerFacts {
  readonly name: string
  /** What is bound now, with the real port, as `0.0.0.0:8080` or `[::]:8080`. */
  readonly addresses: readonly string[]
}

/** The cluster this host is part of; `status` is missing until the mesh thread has said something. */
export interface ClusterFacts {
  readonly name: string
  readonly boot: string
  readonly status: MeshStatus | undefined
}

/** How far an upgrade is; `done` and `failed` end it. */
export type UpgradeStep =
  | { readonly step: 'starting'; readonly pid: number; readonly command: string }
  | { readonly step: 'started'; readonly version: string }
  /** It has opened everything and checked its targets; so many sessions went over to it. */
  | { readonly step: 'prepared'; readonly sessions: number }
  | { readonly step: 'done'; readonly pid: number; readonly sessions: number }
  /** `code`: of the error that the new program gave, else UPGRADE_FAILED. */
  | { readonly step: 'failed'; readonly code: string; readonly message: string }

/** The replacement of this process by another one. */
export interface Upgrades {
  /** Why none can begin now. */
  readonly hindrance: { readonly code: AdminErrorCode; readonly message: string } | undefined
  /** What operators want has gone over to the new process: a change here would be lost. */
  readonly isHandingOver: boolean
  /** `program`: another installation's, in place of the one that runs. Resolves behind the last step. */
  run(program: string | undefined, onStep: (step: UpgradeStep) => void): Promise<void>
}

/**
 * What the administration is told about the process. The primary implements it with getters: every request reads what
 * holds at that moment, so that a reload or a restarted worker needs no call to here.
 */
export interface AdminFacts {
  readonly version: string
  /** As of now, for what shared memory says by `steadyMs`. */
  readonly clock: Pick<Clock, 'steadyMs' | 'wallMs'>
  /** Milliseconds since the epoch, as the host's clock was then. */
  readonly startedAtMs: number
  readonly state: ProcessState
  readonly config: Config
  readonly directory: Directory
  readonly columns: Columns
  readonly table: TargetTable
  /** Every target that there is, by group. */
  readonly targets: readonly ListedTarget[]
  /** Learned sessions; its clock stands at the moment of asking. */
  readonly sessions: SessionStore
  readonly sessionTotals: SessionTotals
  readonly workers: readonly WorkerFacts[]
  readonly listeners: readonly ListenerFacts[]
  readonly log: Logger
  readonly reloading: ReloadControl
  /** What was changed, by whom. */
  readonly audit: AuditLog
  /** The user id of whoever connected to a Unix socket; negative where nobody can tell. */
  peerUser(fd: number): number
  /** What would become of a request now. Nothing is sent to anybody. */
  explain(question: ExplainQuestion): Explanation | Unexplained
  /** Those that the listener with this index serves now; none where it speaks no TLS. */
  certificates(listener: number): readonly CertificateFacts[]
  /** Undefined for a host alone. */
  readonly cluster: ClusterFacts | undefined
  /** Carries out what the operator wants of a target, at once and on every thread. */
  readonly upgrades: Upgrades
  /** Finishes what is in flight and ends the process; answers the addresses that it hands over to another host first. */
  drainHost(): readonly string[]
  setTargetState(slot: number, state: AdminState): void
  setTargetWeight(slot: number, weight: number): void
  /** `no-group`: a reload has taken the group away. Rejects where there is no memory for one more. */
  addTarget(group: number, target: TargetConfig): Promise<'added' | 'exists' | 'no-group'>
  /** Lets a target drain and then go, or go at once; returns when it goes, by `clock.steadyMs`. */
  removeTarget(slot: number, now: boolean): number
}
