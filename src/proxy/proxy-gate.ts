import type { Conn } from '../core/conn.js'
import type { ReasonCode } from '../core/reasons.js'
import { PROXY_DONE, PROXY_NEED_MORE, ProxyProtocolReader } from '../net/proxy-protocol-reader.js'
import type { ClientAddress } from './client-address.js'
import { Gate } from './gate.js'
import type { Listener } from './listener.js'
import { logConnection } from './log-request.js'
import { RequestInfo } from './request-info.js'
import type { WorkerContext } from './worker-context.js'

/** Reads the PROXY protocol header that a trusted proxy in front must send, then lets the connection in as its client's. */
export class ProxyGate extends Gate {
  readonly #direct: ClientAddress
  readonly #enter: (clientAddress: ClientAddress, early: Uint8Array) => void
  readonly #reader = new ProxyProtocolReader()
  readonly #startedMs: number
  #kept: Uint8Array | undefined
  #place = -1

  /** `direct` is who the connection is from if the header leaves that open; `enter` is called once, with what follows. */
  constructor(
    context: WorkerContext,
    listener: Listener,
    conn: Conn,
    direct: ClientAddress,
    enter: (clientAddress: ClientAddress, early: Uint8Array) => void,
  ) {
    super(context, listener, conn, direct.place)
    this.#direct = direct
    this.#enter = enter
    this.#startedMs = context.clock.nowMs
  }

  start(): void {
    this.hold(this.context.protection.headerTimeoutMs)
  }

  onData(_conn: Conn, buffer: Uint8Array, length: number): void {
    const bytes =
      this.#kept === undefined ? buffer.subarray(0, length) : Buffer.concat([this.#kept, buffer.subarray(0, length)])
    const outcome = this.#reader.feed(bytes, 0, bytes.length)
    if (outcome === PROXY_NEED_MORE) {
      this.#kept = Uint8Array.from(bytes)
    } else if (outcome === PROXY_DONE) {
      if (!this.#isAdmitted()) return
      this.leave()
      this.#enter(this.#clientAddress(), bytes.subarray(this.#reader.headerLength))
    } else {
      this.#refuse('PROXY_PROTOCOL_INVALID')
    }
  }

  override onEnd(conn: Conn): void {
    // A proxy in front that only looks whether the port is open says nothing, and nothing is wrong with that.
    if (this.#kept === undefined) conn.close()
    else this.#refuse('PROXY_PROTOCOL_INVALID')
  }

  onTimeout(): number {
    this.#refuse('HEADER_TIMEOUT')
    return 0
  }

  /** The proxy was let in unasked; limits hold for whom it names. */
  #isAdmitted(): boolean {
    const { source } = this.#reader
    if (source === undefined) return true
    const { sources } = this.context
    if (sources.admitNamed(source, this.listener) !== 0) {
      this.conn.abort()
      return false
    }
    this.#place = sources.admission.place
    sources.own(this.#place)
    // The primary may have gone by another configuration, and have counted the proxy.
    sources.disown(this.#direct.place)
    return true
  }

  #clientAddress(): ClientAddress {
    const { source, destination } = this.#reader
    if (source === undefined) return this.#direct
    return {
      source: source,
      vip: destination?.address ?? this.#direct.vip,
      vport: destination?.port ?? this.#direct.vport,
      place: this.#place,
      isForwarded: false,
      sessionKey: undefined,
      tls: undefined,
    }
  }

  #refuse(reason: ReasonCode): void {
    const { clock, requestIds } = this.context
    const { listener } = this
    const info = new RequestInfo()
    info.begin(
      { listener, route: listener.route, clientAddress: this.#direct },
      this.#startedMs,
      clock.nowMs,
      clock.wallMs,
    )
    const id = requestIds.next()
    info.identify(id, 0, id.length)
    info.receivedBytes = this.conn.bytesRead
    logConnection(this.context, info, reason)
    this.conn.abort()
  }
}
