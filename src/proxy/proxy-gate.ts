import type { Conn, ConnHandler } from '../core/conn.js'
import { REASON, type ReasonCode } from '../core/reasons.js'
import { PROXY_DONE, PROXY_NEED_MORE, ProxyProtocolReader } from '../net/proxy-protocol-reader.js'
import type { Timed } from '../net/timer-wheel.js'
import type { ClientAddress } from './client-address.js'
import type { Listener } from './listener.js'
import type { Drainable, WorkerContext } from './worker-context.js'

/** Reads the PROXY protocol header that a trusted proxy in front must send, then lets the connection in as its client's. */
export class ProxyGate implements ConnHandler, Timed, Drainable {
  timerNext: Timed | null = null
  timerPrevious: Timed | null = null
  timerSlot = -1
  timerDeadlineMs = 0
  readonly #context: WorkerContext
  readonly listener: Listener
  readonly #direct: ClientAddress
  readonly #enter: (clientAddress: ClientAddress, early: Uint8Array) => void
  readonly #reader = new ProxyProtocolReader()
  readonly #conn: Conn
  readonly #startedMs: number
  readonly #startedWallMs: number
  #kept: Uint8Array | undefined

  /** `direct` is who the connection is from if the header leaves that open; `enter` is called once, with what follows. */
  constructor(
    context: WorkerContext,
    listener: Listener,
    conn: Conn,
    direct: ClientAddress,
    enter: (clientAddress: ClientAddress, early: Uint8Array) => void,
  ) {
    this.#context = context
    this.listener = listener
    this.#conn = conn
    this.#direct = direct
    this.#enter = enter
    this.#startedMs = context.clock.nowMs
    this.#startedWallMs = context.clock.wallMs
  }

  start(): void {
    this.#context.drainables.add(this)
    this.#conn.handler = this
    this.#context.wheel.schedule(this, this.#context.protection.headerTimeoutMs)
  }

  drain(): void {
    this.#conn.close()
  }

  onTargetRemoved(): void {}

  cut(): void {
    this.#conn.abort()
  }

  onOpen(): void {}

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    const bytes =
      this.#kept === undefined ? buffer.subarray(0, length) : Buffer.concat([this.#kept, buffer.subarray(0, length)])
    const outcome = this.#reader.feed(bytes, 0, bytes.length)
    if (outcome === PROXY_NEED_MORE) {
      this.#kept = Uint8Array.from(bytes)
    } else if (outcome === PROXY_DONE) {
      this.#leave()
      this.#enter(this.#clientAddress(), bytes.subarray(this.#reader.headerLength))
    } else {
      this.#refuse('PROXY_PROTOCOL_INVALID')
    }
  }

  onEnd(conn: Conn): void {
    // A proxy in front that only looks whether the port is open says nothing, and nothing is wrong with that.
    if (this.#kept === undefined) conn.close()
    else this.#refuse('PROXY_PROTOCOL_INVALID')
  }

  onWritable(): void {}

  onClose(): void {
    this.#leave()
    this.listener.connectionClosed()
  }

  onTimeout(): number {
    this.#refuse('HEADER_TIMEOUT')
    return 0
  }

  #clientAddress(): ClientAddress {
    const { source, destination } = this.#reader
    if (source === undefined) return this.#direct
    return {
      source: source,
      vip: destination?.address ?? this.#direct.vip,
      vport: destination?.port ?? this.#direct.vport,
      sessionKey: undefined,
      tls: undefined,
    }
  }

  #refuse(reason: ReasonCode): void {
    this.listener.countReason(REASON[reason])
    this.#record(reason)
    this.#conn.abort()
  }

  #record(reason: ReasonCode): void {
    const { accessLog, entry, clock, requestIds } = this.#context
    if (accessLog === undefined) return
    const { settings, group } = this.listener.route
    entry.reset()
    entry.timeMs = this.#startedWallMs
    entry.requestId = requestIds.next()
    entry.listener = settings.config.name
    entry.clientIp = this.#direct.source.address
    entry.clientPort = this.#direct.source.port
    entry.vip = this.#direct.vip
    entry.vport = this.#direct.vport
    entry.targetGroup = group.config.name
    entry.scheme = settings.config.protocol
    entry.requestBytes = this.#conn.bytesRead
    entry.requestMs = clock.nowMs - this.#startedMs
    entry.reason = reason
    accessLog.record(entry)
  }

  #leave(): void {
    this.#context.wheel.cancel(this)
    this.#context.drainables.delete(this)
  }
}
