import { z } from 'zod'
import { REASONS } from '../core/reasons.js'
import { ADMIN_STATES, CHECK_STATES, HEALTH_REASONS } from '../core/target-state.js'
import { TLS_FAULTS } from '../core/tls.js'
import type { ClusterStatus } from './cluster-status.js'
import type { ListenerStatus, Status, TargetGroupStatus, TargetStatus } from './status-shape.js'

/** What the API answers about the state of things, for the OpenAPI document; `status-shape.ts` says what it means. */

export const count = (what?: string) => (what === undefined ? z.int().min(0) : z.int().min(0).describe(what))
export const time = () => z.iso.datetime()
const ms = () => z.number().min(0)

const targetStatus: z.ZodType<TargetStatus> = z
  .strictObject({
    id: z.string(),
    address: z.string(),
    weight: z.int().min(0).max(100),
    state: z.enum(ADMIN_STATES),
    health: z.enum([...CHECK_STATES, 'ejected']),
    reason: z.enum(HEALTH_REASONS).nullable(),
    since: time().describe('When state or health last changed.'),
    leaves: time().nullable().describe('When a target that was removed goes.'),
    connections: count(),
    inFlight: count('Requests, or connections of tcp groups, that are with it now.'),
    requests: count(),
    failures: count(),
    latency: z.strictObject({ p50: ms().nullable(), p99: ms().nullable() }).describe('Milliseconds, last minute.'),
  })
  .meta({ id: 'Target' })

export const targetGroupStatus: z.ZodType<TargetGroupStatus> = z
  .strictObject({
    name: z.string(),
    protocol: z.enum(['tcp', 'tls', 'http', 'https', 'h2', 'h2c']),
    algorithm: z.enum(['round-robin', 'least-connections', 'source-ip', 'random-two', 'peak-ewma', 'maglev']),
    maxConnectionsPerTarget: count().nullable(),
    queue: z.strictObject({ waiting: count(), size: count(), timeoutMs: ms() }),
    sessions: count('Learned sessions as last counted.').nullable(),
    panic: z.boolean().describe('So few targets are available that ejected ones take traffic.'),
    targets: z.array(targetStatus),
  })
  .meta({ id: 'TargetGroup' })

const tlsStatus = z
  .strictObject({
    handshakes: count(),
    resumed: count(),
    failures: z.partialRecord(z.enum(TLS_FAULTS), count()),
    certificates: z.array(
      z.strictObject({
        names: z.array(z.string()),
        keyType: z.string(),
        issuer: z.string(),
        fingerprint: z.string(),
        expires: time(),
        daysLeft: z.int(),
      }),
    ),
  })
  .meta({ id: 'ListenerTls' })

export const listenerStatus: z.ZodType<ListenerStatus> = z
  .strictObject({
    name: z.string(),
    protocol: z.enum(['tcp', 'tls', 'http', 'https']),
    addresses: z.array(z.string()),
    targetGroup: z.string(),
    connections: count(),
    connectionsTotal: count(),
    requests: count(),
    responses: z.strictObject({ '1xx': count(), '2xx': count(), '3xx': count(), '4xx': count(), '5xx': count() }),
    rules: z
      .array(z.strictObject({ name: z.string(), requests: count() }))
      .exactOptional()
      .describe('Requests that matched each rule; missing in events.'),
    receivedBytes: count(),
    sentBytes: count(),
    errors: z.strictObject({
      client: count(),
      server: count(),
      reasons: z.partialRecord(z.enum(REASONS.map(({ code }) => code)), count()),
    }),
    tls: tlsStatus.nullable(),
  })
  .meta({ id: 'Listener' })

export const clusterStatus: z.ZodType<ClusterStatus> = z
  .strictObject({
    name: z.string(),
    boot: z.string(),
    redis: z.strictObject({ up: z.boolean(), since: time().nullable(), reason: z.string().nullable() }),
    peers: z.array(
      z.strictObject({
        node: z.string(),
        state: z.enum(['alive', 'silent', 'left']),
        version: z.string(),
        features: z.array(z.string()),
        lastSeen: time(),
        lagMs: z.number(),
      }),
    ),
    counts: z.strictObject({
      framesIn: count(),
      framesOut: count(),
      entriesIn: count(),
      entriesOut: count(),
      forged: count(),
      unreadable: count(),
      oversize: count(),
      stale: count(),
      invalid: count(),
      newer: count(),
      ahead: count(),
      unknown: count(),
      refills: count(),
    }),
  })
  .meta({ id: 'Cluster' })

const workerStatus = z
  .strictObject({
    id: count(),
    state: z.enum(['starting', 'running', 'stuck', 'restarting']),
    connections: count(),
    restarts: count(),
    stuck: count(),
    loopDelayMs: z.strictObject({ p50: ms(), p99: ms(), max: ms() }),
  })
  .meta({ id: 'Worker' })

const configurationStatus = z
  .strictObject({
    version: count(),
    loaded: time(),
    file: z.string().nullable(),
    lastReload: z
      .strictObject({
        time: time(),
        by: z.enum(['signal', 'api', 'watch']),
        result: z.enum(['applied', 'unchanged', 'changed', 'invalid', 'restart-required', 'failed']),
        reasons: z.array(z.string()),
      })
      .nullable(),
  })
  .meta({ id: 'Configuration' })

export const statusAnswer: z.ZodType<Status> = z
  .strictObject({
    node: z.string(),
    version: z.string(),
    time: time(),
    uptimeMs: count(),
    state: z.enum(['starting', 'running', 'draining']),
    health: z.enum(['healthy', 'degraded']),
    problems: z.array(z.string()).describe('Why it is degraded, one sentence each.'),
    workers: z.array(workerStatus),
    listeners: z.array(listenerStatus),
    targetGroups: z.array(targetGroupStatus),
    cluster: clusterStatus.exactOptional().describe('Missing for a host alone.'),
    sessions: z.strictObject({ live: count(), capacity: count(), evictions: count() }),
    configuration: configurationStatus,
  })
  .meta({ id: 'Status' })
