import type { Conn } from '../../core/conn.js'
import type { ReasonCode } from '../../core/reasons.js'
import type { Drainable } from '../drainables.js'
import type { Listener } from '../listener.js'
import type { Affinity } from '../stickiness.js'
import type { Target } from '../target.js'
import { Tunnel, type TunnelEnd, type TunnelOwner } from '../tunnel.js'
import type { Http1Context } from './h1-context.js'
import type { Requester } from './requester.js'

const REASONS: Record<TunnelEnd, ReasonCode> = {
  closed: 'NONE',
  idle: 'IDLE_TIMEOUT',
  'client-failed': 'CLIENT_RESET',
  'target-failed': 'TARGET_CUT',
  fault: 'INTERNAL',
  cut: 'SHUTTING_DOWN',
  // Not of one whose client has sent a request.
  shed: 'SHED_SILENT',
  removed: 'TARGET_REMOVED',
}

/** A connection from its 101 on, to a WebSocket or another protocol: a tunnel that ends the session it grew out of. */
export class UpgradedTunnel implements TunnelOwner, Drainable {
  drainablesPlace = -1
  readonly #session: Requester
  readonly #context: Http1Context
  readonly #target: Target
  readonly #affinity: Affinity
  readonly #onEnded: (reason: ReasonCode, received: number, sent: number) => void
  readonly #receivedBefore: number
  readonly #sentBefore: number
  #tunnel: Tunnel | undefined

  /** `affinity` is what the client is bound by, and stays as it is; `onEnded` is called once, with the tunnel's own bytes from and to the client. */
  constructor(
    session: Requester,
    context: Http1Context,
    target: Target,
    affinity: Affinity,
    onEnded: (reason: ReasonCode, received: number, sent: number) => void,
  ) {
    this.#session = session
    this.#context = context
    this.#target = target
    this.#affinity = affinity
    this.#onEnded = onEnded
    this.#receivedBefore = session.conn.bytesRead
    this.#sentBefore = session.conn.bytesWritten
  }

  /** `early` is what the target sent behind its 101; `clientReady` is false while that response is still going out. */
  begin(upstream: Conn, early: Uint8Array, clientReady: boolean): void {
    const session = this.#session
    const { conn } = session
    let ready = clientReady
    if (early.length > 0) ready = conn.write(early, 0, early.length)
    const ahead = session.becomeTunnel()
    const { settings, group } = session.route
    const keepMs = group.stickiness?.keepEveryMs ?? Number.POSITIVE_INFINITY
    this.#tunnel = new Tunnel(conn, upstream, settings.config.websocketIdleTimeoutMs, keepMs, this.#context.wheel, this)
    this.#context.sessions.add(this)
    if (!ready) upstream.pause()
    if (ahead === undefined || upstream.write(ahead, 0, ahead.length)) conn.resume()
    // The tunnel will not hear of an end that came before it.
    if (session.inputEnded) upstream.end()
  }

  get listener(): Listener {
    return this.#session.listener
  }

  drain(): void {}

  onTargetRemoved(targetSlot: number): void {
    if (this.#target.slot === targetSlot) this.#tunnel?.finish('removed')
  }

  cut(): void {
    this.#tunnel?.finish('cut')
  }

  onTunnelAlive(): void {
    this.#session.countBytes()
    this.#session.route.group.stickiness?.keep(this.#affinity)
  }

  onTunnelClosed(end: TunnelEnd): void {
    const { conn } = this.#session
    this.#context.sessions.delete(this)
    this.#target.connectionClosed()
    this.#onEnded(REASONS[end], conn.bytesRead - this.#receivedBefore, conn.bytesWritten - this.#sentBefore)
    this.#session.onTunnelClosed()
  }
}
