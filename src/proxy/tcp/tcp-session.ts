import { clientLossOf, dialFailureOf } from '../../core/blame.js'
import type { Conn, ConnHandler, Endpoint } from '../../core/conn.js'
import type { CastorError } from '../../core/errors.js'
import type { ReasonCode } from '../../core/reasons.js'
import { PROXY_V2_MAX_BYTES } from '../../net/proxy-protocol.js'
import { writeProxyV1, writeProxyV2 } from '../../net/proxy-protocol-writer.js'
import type { Timed } from '../../net/timer-wheel.js'
import type { ClientAddress } from '../client-address.js'
import { DISCARD } from '../discard.js'
import type { Drainable } from '../drainables.js'
import type { Listener } from '../listener.js'
import { logConnection } from '../log-request.js'
import { RequestInfo } from '../request-info.js'
import type { Route } from '../route.js'
import type { Sheddable } from '../silent-clients.js'
import { Affinity } from '../stickiness.js'
import type { Target } from '../target.js'
import { Tunnel, type TunnelEnd, type TunnelOwner } from '../tunnel.js'
import type { Waiter } from '../wait-list.js'
import type { WorkerContext } from '../worker-context.js'

const END_REASONS: Record<TunnelEnd, ReasonCode> = {
  closed: 'NONE',
  idle: 'IDLE_TIMEOUT',
  'client-failed': 'CLIENT_RESET',
  'target-failed': 'TARGET_RESET',
  fault: 'INTERNAL',
  cut: 'SHUTTING_DOWN',
  shed: 'SHED_SILENT',
  removed: 'TARGET_REMOVED',
}

/** One client connection of a tcp listener: pick, connect (again elsewhere where that fails), announce, carry, log. */
export class TcpSession implements ConnHandler, Timed, Drainable, TunnelOwner, Waiter, Sheddable {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  drainablesPlace = -1
  waitNext: Waiter | null = null
  waitPrevious: Waiter | null = null
  waitTicket = 0
  waitSlot = -1
  readonly hash = -1
  readonly affinity = new Affinity()
  readonly tried: number[] = []
  readonly #context: WorkerContext
  readonly listener: Listener
  readonly #route: Route
  readonly #conn: Conn
  readonly #clientAddress: ClientAddress
  readonly #info = new RequestInfo()
  /** What the client sent behind a PROXY header in the same read. */
  #early: Uint8Array | undefined
  #clientEnded = false
  #attemptsLeft: number
  /** The one it is with, or that failed last. */
  #target: Target | undefined
  /** It counts among the target's connections in flight. */
  #inFlight = false
  #upstream: Conn | undefined
  #tunnel: Tunnel | undefined
  /** What the target had sent when its connection was open, which was a handshake. */
  #upstreamBase = 0
  /** What came before was a handshake. */
  readonly #receivedBase: number
  #receivedCounted: number
  #sentCounted = 0
  #ended = false

  constructor(context: WorkerContext, listener: Listener, conn: Conn, clientAddress: ClientAddress) {
    this.#context = context
    this.listener = listener
    this.#route = listener.route
    this.#conn = conn
    this.#clientAddress = clientAddress
    const { nowMs, wallMs } = context.clock
    this.#info.begin({ listener, route: this.#route, clientAddress }, nowMs, nowMs, wallMs)
    this.#info.protocol = 'TCP'
    const id = context.requestIds.next()
    this.#info.identify(id, 0, id.length)
    this.#attemptsLeft = this.#route.group.config.retries.attempts
    this.#receivedBase = clientAddress.tls === undefined ? 0 : conn.bytesRead
    this.#receivedCounted = this.#receivedBase
  }

  get client(): Endpoint {
    return this.#clientAddress.source
  }

  /** `early` is borrowed. */
  start(early: Uint8Array | undefined): void {
    this.#context.silent.own(this.#conn, this)
    this.#context.drainables.add(this)
    this.#conn.handler = this
    this.#conn.pause()
    this.#early = early?.slice()
    const { retryBudget, stickiness } = this.#route.group
    stickiness?.bindClient(this.affinity, this.#clientAddress)
    retryBudget.countRequest()
    // To be had from the kernel only while the connection is open, and the log asks when it is closed.
    if (this.#context.accessLog !== undefined) void this.#clientAddress.vip
    this.#connect('NO_TARGET')
  }

  drain(): void {}

  onTargetRemoved(targetSlot: number): void {
    if (!this.#inFlight || this.#target?.slot !== targetSlot) return
    if (this.#tunnel !== undefined) this.#tunnel.finish('removed')
    else this.#fail('TARGET_REMOVED')
  }

  shed(): void {
    if (this.#tunnel !== undefined) this.#tunnel.cut('shed')
    else this.#fail('SHED_SILENT')
  }

  cut(): void {
    if (this.#tunnel !== undefined) this.#tunnel.finish('cut')
    else this.#fail('SHUTTING_DOWN')
  }

  onOpen(conn: Conn): void {
    const target = this.#target!
    const { config } = this.#route.group
    this.#context.wheel.cancel(this)
    target.connectionOpened()
    this.#upstreamBase = conn.bytesRead
    const info = this.#info
    info.connectMs = this.#context.clock.nowMs - info.startedMs
    this.#route.countConnect(info.connectMs)
    this.#route.group.outcomes.countAccepted(info)
    const { stickiness } = this.#route.group
    stickiness?.onTarget(this.affinity, target.slot)
    // To targets of TLS it went out before the handshake.
    if (config.proxyProtocol !== 'off' && target.tls === undefined) {
      const header = this.#header(config.proxyProtocol)
      conn.write(header, 0, header.length)
    }
    const keepMs = stickiness?.keepEveryMs ?? Number.POSITIVE_INFINITY
    this.#tunnel = new Tunnel(
      this.#conn,
      conn,
      this.#route.settings.config.idleTimeoutMs,
      keepMs,
      this.#context.wheel,
      this,
    )
    // A write that was kept holds the client back until the target has it.
    const waiting = this.#early !== undefined && !conn.write(this.#early, 0, this.#early.length)
    this.#early = undefined
    if (!waiting) this.#conn.resume()
    if (this.#clientEnded) conn.end()
  }

  onData(): void {}

  onEnd(conn: Conn): void {
    // Before the target was reached: it has said all it has to say, and may wait for an answer.
    if (conn === this.#conn) this.#clientEnded = true
  }

  onWritable(): void {}

  onClose(conn: Conn, cause?: CastorError): void {
    if (this.#ended) return
    if (conn === this.#conn) {
      this.#fail(clientLossOf(cause))
      return
    }
    this.#upstream = undefined
    this.#retry(this.#dialFailure(cause), cause)
  }

  onTimeout(): number {
    if (this.waitTicket !== 0) {
      this.#fail('QUEUE_TIMEOUT')
      return 0
    }
    const late = this.#upstream
    // A dial that had to wait for a socket has its time from when it began.
    const dialledMs = late?.dialledMs ?? 0
    const restMs = dialledMs + this.#route.group.config.timeouts.connectMs - this.#context.clock.nowMs
    if (restMs > 0) return restMs
    this.#upstream = undefined
    if (late !== undefined) {
      late.handler = DISCARD
      late.abort()
    }
    this.#retry(dialledMs < 0 ? 'LOCAL_SHORTAGE' : 'CONNECT_TIMEOUT')
    return 0
  }

  onTunnelAlive(): void {
    this.#countBytes()
    this.#route.group.stickiness?.keep(this.affinity)
  }

  onTunnelClosed(end: TunnelEnd): void {
    const target = this.#target!
    target.connectionClosed()
    // A reset behind an answer may be its target's way to say that it is done.
    if (this.#upstream!.bytesRead > this.#upstreamBase) this.#route.group.outcomes.countServed(this.#info)
    else this.#route.group.outcomes.countCut(this.#info, END_REASONS[end])
    this.#finish(END_REASONS[end])
  }

  /** `failure` is what to end with where no target is left. */
  #connect(failure: ReasonCode): void {
    const { group } = this.#route
    const acquired = group.acquire(this)
    switch (acquired) {
      case 'none':
        this.#fail(failure)
        return
      case 'full':
        // What a first target did says more than that the others are full.
        this.#fail(this.tried.length > 0 ? failure : 'QUEUE_FULL')
        return
      case 'waiting':
        this.#context.wheel.schedule(this, group.config.queue.timeoutMs)
        return
      default:
        this.#dial(acquired)
    }
  }

  onTurn(target: Target | undefined): void {
    if (target === undefined) this.#fail('NO_TARGET')
    else this.#dial(target)
  }

  #dial(target: Target): void {
    this.#target = target
    this.#info.target = target
    this.tried.push(target.slot)
    this.#inFlight = true
    this.#context.wheel.schedule(this, this.#route.group.config.timeouts.connectMs)
    const { proxyProtocol, keepAliveSeconds } = this.#route.group.config
    const inClear = proxyProtocol === 'off' || target.tls === undefined ? undefined : this.#header(proxyProtocol)
    this.#upstream = this.#context.transport.dial(
      target.address,
      target.port,
      this,
      target.tls,
      inClear,
      undefined,
      keepAliveSeconds,
    )
  }

  #retry(reason: ReasonCode, cause?: CastorError): void {
    this.#context.wheel.cancel(this)
    const failed = this.#target!
    const { group } = this.#route
    group.outcomes.countFailure(this.#info, reason, cause)
    this.#leaveTarget()
    if (this.#attemptsLeft === 0 || !group.mayRetryOn(reason)) this.#fail(reason)
    else if (!group.hasOther(failed, this.tried) || !group.retryBudget.tryRetry()) this.#fail(reason)
    else {
      this.#attemptsLeft--
      this.listener.countRetry()
      this.#connect(reason)
    }
  }

  #dialFailure(cause: CastorError | undefined): ReasonCode {
    const reason = dialFailureOf(cause)
    if (reason === 'TARGET_TLS_FAILED')
      this.#context.tlsLog.targetFailed(this.#route.group.config.name, this.#target!.id, cause!.message)
    return reason
  }

  #leaveTarget(): void {
    if (this.#inFlight) this.#route.group.finish(this.#target!)
    this.#inFlight = false
  }

  /** Tells the target who its client is. */
  #header(version: 'v1' | 'v2'): Uint8Array {
    const { source: client, vip, vport } = this.#clientAddress
    const destination = { family: vip.includes(':') ? (6 as const) : (4 as const), address: vip, port: vport }
    const header = Buffer.allocUnsafe(PROXY_V2_MAX_BYTES)
    const end =
      version === 'v1'
        ? writeProxyV1(header, 0, client, destination)
        : writeProxyV2(header, 0, client, destination, { uniqueId: this.#info.requestIdBytes })
    return header.subarray(0, end)
  }

  /** Ends a session that has no tunnel. */
  #fail(reason: ReasonCode): void {
    if (this.#ended) return
    this.#finish(reason)
    this.#context.wheel.cancel(this)
    const upstream = this.#upstream
    this.#upstream = undefined
    if (upstream !== undefined) {
      upstream.handler = DISCARD
      upstream.abort()
    }
    if (!this.#conn.closed) this.#conn.abort()
  }

  #countBytes(): void {
    this.listener.countBytes(this.#conn.bytesRead - this.#receivedCounted, this.#conn.bytesWritten - this.#sentCounted)
    this.#receivedCounted = this.#conn.bytesRead
    this.#sentCounted = this.#conn.bytesWritten
  }

  #finish(reason: ReasonCode): void {
    if (this.#ended) return
    this.#ended = true
    this.#route.group.cancel(this)
    this.#leaveTarget()
    this.#countBytes()
    this.listener.connectionClosed(this.#clientAddress.place)
    this.#context.drainables.delete(this)
    this.#info.receivedBytes = this.#conn.bytesRead - this.#receivedBase
    this.#info.sentBytes = this.#conn.bytesWritten
    logConnection(this.#context, this.#info, reason)
  }
}
