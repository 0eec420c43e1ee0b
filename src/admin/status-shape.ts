import type { Algorithm, GroupProtocol, ListenerProtocol } from '../core/config.js'
import type { ReasonCode } from '../core/reasons.js'
import type { ClusterStatus } from './cluster-status.js'
import type { ProcessState, WorkerState } from './facts.js'
import type { Latency } from './latency-window.js'
import type { ReloadOutcome, ReloadTrigger } from './reload-control.js'
import type { TlsStatus } from './tls-status.js'

/** The body of `GET /api/v1/status` and of each event. Times are milliseconds, timestamps ISO 8601, counts since the start. */
export interface Status {
  readonly node: string
  readonly version: string
  readonly time: string
  readonly uptimeMs: number
  readonly state: ProcessState
  readonly health: 'healthy' | 'degraded'
  /** Why it is degraded, one sentence each. */
  readonly problems: readonly string[]
  readonly workers: readonly WorkerStatus[]
  readonly listeners: readonly ListenerStatus[]
  readonly targetGroups: readonly TargetGroupStatus[]
  /** Missing for a host alone. */
  readonly cluster?: ClusterStatus
  readonly sessions: SessionsStatus
  readonly configuration: ConfigurationStatus
}

/** The configuration in force, and what came of the last attempt to change it. */
export interface ConfigurationStatus {
  /** 1 at the start. */
  readonly version: number
  readonly loaded: string
  /** Null where the process was started without one that can be read again. */
  readonly file: string | null
  /** Null before the first. */
  readonly lastReload: {
    readonly time: string
    /** `signal`, `api`, or `watch` for a change of the file. */
    readonly by: ReloadTrigger
    readonly result: ReloadOutcome['result']
    /** Why what was in force still is, a line each; the first of many. */
    readonly reasons: readonly string[]
  } | null
}

/** Learned sessions of all groups. */
export interface SessionsStatus {
  /** Places taken; one whose session expired counts until it is swept, seconds later. */
  readonly live: number
  readonly capacity: number
  /** Went before their time for want of room. */
  readonly evictions: number
}

export interface WorkerStatus {
  readonly id: number
  readonly state: WorkerState
  readonly connections: number
  readonly restarts: number
  /** Restarts after which the thread before had stood still for `watchdog`. */
  readonly stuck: number
  /** Over the last second. */
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

export interface ListenerStatus {
  readonly name: string
  readonly protocol: ListenerProtocol
  readonly addresses: readonly string[]
  readonly targetGroup: string
  readonly connections: number
  readonly connectionsTotal: number
  /** Answers given; on tcp listeners 0. */
  readonly requests: number
  readonly responses: Readonly<Record<ResponseClass, number>>
  /** Requests that matched each rule, in the order of the rules. Missing in events, which come each second. */
  readonly rules?: readonly RuleStatus[]
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly errors: {
    readonly client: number
    readonly server: number
    /** The same by reason, only those that occurred. */
    readonly reasons: Readonly<Partial<Record<ReasonCode, number>>>
  }
  /** Null where the listener speaks no TLS. */
  readonly tls: TlsStatus | null
}

export interface RuleStatus {
  readonly name: string
  readonly requests: number
}

export type ResponseClass = '1xx' | '2xx' | '3xx' | '4xx' | '5xx'

export interface TargetGroupStatus {
  readonly name: string
  readonly protocol: GroupProtocol
  readonly algorithm: Algorithm
  /** Requests (in tcp groups connections) that a target serves at once; null where there is no limit. */
  readonly maxConnectionsPerTarget: number | null
  /** How many wait now for a target with a place, of how many that may. */
  readonly queue: { readonly waiting: number; readonly size: number; readonly timeoutMs: number }
  /** Learned sessions as last counted; null in a group that learns none. */
  readonly sessions: number | null
  /** Fewer targets are available than `panicPercent`, so that ejected ones take traffic. */
  readonly panic: boolean
  readonly targets: readonly TargetStatus[]
}

export interface TargetStatus {
  readonly id: string
  readonly address: string
  readonly weight: number
  readonly state: 'active' | 'draining' | 'maintenance'
  readonly health: 'initial' | 'healthy' | 'unhealthy' | 'ejected' | 'unchecked'
  readonly reason: string | null
  /** When `state` or `health` last changed. */
  readonly since: string
  /** When a target that was removed goes; null for one that stays. */
  readonly leaves: string | null
  readonly connections: number
  /** Requests, or connections of tcp groups, that are with it now: what the limit is about. */
  readonly inFlight: number
  readonly requests: number
  readonly failures: number
  /** Of the answers of the last 30 to 60 seconds. */
  readonly latency: Latency
}
