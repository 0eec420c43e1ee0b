import { hostname } from 'node:os'
import { resolve as resolvePath } from 'node:path'
import type {
  ClusterConfig,
  Config,
  HealthCheckConfig,
  ListenerConfig,
  OutlierConfig,
  RetryConfig,
  SourceListConfig,
  StickinessConfig,
  TargetConfig,
  TargetGroupConfig,
} from '../core/config.js'
import type { Http2Config, RedirectToHttpsConfig, TargetHttp2Config } from '../core/config-tls.js'
import { failureMask } from '../core/failure-kinds.js'
import { isHttpListener, isTlsGroup } from '../core/protocols.js'
import { toleranceMask } from '../core/tolerances.js'
import { defaultCookieName } from './check-stickiness.js'
import { usableCores } from './cores.js'
import type { InspectedPlugin } from './inspect-plugins.js'
import { resolvePlugins } from './resolve-plugins.js'
import { resolveRules } from './resolve-rules.js'
import { resolveGroupTls, resolveListenerTls } from './resolve-tls.js'
import type { ConfigFile, ListenerFile, TargetFile, TargetGroupFile } from './schema.js'
import { DEFAULT_FAILURES } from './schema-health.js'
import { HTTP2_DEFAULTS, type Http2File, TARGET_HTTP2_DEFAULTS } from './schema-http2.js'
import type { KeepAliveFile } from './schema-keep-alive.js'
import { fileItem, fileOfItem, readSourceList } from './source-list.js'
import { stateDirectory } from './state-directory.js'

/** What defaults need to know of the machine. */
export interface Machine {
  hostName(): string
  cores(): number
  stateDirectory(): string
}

export const thisMachine: Machine = { hostName: hostname, cores: usableCores, stateDirectory }

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
const DEFAULT_OUTLIER: OutlierConfig = {
  on: failureMask(DEFAULT_FAILURES),
  failurePercent: 50,
  minRequests: 20,
  windowMs: 10_000,
  consecutiveFailures: 5,
  ejectForMs: 30_000,
  maxEjectedPercent: 50,
}
const DEFAULT_FORWARDED = {
  proto: true,
  port: true,
  host: true,
  vip: false,
  clientPort: false,
  rfc7239: false,
  via: false,
}

/**
 * The checked file in the program's form; paths in it count from `directory`. Its type is the compile-time proof that the
 * schema fits the contract.
 */
export function resolveConfig(
  file: ConfigFile,
  machine: Machine,
  directory: string,
  plugins: readonly InspectedPlugin[] = [],
): Config {
  const path = (written: string): string => (written === '' ? '' : resolvePath(directory, written))
  const listeners = file.listeners.map((listener) => resolveListener(listener, file.ruleSets, path))
  return {
    node: file.node ?? asName(machine.hostName()),
    workers: file.workers === 'auto' ? Math.min(MAX_WORKERS, machine.cores()) : file.workers,
    log: file.log,
    admin: file.admin,
    shutdownTimeoutMs: file.shutdownTimeout,
    drainDelayMs: file.drainDelay,
    upgradeTimeoutMs: file.upgradeTimeout,
    upgradeDrainMs: file.upgradeDrain,
    stateDir: file.stateDir === '' ? machine.stateDirectory() : path(file.stateDir),
    secret: file.secret,
    reload: file.reload,
    watchdogMs: file.watchdog === 'off' ? 0 : file.watchdog,
    plugins: resolvePlugins(file.plugins, plugins, listeners, path),
    listeners,
    targetGroups: file.targetGroups.map((group) => resolveGroup(group, path)),
    protection: {
      headerTimeoutMs: file.protection.headerTimeout,
      firstByteTimeoutMs: file.protection.firstByteTimeout,
      bodyMinRateBytesPerSecond: file.protection.bodyMinRate,
      maxHeaderBytes: file.protection.maxHeaderBytes,
      maxHeaders: file.protection.maxHeaders,
      maxConnections: file.protection.maxConnections,
      allow: resolveSources(file.protection.allow, path),
      deny: resolveSources(file.protection.deny, path),
      connectionsPerSource: file.protection.connectionsPerSource,
      newConnectionsPerSource: file.protection.newConnectionsPerSource,
      handshakesPerSource: file.protection.handshakesPerSource,
      requestsPerSource: file.protection.requestsPerSource,
    },
    ...(file.cluster === undefined ? {} : { cluster: resolveCluster(file.cluster, path) }),
    vips: file.vips,
    sessions: file.sessions,
    reserve: file.reserve,
  }
}

type ResolvePath = (written: string) => string

/** What is wrong with a file has been told by the check. */
function resolveSources(written: readonly string[], path: ResolvePath): SourceListConfig {
  const items = written.map((item) => {
    const file = fileOfItem(item)
    return file === undefined ? item : fileItem(path(file))
  })
  return { items, ranges: readSourceList(items, () => {}) }
}

function resolveCluster(
  { name, redis, secret, heartbeat, hosts }: NonNullable<ConfigFile['cluster']>,
  path: ResolvePath,
): ClusterConfig {
  return { name, redis: { ...redis, ca: path(redis.ca) }, secret, heartbeatMs: heartbeat, hosts }
}

function resolveListener(listener: ListenerFile, sets: ConfigFile['ruleSets'], path: ResolvePath): ListenerConfig {
  const wanted = listener.idleTimeout === 'off' ? Number.POSITIVE_INFINITY : listener.idleTimeout
  const idleTimeoutMs = wanted ?? (isHttpListener(listener.protocol) ? HTTP_IDLE_MS : TCP_IDLE_MS)
  const http2 = resolveHttp2(listener)
  const redirectToHttps = resolveRedirect(listener.redirectToHttps)
  return {
    name: listener.name,
    protocol: listener.protocol,
    listen: listener.listen,
    targetGroup: listener.targetGroup ?? '',
    idleTimeoutMs,
    keepAliveSeconds: seconds(listener.keepAlive),
    halfClose: listener.halfClose,
    upgrades: listener.upgrades,
    websocketIdleTimeoutMs: listener.websocketIdleTimeout ?? idleTimeoutMs,
    acceptProxyProtocol: listener.acceptProxyProtocol,
    trustForwardedFrom: listener.trustForwardedFrom,
    limits: listener.limits,
    explainFrom: listener.explainFrom,
    ...(listener.tls === undefined ? {} : { tls: resolveListenerTls(listener.tls, listener.protocol, http2, path) }),
    ...(http2 === undefined ? {} : { http2 }),
    ...(redirectToHttps === undefined ? {} : { redirectToHttps }),
    rules: resolveRules(listener.rules, sets, path),
  }
}

/** The system counts in whole seconds. */
function seconds(keepAlive: KeepAliveFile): number {
  return keepAlive === 'off' ? 0 : Math.max(1, Math.round(keepAlive.idle / 1000))
}

/** undefined where clients cannot come by HTTP/2. */
function resolveHttp2({ protocol, http2, tls }: ListenerFile): Http2Config | undefined {
  const offered = protocol === 'https' && (tls?.alpn === undefined || tls.alpn.includes('h2'))
  if (!(http2 ?? offered)) return undefined
  const limits: Http2File = typeof http2 === 'object' ? http2 : HTTP2_DEFAULTS
  return {
    maxStreams: limits.maxConcurrentStreams,
    streamWindowBytes: limits.initialWindow,
    connectionWindowBytes: limits.connectionWindow,
    headerTableBytes: limits.headerTableSize,
    rateWindowMs: limits.rateWindow,
    maxResets: limits.maxResets,
    maxRefusals: limits.maxRefusals,
    maxSettings: limits.maxSettings,
    maxPings: limits.maxPings,
    maxPriorities: limits.maxPriorities,
    maxUselessFrames: limits.maxUselessFrames,
    maxWindowUpdates: limits.maxWindowUpdates,
    maxTinyFrames: limits.maxTinyFrames,
    maxContinuations: limits.maxContinuations,
    maxQueuedBytes: limits.maxOutboundQueue,
    stallTimeoutMs: limits.stallTimeout,
    settingsTimeoutMs: limits.settingsTimeout,
  }
}

function resolveRedirect(redirect: ListenerFile['redirectToHttps']): RedirectToHttpsConfig | undefined {
  if (redirect === false) return undefined
  if (redirect === true) return { port: 443, status: 0 }
  return { port: redirect.port, status: redirect.status ?? 0 }
}

function resolveGroup(group: TargetGroupFile, path: ResolvePath): TargetGroupConfig {
  return {
    name: group.name,
    protocol: group.protocol,
    algorithm: group.algorithm,
    targets: group.targets.map(resolveTarget),
    proxyProtocol: group.proxyProtocol,
    keepAliveSeconds: seconds(group.keepAlive),
    forwarded: group.forwarded ?? DEFAULT_FORWARDED,
    tolerate: toleranceMask(group.tolerate),
    retries: group.retries === 'off' ? NO_RETRIES : (group.retries ?? DEFAULT_RETRIES),
    hashOn: group.hashOn,
    failOpen: group.failOpen,
    healthCheck: resolveHealthCheck(group),
    outlierDetection: resolveOutlier(group.outlierDetection),
    panicPercent: group.panicPercent,
    stickiness: resolveStickiness(group),
    slowStartMs: group.slowStart,
    drainingMs: group.draining,
    timeouts: { connectMs: group.timeouts.connect, responseMs: group.timeouts.response ?? RESPONSE_MS },
    maxConnectionsPerTarget: group.maxConnectionsPerTarget === 'unlimited' ? 0 : group.maxConnectionsPerTarget,
    queue: { size: group.queue.size, timeoutMs: group.queue.timeout },
    ...(group.protocol === 'h2' || group.protocol === 'h2c' ? { http2: resolveTargetHttp2(group.http2) } : {}),
    ...(isTlsGroup(group.protocol) ? { tls: resolveGroupTls(group.tls, path) } : {}),
  }
}

function resolveTargetHttp2(limits: TargetGroupFile['http2']): TargetHttp2Config {
  const { rateWindow, pingAfter, pingTimeout, ...counts } = limits ?? TARGET_HTTP2_DEFAULTS
  return { ...counts, rateWindowMs: rateWindow, pingAfterMs: pingAfter, pingTimeoutMs: pingTimeout }
}

export function resolveTarget({ id, address, weight }: TargetFile): TargetConfig {
  return { id: id ?? address.text, host: address.host, port: address.port, weight }
}

function resolveHealthCheck({
  protocol,
  healthCheck: check,
  proxyProtocol: ofGroup,
}: TargetGroupFile): HealthCheckConfig {
  const { interval, timeout, ...rest } = check
  // What listens on a port of its own for checks need not be what takes the traffic.
  const isOwnPort = check.port === 0
  return {
    ...rest,
    protocol: isOwnPort && check.httpVersion === undefined ? asTraffic(check.protocol, protocol) : check.protocol,
    httpVersion: check.httpVersion ?? '1.1',
    proxyProtocol: check.proxyProtocol ?? (isOwnPort ? ofGroup : 'off'),
    intervalMs: interval,
    timeoutMs: timeout,
  }
}

/** Targets of HTTP/2 are asked by HTTP/2. */
function asTraffic(
  check: HealthCheckConfig['protocol'],
  group: TargetGroupConfig['protocol'],
): HealthCheckConfig['protocol'] {
  if (check === 'http' && group === 'h2c') return 'h2c'
  return check === 'https' && group === 'h2' ? 'h2' : check
}

function resolveStickiness({ name: group, stickiness }: TargetGroupFile): StickinessConfig {
  if (stickiness === 'off') return { type: 'off' }
  switch (stickiness.type) {
    case 'cookie': {
      const { name = defaultCookieName(group), maxAge, ...attributes } = stickiness
      return { ...attributes, name, maxAgeSeconds: maxAge }
    }
    case 'app-cookie':
      return { type: 'app-cookie', name: stickiness.name, timeoutMs: stickiness.timeout }
    case 'source-ip':
      return { type: 'source-ip', timeoutMs: stickiness.timeout, ipv6Prefix: stickiness.ipv6Prefix }
  }
}

function resolveOutlier(outlier: TargetGroupFile['outlierDetection']): OutlierConfig {
  if (outlier === undefined) return DEFAULT_OUTLIER
  if (outlier === 'off') return { ...DEFAULT_OUTLIER, on: 0 }
  const { on, window, ejectFor, ...rest } = outlier
  return { ...rest, on: failureMask(on), windowMs: window, ejectForMs: ejectFor }
}

/** Host names may hold what names here may not. */
function asName(hostName: string): string {
  const name = hostName.replace(/[^A-Za-z0-9_.-]/g, '-').slice(0, 64)
  return name === '' ? 'node' : name
}
