import type { MessagePort } from 'node:worker_threads'
import type { GroupTargets } from './directory.js'
import type { MeshStatus, OperatorEntry, TicketsEntry } from './mesh.js'
import type { CounterSegment, SharedCounters } from './shared-counters.js'
import type { Snapshot } from './snapshot.js'
import type { CheckState, HealthReason } from './target-state.js'
import type { TlsMaterial } from './tls.js'

/** What a proxy thread is given when it starts. Buffers are shared, the rest is copied. */
export interface ProxyTask {
  /** 1 to the number of workers: the thread's name in shared memory. */
  readonly column: number
  readonly snapshot: Snapshot
  readonly counters: SharedCounters
  /** What session keys are made with; the same in every thread. */
  readonly sessionSeed: Uint8Array
  /** Keys sticky cookies. */
  readonly cookieSecret: string
  /** Connections come through this ring; the waker says that there are some. Absent when the thread listens itself. */
  readonly inbox?: { readonly ring: SharedArrayBuffer; readonly wakerFd: number }
  /** Client connections at once over all threads; what the primary keeps to where it accepts. */
  readonly maxConnections: number
  /** Without the addon: listening descriptors of the thread's own, by slot of the bind. */
  readonly listeningFds?: readonly (number | undefined)[]
  /** Of every group, as of now. */
  readonly targets: readonly GroupTargets[]
  readonly targetsVersion: SnapshotContent['targetsVersion']
  readonly tls: TlsMaterial
  /** See `ServerTls.setTicketKeys`. */
  readonly ticketKeys: Uint8Array
  /** Connections to targets at once over all threads, idle ones included. */
  readonly maxTargetSockets: number
  readonly port: MessagePort
}

/** What the probe thread is given. */
export interface ProbeTask {
  readonly snapshot: Snapshot
  readonly counters: SharedCounters
  /** Of every group, as of now. */
  readonly targets: readonly GroupTargets[]
  readonly targetsVersion: SnapshotContent['targetsVersion']
  /** As of TlsMaterial. */
  readonly tlsGroups: TlsMaterial['groups']
  /** The process is Castor's own: where the primary stands still, this thread ends it. */
  readonly ownsProcess: boolean
  /** Checks at once: each takes a descriptor. */
  readonly maxChecks: number
  readonly port: MessagePort
}

/** A group has these targets now: some came or went, or a name resolves to another address. */
export interface TargetsMessage {
  readonly type: 'targets'
  readonly targets: GroupTargets
}

/**
 * Another snapshot is in force, and these are the targets of its groups, and of those that still have some to let go. Every
 * thread applies it whole and then acknowledges its version in shared memory. One that it knows already changes nothing.
 */
export interface SnapshotContent {
  readonly snapshot: Snapshot
  readonly targets: readonly GroupTargets[]
  /** Whoever has these lists has all up to this version, those included of groups that are gone by now. */
  readonly targetsVersion: number
}

export interface SnapshotMessage {
  readonly type: 'snapshot'
  /** By `packSnapshot`, once for all threads. */
  readonly packed: readonly Uint8Array[]
}

/** The shared tables have grown. Comes before anything that names a slot of the segment. */
export interface SegmentMessage {
  readonly type: 'segment'
  readonly segment: CounterSegment
}

export type ToProbe =
  | { readonly type: 'stop' }
  | TargetsMessage
  | (SnapshotMessage & { readonly tlsGroups: TlsMaterial['groups'] })
  | SegmentMessage
  /** Certificates, keys or authorities have changed. */
  | { readonly type: 'tls'; readonly tlsGroups: TlsMaterial['groups'] }

export type FromProbe =
  /** Every target has been checked once. */
  | { readonly type: 'ready' }
  | { readonly type: 'log'; readonly line: string }
  /** A target's health has changed. */
  | { readonly type: 'verdict'; readonly slot: number; readonly state: CheckState; readonly reason: HealthReason }

/** What the mesh thread is given; there is none where the configuration has no `cluster`. */
export interface MeshTask {
  readonly snapshot: Snapshot
  readonly counters: SharedCounters
  readonly version: string
  /** The process's own id: another start of the same host has another. */
  readonly boot: string
  /** Of every group, as of now. */
  readonly targets: readonly GroupTargets[]
  /** The thread died and is started again: what its predecessor had not sent is to be sent. */
  readonly again: boolean
  /** What operators of any host want of targets, and the ticket keys of all, as far as the primary knows. */
  readonly known: readonly (OperatorEntry | TicketsEntry)[]
  /** Another process speaks for this host. */
  readonly muted: boolean
  readonly port: MessagePort
}

export type ToMesh =
  | { readonly type: 'stop' }
  /** The operator of this host wants something of a target. */
  | { readonly type: 'operator'; readonly entry: OperatorEntry }
  /** A check of this host came out differently than before. */
  | { readonly type: 'verdict'; readonly slot: number; readonly state: CheckState; readonly reason: HealthReason }
  /** This host has made new ticket keys. */
  | { readonly type: 'tickets'; readonly entry: TicketsEntry }
  /** In an upgrade two processes have the host's name, and one of them speaks. */
  | { readonly type: 'mute'; readonly muted: boolean }
  /** Sessions came in that the other hosts may not know, used since then by `Clock.steadyMs`. */
  | { readonly type: 'resync'; readonly sinceMs: number }
  | TargetsMessage
  | SnapshotMessage
  | SegmentMessage

export type FromMesh =
  /** What the others knew is here. */
  | { readonly type: 'joined' }
  /** All that was said is out, and nothing follows. */
  | { readonly type: 'muted' }
  | { readonly type: 'log'; readonly line: string }
  | { readonly type: 'status'; readonly status: MeshStatus }
  /** An operator of another host wants something of a target; also what was wanted before this host started. `from`: who said so. */
  | { readonly type: 'operator'; readonly entry: OperatorEntry; readonly from?: string | undefined }
  | { readonly type: 'tickets'; readonly entry: TicketsEntry }

export type ToProxy =
  /** Take no new work, finish what is in flight, close what is idle after `idleGraceMs`, cut what is left after `timeoutMs`. */
  | { readonly type: 'drain'; readonly timeoutMs: number; readonly idleGraceMs: number }
  | TargetsMessage
  /** `listeningFds` as of ProxyTask, for binds that are new. */
  | (SnapshotMessage & { readonly tls: TlsMaterial; readonly listeningFds?: readonly (number | undefined)[] })
  | SegmentMessage
  /** Certificates, keys or authorities have changed. */
  | { readonly type: 'tls'; readonly tls: TlsMaterial }
  | { readonly type: 'ticket-keys'; readonly ticketKeys: Uint8Array }
  /** So many bytes of the access log were written. */
  | { readonly type: 'logged'; readonly bytes: number }

export type FromProxy =
  | { readonly type: 'ready' }
  /** A complete log line. */
  | { readonly type: 'log'; readonly line: string }
  /** Complete lines of the access log. */
  | { readonly type: 'access'; readonly lines: Uint8Array }
