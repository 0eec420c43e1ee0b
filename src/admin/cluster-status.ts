import { type Clock, wallTime } from '../core/clock.js'
import type { MeshCounts, Peer } from '../core/mesh.js'
import type { ClusterFacts } from './facts.js'

/** The body of `GET /api/v1/cluster`, and `cluster` in the status. Times are milliseconds, timestamps ISO 8601. */
export interface ClusterStatus {
  readonly name: string
  /** This process's own id: another start of the host has another. */
  readonly boot: string
  readonly redis: {
    readonly up: boolean
    /** Since when it is up or down; null until the mesh thread has said something. */
    readonly since: string | null
    /** Why it is not up; null while it is. */
    readonly reason: string | null
  }
  readonly peers: readonly PeerStatus[]
  readonly counts: Readonly<MeshCounts>
}

export interface PeerStatus {
  readonly node: string
  readonly state: Peer['state']
  readonly version: string
  readonly features: readonly string[]
  readonly lastSeen: string
  readonly lagMs: number
}

const NOTHING: Readonly<MeshCounts> = {
  framesIn: 0,
  framesOut: 0,
  entriesIn: 0,
  entriesOut: 0,
  forged: 0,
  unreadable: 0,
  oversize: 0,
  stale: 0,
  invalid: 0,
  newer: 0,
  ahead: 0,
  unknown: 0,
  refills: 0,
}

export function buildClusterStatus(
  { name, boot, status }: ClusterFacts,
  clock: Pick<Clock, 'steadyMs' | 'wallMs'>,
): ClusterStatus {
  return {
    name,
    boot,
    redis: {
      up: status?.up ?? false,
      since: status === undefined ? null : new Date(status.sinceMs).toISOString(),
      reason: status === undefined ? 'not connected yet' : status.up ? null : status.reason,
    },
    peers: (status?.peers ?? []).map(({ node, state, version, features, lastSeenMs, lagMs }) => ({
      node,
      state,
      version,
      features,
      lastSeen: new Date(wallTime(lastSeenMs, clock)).toISOString(),
      lagMs,
    })),
    counts: status?.counts ?? NOTHING,
  }
}

/** What an operator should look at, one sentence each. */
export function clusterProblems({ name, status }: ClusterFacts, node: string): string[] {
  const problems: string[] = []
  if (status?.up !== true) {
    problems.push(
      `cluster ${name}: Redis is not there (${status?.reason ?? 'not connected yet'}); this host goes on alone`,
    )
  }
  for (const peer of status?.peers ?? []) {
    if (peer.state === 'silent') problems.push(`cluster ${name}: peer ${peer.node} is silent`)
  }
  if (status?.impostor !== undefined) {
    problems.push(`cluster ${name}: another process is called ${node} as well; give each host a node name of its own`)
  }
  for (const double of status?.doubled ?? []) {
    problems.push(`cluster ${name}: two processes are called ${double}; give each host a node name of its own`)
  }
  if (status !== undefined && status.evictionPolicy !== '') {
    const policy = status.evictionPolicy
    problems.push(`cluster ${name}: Redis throws away what is kept (${policy}); set its maxmemory-policy to noeviction`)
  }
  if (status?.forgedLately === true) {
    problems.push(`cluster ${name}: frames came that were sealed with another secret`)
  }
  return problems
}
