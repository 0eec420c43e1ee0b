import { hostname } from 'node:os'
import type {
  ClusterConfig,
  Config,
  HealthCheckConfig,
  ListenerConfig,
  OutlierConfig,
  RetryConfig,
  StickinessConfig,
  TargetConfig,
  TargetGroupConfig,
} from '../core/config.js'
import { usableCores } from './cores.js'
import type { ConfigFile, ListenerFile, TargetFile, TargetGroupFile } from './schema.js'

/** What defaults need to know of the machine. */
export interface Machine {
  hostName(): string
  cores(): number
}

export const thisMachine: Machine = { hostName: hostname, cores: usableCores }

const MAX_WORKERS = 256
const HTTP_IDLE_MS = 60_000
const TCP_IDLE_MS = 1_800_000
const RESPONSE_MS = 60_000
const NO_RETRIES: RetryConfig = { attempts: 0, on: [], budgetPercent: 0 }
const DEFAULT_RETRIES: RetryConfig = {
  attempts: 1,
  on: ['connect-failure', 'reset-before-response'],
  budgetPercent: 20,
}
const DEFAULT_OUTLIER: OutlierConfig = { consecutiveFailures: 5, ejectForMs: 30_000, maxEjectedPercent: 50 }
const DEFAULT_FORWARDED = {
  proto: true,
  port: true,
  host: true,
  vip: false,
  clientPort: false,
  rfc7239: false,
  via: false,
}

/** The checked file in the program's form. Its type is the compile-time proof that the schema fits the contract. */
export function resolveConfig(file: ConfigFile, machine: Machine): Config {
  return {
    node: file.node ?? asName(machine.hostName()),
    workers: file.workers === 'auto' ? Math.min(MAX_WORKERS, machine.cores()) : file.workers,
    log: file.log,
    admin: file.admin,
    shutdownTimeoutMs: file.shutdownTimeout,
    listeners: file.listeners.map(resolveListener),
    targetGroups: file.targetGroups.map(resolveGroup),
    protection: {
      headerTimeoutMs: file.protection.headerTimeout,
      bodyMinRateBytesPerSecond: file.protection.bodyMinRate,
      maxHeaderBytes: file.protection.maxHeaderBytes,
      maxHeaders: file.protection.maxHeaders,
      maxConnections: file.protection.maxConnections,
    },
    ...(file.cluster === undefined ? {} : { cluster: resolveCluster(file.cluster) }),
    vips: file.vips,
    sessions: file.sessions,
    reserve: file.reserve,
  }
}

function resolveCluster({ name, redis, secret, heartbeat, hosts }: NonNullable<ConfigFile['cluster']>): ClusterConfig {
  return { name, redis, secret, heartbeatMs: heartbeat, hosts }
}

function resolveListener(listener: ListenerFile): ListenerConfig {
  const idleTimeoutMs = listener.idleTimeout ?? (listener.protocol === 'http' ? HTTP_IDLE_MS : TCP_IDLE_MS)
  return {
    name: listener.name,
    protocol: listener.protocol,
    listen: listener.listen,
    targetGroup: listener.targetGroup,
    idleTimeoutMs,
    websocketIdleTimeoutMs: listener.websocketIdleTimeout ?? idleTimeoutMs,
    acceptProxyProtocol: listener.acceptProxyProtocol,
    trustForwardedFrom: listener.trustForwardedFrom,
  }
}

function resolveGroup(group: TargetGroupFile): TargetGroupConfig {
  return {
    name: group.name,
    protocol: group.protocol,
    algorithm: group.algorithm,
    targets: group.targets.map(resolveTarget),
    proxyProtocol: group.proxyProtocol,
    forwarded: group.forwarded ?? DEFAULT_FORWARDED,
    retries: group.retries === 'off' ? NO_RETRIES : (group.retries ?? DEFAULT_RETRIES),
    hashOn: group.hashOn,
    failOpen: group.failOpen,
    healthCheck: resolveHealthCheck(group.healthCheck),
    outlierDetection: resolveOutlier(group.outlierDetection),
    stickiness: resolveStickiness(group.stickiness),
    slowStartMs: group.slowStart,
    drainingMs: group.draining,
    timeouts: { connectMs: group.timeouts.connect, responseMs: group.timeouts.response ?? RESPONSE_MS },
    maxConnectionsPerTarget: group.maxConnectionsPerTarget === 'unlimited' ? 0 : group.maxConnectionsPerTarget,
    queue: { size: group.queue.size, timeoutMs: group.queue.timeout },
  }
}

export function resolveTarget({ id, address, weight }: TargetFile): TargetConfig {
  return { id: id ?? address.text, host: address.host, port: address.port, weight }
}

function resolveHealthCheck(check: TargetGroupFile['healthCheck']): HealthCheckConfig {
  const { interval, timeout, ...rest } = check
  return { ...rest, intervalMs: interval, timeoutMs: timeout }
}

function resolveStickiness(stickiness: TargetGroupFile['stickiness']): StickinessConfig {
  if (stickiness === 'off') return { type: 'off' }
  switch (stickiness.type) {
    case 'cookie':
      return { type: 'cookie', name: stickiness.name, maxAgeSeconds: stickiness.maxAge }
    case 'app-cookie':
      return { type: 'app-cookie', name: stickiness.name, timeoutMs: stickiness.timeout }
    case 'source-ip':
      return { type: 'source-ip', timeoutMs: stickiness.timeout }
  }
}

function resolveOutlier(outlier: TargetGroupFile['outlierDetection']): OutlierConfig {
  if (outlier === undefined) return DEFAULT_OUTLIER
  if (outlier === 'off') return { ...DEFAULT_OUTLIER, consecutiveFailures: 0 }
  const { consecutiveFailures, ejectFor, maxEjectedPercent } = outlier
  return { consecutiveFailures, ejectForMs: ejectFor, maxEjectedPercent }
}

/** Host names may hold what names here may not. */
function asName(hostName: string): string {
  const name = hostName.replace(/[^A-Za-z0-9_.-]/g, '-').slice(0, 64)
  return name === '' ? 'node' : name
}
