import type { AddressRanges } from './address-ranges.js'
import type { PluginConfig } from './config-plugins.js'
import type { RuleConfig } from './config-rules.js'
import type {
  GroupTlsConfig,
  Http2Config,
  ListenerTlsConfig,
  RedirectToHttpsConfig,
  TargetHttp2Config,
} from './config-tls.js'

/**
 * The configuration as the program sees it: checked, every default filled in, durations in milliseconds, sizes in
 * bytes, rates in bytes or events a second. `config/schema.ts` makes it from the file; the file's form is documented
 * there, key by key.
 */
export interface Config {
  readonly node: string
  readonly workers: number
  readonly log: LogConfig
  readonly admin: AdminConfig
  readonly shutdownTimeoutMs: number
  /** How long `/readyz` says no before the listeners close; 0 = not at all. */
  readonly drainDelayMs: number
  /** For a new program, from its start until it serves. */
  readonly upgradeTimeoutMs: number
  /** After an upgrade: for what is in flight in the process before. */
  readonly upgradeDrainMs: number
  /** Where what must outlive the process is kept; empty = nowhere. */
  readonly stateDir: string
  /** Keys sticky cookies where there is no cluster; empty = one is made and kept in `stateDir`. */
  readonly secret: string
  /** `onChange`: the file is watched, and a change of it is a reload. */
  readonly reload: 'manual' | 'onChange'
  /** A thread whose loop has not turned for so long is ended and replaced; 0 = never. */
  readonly watchdogMs: number
  /** In the order in which they are asked. */
  readonly plugins: readonly PluginConfig[]
  readonly listeners: readonly ListenerConfig[]
  readonly targetGroups: readonly TargetGroupConfig[]
  readonly protection: ProtectionConfig
  /** Absent = this host alone. */
  readonly cluster?: ClusterConfig
  readonly vips: readonly VipConfig[]
  readonly sessions: SessionsConfig
  readonly reserve: ReserveConfig
}

/** What hosts share, and where. */
export interface ClusterConfig {
  /** Hosts with the same name, secret and Redis are one cluster. */
  readonly name: string
  readonly redis: RedisConfig
  /** Signs cookies and seals what travels. */
  readonly secret: string
  readonly heartbeatMs: number
  /** All hosts of the cluster, this one included, in the order in which they stand in; empty = found by multicast. */
  readonly hosts: readonly HostConfig[]
}

/** A host and the address by which the others reach it. */
export interface HostConfig {
  readonly node: string
  readonly address: string
}

export type RedisConfig =
  | SingleRedisConfig
  | ({
      readonly type: 'sentinel'
      readonly name: string
      readonly sentinelUsername: string
      readonly sentinelPassword: string
    } & {
      readonly sentinels: readonly RedisNode[]
    } & RedisLogin)
  | ({ readonly type: 'cluster'; readonly nodes: readonly RedisNode[] } & RedisLogin)

export interface SingleRedisConfig extends RedisLogin {
  readonly type: 'single'
  readonly address: RedisNode
  readonly database: number
}

export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** Empty = none. */
export interface RedisLogin {
  readonly username: string
  readonly password: string
  readonly tls: boolean
  /** File of the authorities that its certificate is verified by; empty = the system's. */
  readonly ca: string
}

/** An address that moves between the hosts of a cluster by VRRP. */
export interface VipConfig {
  /** With its prefix length, as `192.0.2.10/24`. */
  readonly address: string
  readonly interface: string
  /** The node that has it while all is well. */
  readonly prefer: string
  /** VRRP's number for it, 1–255, unique on its network. */
  readonly routerId: number
  /** How often the host that has it says so; after three that did not come another takes it. */
  readonly advertIntervalMs: number
}

/** Of the table of learned sessions, which all groups share. */
export interface SessionsConfig {
  readonly capacity: number
}

/** Room in shared memory, beyond what the file names, for what comes while the process runs. */
export interface ReserveConfig {
  readonly targets: number
}

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  readonly format: 'json' | 'pretty'
  /** `off`, `stdout`, or a file's path. */
  readonly access: string
  /** `off`, `stderr` (with the rest of the log), `stdout`, or a file's path. */
  readonly audit: string
}

export interface AdminConfig {
  /** At least one. */
  readonly listen: readonly AdminListen[]
  /** Of `default`, who may do everything. Without any token none is required, which the checks refuse beyond this host. */
  readonly token: string
  readonly tokens: readonly AdminToken[]
  /** Names in lower case that `Host` may have, beside localhost and addresses, where no token is required. */
  readonly hosts: readonly string[]
  /** What the dashboard's page may connect to beside the admin API (CSP `connect-src`); no key sets it, only the demo. */
  readonly pageConnects?: readonly string[]
}

/** A token and whose it is, for the audit log. */
export interface AdminToken {
  readonly name: string
  readonly token: string
  /** `read`: may change nothing. */
  readonly role: AdminRole
}

export type AdminRole = 'read' | 'write'

export type AdminListen = ListenAddress | UnixAddress

/** A Unix socket, by its absolute path. */
export interface UnixAddress {
  readonly path: string
}

export interface ListenAddress {
  readonly address: string
  readonly port: number
}

export type ListenerProtocol = 'tcp' | 'tls' | 'http' | 'https'
export type GroupProtocol = 'tcp' | 'tls' | 'http' | 'https' | 'h2' | 'h2c'

export interface ListenerConfig {
  readonly name: string
  readonly protocol: ListenerProtocol
  readonly listen: readonly ListenAddress[]
  /** Where no rule matches; empty where every request is redirected, or there are rules and the rest is answered 404. */
  readonly targetGroup: string
  /** Infinite on tcp and tls listeners where it is off. */
  readonly idleTimeoutMs: number
  /** Silence of a client before TCP asks whether it is still there; 0 = never. */
  readonly keepAliveSeconds: number
  /** What the end of a client's sending means while its answer is under way. */
  readonly halfClose: 'cancel' | 'keep'
  /** Protocols that are tunnelled after Upgrade: names, with or without a version, or `any`. */
  readonly upgrades: readonly string[]
  /** For the tunnels of http listeners; the file's default is the listener's `idleTimeout`. */
  readonly websocketIdleTimeoutMs: number
  /** CIDRs, as written. */
  readonly acceptProxyProtocol: readonly string[]
  readonly trustForwardedFrom: readonly string[]
  readonly limits: ListenerLimits
  /** Clients that may ask how their requests are routed; CIDRs, as written. */
  readonly explainFrom: readonly string[]
  /** Of tls and https listeners, and of no others. */
  readonly tls?: ListenerTlsConfig
  /** Where HTTP/2 is spoken: by ALPN on https listeners, by prior knowledge on http ones. */
  readonly http2?: Http2Config
  /** http listeners only. */
  readonly redirectToHttps?: RedirectToHttpsConfig
  /** http and https listeners only; in the order of the file, which decides among equals. */
  readonly rules: readonly RuleConfig[]
}

export type Algorithm = 'round-robin' | 'least-connections' | 'source-ip' | 'random-two' | 'peak-ewma' | 'maglev'

/** What maglev hashes; `name` is a header's or cookie's, in lower case for headers. */
export type HashOn =
  | { readonly by: 'source' }
  | { readonly by: 'path' }
  | { readonly by: 'header'; readonly name: string }
  | { readonly by: 'cookie'; readonly name: string }

export interface HealthCheckConfig {
  readonly protocol: 'tcp' | 'http' | 'https' | 'h2c' | 'h2' | 'grpc' | 'off'
  readonly path: string
  /** Host field (`:authority`) and, over TLS, server name; empty = the target's address. */
  readonly host: string
  /** 0 = the target's own. */
  readonly port: number
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly healthyThreshold: number
  readonly unhealthyThreshold: number
  /** Inclusive ranges. */
  readonly codes: readonly (readonly [number, number])[]
  readonly httpVersion: '1.0' | '1.1'
  /** Name of the service that gRPC checks ask about; empty = the server as a whole. */
  readonly service: string
  /** Over TLS: refuse a certificate that does not verify. */
  readonly verify: boolean
  /** The header that checks begin with. */
  readonly proxyProtocol: 'off' | 'v1' | 'v2'
}

export type StickinessConfig =
  | { readonly type: 'off' }
  | ({ readonly type: 'cookie' } & StickyCookieConfig)
  /** Learned from the application's cookie. */
  | { readonly type: 'app-cookie'; readonly name: string; readonly timeoutMs: number }
  /** `ipv6Prefix`: bits of an IPv6 address that stand for one client. */
  | { readonly type: 'source-ip'; readonly timeoutMs: number; readonly ipv6Prefix: number }

/** Castor's own cookie (RFC 6265). */
export interface StickyCookieConfig {
  readonly name: string
  /** 0 = until the browser closes. */
  readonly maxAgeSeconds: number
  readonly sameSite: 'lax' | 'strict' | 'none'
  /** In lower case; empty = the host alone that the browser asked. */
  readonly domain: string
  /** `auto`: where the client came over TLS. */
  readonly secure: 'auto' | boolean
}

export interface OutlierConfig {
  /** Kinds of failures that count, as bits of `failure-kinds.ts`; 0 = off. */
  readonly on: number
  readonly failurePercent: number
  readonly minRequests: number
  readonly windowMs: number
  /** Failed connects and resets in a row. */
  readonly consecutiveFailures: number
  readonly ejectForMs: number
  readonly maxEjectedPercent: number
}

export interface TargetConfig {
  /** `address` as written unless `id` was given; unique in its group. */
  readonly id: string
  /** A host name or an address, without brackets. */
  readonly host: string
  readonly port: number
  /** 0–100; 0 takes no new traffic. */
  readonly weight: number
}

export interface TargetGroupConfig {
  readonly name: string
  readonly protocol: GroupProtocol
  readonly algorithm: Algorithm
  readonly targets: readonly TargetConfig[]
  readonly proxyProtocol: 'off' | 'v1' | 'v2'
  /** Silence of a target before TCP asks whether it is still there; 0 = never. */
  readonly keepAliveSeconds: number
  readonly forwarded: ForwardedConfig
  /** Faults in response heads that are let pass, as bits of `tolerances.ts`; http and https groups only. */
  readonly tolerate: number
  readonly retries: RetryConfig
  readonly hashOn: HashOn
  /** With every target down, try them all rather than answer 503. */
  readonly failOpen: boolean
  readonly healthCheck: HealthCheckConfig
  readonly outlierDetection: OutlierConfig
  /** With a smaller share of targets available than this, ejections are ignored. */
  readonly panicPercent: number
  readonly stickiness: StickinessConfig
  readonly slowStartMs: number
  readonly drainingMs: number
  readonly timeouts: { readonly connectMs: number; readonly responseMs: number }
  /** Requests in flight to one target (connections in tcp groups), over all threads; 0 = unlimited. */
  readonly maxConnectionsPerTarget: number
  /** Who waits while every target is at that limit. `size` is over all threads; 0 = nobody does. */
  readonly queue: { readonly size: number; readonly timeoutMs: number }
  /** Of groups whose targets speak TLS, and of no others. */
  readonly tls?: GroupTlsConfig
  /** h2 and h2c groups only. */
  readonly http2?: TargetHttp2Config
}

/** Which headers about the client go to the targets, beside X-Forwarded-For. */
export interface ForwardedConfig {
  readonly proto: boolean
  readonly port: boolean
  readonly host: boolean
  readonly vip: boolean
  readonly clientPort: boolean
  readonly rfc7239: boolean
  readonly via: boolean
}

export type RetryCondition = 'connect-failure' | 'reset-before-response' | 'response-timeout'

export interface RetryConfig {
  /** Further tries after the first; 0 = off. */
  readonly attempts: number
  readonly on: readonly RetryCondition[]
  /** Retries allowed, in percent of the requests of the last seconds. */
  readonly budgetPercent: number
}

export interface ProtectionConfig {
  readonly headerTimeoutMs: number
  /** For a client of an http or https listener to say anything at all. */
  readonly firstByteTimeoutMs: number
  readonly bodyMinRateBytesPerSecond: number
  readonly maxHeaderBytes: number
  readonly maxHeaders: number
  /** Client connections at once, over all listeners; worked out from the open-file limit when the file says `auto`. */
  readonly maxConnections: number | 'auto'
  /** Sources that the limits below do not hold for. */
  readonly allow: SourceListConfig
  /** Sources whose connections are reset. */
  readonly deny: SourceListConfig
  /** Infinite where there is no limit; so the rates, which are a second. */
  readonly connectionsPerSource: number
  readonly newConnectionsPerSource: number
  readonly handshakesPerSource: number
  readonly requestsPerSource: number
}

/** Infinite where there is no limit. */
export interface ListenerLimits {
  /** Open at once. */
  readonly connections: number
  /** As many at once. */
  readonly requestsPerSecond: number
  /** Of one request. */
  readonly bodyBytes: number
}

export interface SourceListConfig {
  /** As written: CIDRs, and `file:` with an absolute path. */
  readonly items: readonly string[]
  readonly ranges: AddressRanges
}
