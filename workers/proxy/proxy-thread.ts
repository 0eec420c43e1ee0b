import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { Config, ProtectionConfig, TargetGroupConfig } from '../../src/core/config.js'
import type { GroupTargets } from '../../src/core/directory.js'
import type { ProxyTask } from '../../src/core/messages.js'
import type { CounterSegment } from '../../src/core/shared-counters.js'
import type { TlsMaterial } from '../../src/core/tls.js'
import type { AccessLog } from '../../src/observe/access-log.js'
import type { PluginSet } from '../../src/plugin/plugin-set.js'
import { Http1Context } from '../../src/proxy/h1/h1-context.js'
import { Http2Context } from '../../src/proxy/h2/h2-context.js'
import { type StreamDialling, TargetStreams } from '../../src/proxy/h2/target-streams.js'
import { type Http1, RequestPhases } from '../../src/proxy/phases.js'
import type { TargetServices } from '../../src/proxy/target.js'
import type { TargetSet } from '../../src/proxy/target-set.js'
import type { WorkerContext } from '../../src/proxy/worker-context.js'
import { WORKER_SNAPSHOT } from '../../src/shm/layout.js'
import { drainListeners } from './drain.js'
import { LeavingTargets } from './leaving-targets.js'
import { LiveConfiguration } from './live-configuration.js'
import { ThreadTls } from './thread-tls.js'

/** What a thread is made with and keeps until it ends. */
export interface ThreadParts {
  readonly context: Omit<WorkerContext, 'protection' | 'accessLog'>
  readonly services: TargetServices
  readonly log: Logger
  readonly accessLog: AccessLog
  readonly plugins: { readonly current: PluginSet }
  readonly ticketKeys: Uint8Array
  /** As in ProxyTask. */
  readonly maxConnections: number
  /** To be called every now and then: dials may wait for a socket, here or in another thread. */
  readonly giveRoom: () => void
}

/** What a thread goes by from one snapshot to the next. */
export type ThreadOrders = Pick<ProxyTask, 'snapshot' | 'targets' | 'targetsVersion' | 'tls'>

/** Everything a proxy thread is made of, and its way from each snapshot of the configuration to the next. */
export class ProxyThread {
  /** For connections that come from here on; see WorkerContext. */
  context: WorkerContext
  http1: Http1
  /** Client connections at once over all threads, where the thread accepts by itself. */
  readonly maxConnections: number
  readonly live: LiveConfiguration
  readonly tls: ThreadTls
  readonly log: Logger
  readonly accessLog: AccessLog
  readonly giveRoom: () => void
  readonly #services: TargetServices
  readonly #leaving: LeavingTargets
  #version = 0
  #tlsMaterial: TlsMaterial = { listeners: [], groups: [] }

  constructor(parts: ThreadParts, config: Config) {
    this.log = parts.log
    this.accessLog = parts.accessLog
    this.maxConnections = parts.maxConnections
    this.giveRoom = parts.giveRoom
    this.#services = parts.services
    this.tls = new ThreadTls(parts.context.transport, parts.log, parts.ticketKeys)
    this.live = new LiveConfiguration({
      shared: parts.services,
      sources: parts.context.sources,
      plugins: () => parts.plugins.current,
      targetServices: (config, set) => this.#targetServices(config, set),
      takeTls: (listeners, sets) => this.tls.take(this.#tlsMaterial, listeners, sets),
      releaseTls: (gone) => this.tls.release(gone),
    })
    const { protection } = config
    this.context = { ...parts.context, protection, accessLog: this.#accessLogOf(config) }
    this.http1 = this.#http1()
    this.#leaving = new LeavingTargets(this.context, parts.services.table, this.live)
  }

  /**
   * Takes the thread to this snapshot: what is new is made, what has changed is succeeded, what is gone is drained, and what
   * is as it was is left alone. Requests under way finish by what they began with. Start is the same, from nothing.
   * Acknowledges the version at the end: whoever reads that may count on nothing new beginning by an older one here.
   * Throws CastorError TLS_CONFIG, and leaves everything as it is, where a new listener's or group's TLS cannot be made.
   */
  apply(orders: ThreadOrders): void {
    for (const _ of this.applying(orders));
  }

  /** The same in steps: with thousands of targets requests would wait for it. */
  *applying({ snapshot, targets, targetsVersion, tls }: ThreadOrders): Generator<void> {
    if (snapshot.version <= this.#version) return
    const { clock, columns, column, silent, sources, requestLimits } = this.context
    clock.refresh()
    const before = this.#tlsMaterial
    this.#tlsMaterial = tls
    try {
      drainListeners(this, this.live.apply(snapshot, targets, clock.nowMs))
    } catch (fault) {
      this.#tlsMaterial = before
      throw fault
    }
    yield
    for (const list of targets) {
      this.context.clock.refresh()
      this.#leaving.replaceTargets(list)
      yield
    }
    this.#leaving.takeOn(targetsVersion)
    const { config } = snapshot
    silent.timeoutMs = config.protection.firstByteTimeoutMs
    sources.admission.limits = config.protection
    requestLimits.take(config)
    this.log.level = config.log.level
    this.#renewContext(config.protection, this.#accessLogOf(config))
    this.#version = snapshot.version
    columns.workerWords[columns.workerAt(column) + WORKER_SNAPSHOT] = snapshot.version
  }

  /** The shared tables have grown. */
  addSegment(segment: CounterSegment): void {
    this.#services.columns.addSegment(segment)
    this.#services.table.addSegment(segment)
  }

  /** A group has these targets now. */
  setTargets(list: GroupTargets): void {
    this.context.clock.refresh()
    this.#leaving.setTargets(list)
  }

  /** Certificates, keys or authorities have changed. */
  setTls(material: TlsMaterial): void {
    this.#tlsMaterial = material
    this.tls.take(material, this.live.listeners, this.live.sets)
  }

  /** Time has passed. Several times a second, off the hot path. */
  tick(): void {
    const { nowMs } = this.context.clock
    this.#leaving.look()
    this.live.release(nowMs)
    this.http1.requests.forgetSpare(nowMs)
  }

  #accessLogOf({ log }: Config): AccessLog | undefined {
    return log.access === 'off' ? undefined : this.accessLog
  }

  /** Parsers are made for the limits, and requests note what the log will want: both for new connections only. */
  #renewContext(protection: ProtectionConfig, accessLog: AccessLog | undefined): void {
    const { context } = this
    if (context.accessLog === accessLog && isDeepStrictEqual(context.protection, protection)) return
    this.context = { ...context, protection, accessLog }
    this.http1 = this.#http1()
  }

  #http1(): Http1 {
    const context = new Http1Context(this.context, this.log)
    const requests = new RequestPhases(context)
    return { context, requests, http2: new Http2Context(this.context, context, requests, this.log) }
  }

  #targetServices({ protocol }: TargetGroupConfig, set: () => TargetSet): TargetServices {
    if (protocol !== 'h2' && protocol !== 'h2c') return this.#services
    return {
      ...this.#services,
      multiplexing: (target) => new TargetStreams(target, this.http1.http2, dialling(set(), this.http1.http2)),
    }
  }
}

/** Connections that speak HTTP/2, with or without TLS; each goes by the settings that are in force when it is dialled. */
function dialling(set: TargetSet, { context }: Http2Context): StreamDialling {
  return {
    scheme: set.config.protocol === 'h2' ? 'https' : 'http',
    get connectTimeoutMs() {
      return set.config.timeouts.connectMs
    },
    get http2() {
      return set.config.http2!
    },
    dial: ({ address, port, tls }, handler) =>
      context.transport.dial(address, port, handler, tls, undefined, undefined, set.config.keepAliveSeconds),
  }
}
