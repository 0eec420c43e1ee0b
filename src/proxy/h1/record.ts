// Hot path: once a request.
import type { Clock } from '../../core/clock.js'
import type { Conn } from '../../core/conn.js'
import { REASON, REASONS, type ReasonCode } from '../../core/reasons.js'
import type { AccessEntry } from '../../observe/access-log.js'
import { schemeOf } from '../client-address.js'
import type { Target } from '../target.js'
import type { Http1Context } from './h1-context.js'
import { RequestInfo } from './request-info.js'
import type { Requester } from './requester.js'

/** What is counted instead of a status for a client that left before its answer; never sent. */
const CLIENT_CLOSED_STATUS = 499

/** The course of one exchange in numbers, for counters and log. Loop times and durations in milliseconds, −1 for none. */
export class Tally {
  readonly info = new RequestInfo()
  /** What the client was answered; 0 until then. */
  status = 0
  /** The target's answer is on its way to the client. */
  headSent = false
  startedMs = 0
  startedWallMs = 0
  /** When the target had, or should have had, the whole request. */
  requestDoneMs = 0
  responseMs = -1
  /** Bytes of the response heads. */
  sentHeadBytes = 0
  /** Bytes given to the client's connection beside the response as it is relayed. */
  ownBytes = 0
  /** Bytes that the client's connection had written before. */
  writtenBefore = 0

  begin(clock: Clock, client: Conn): void {
    this.ownBytes = 0
    this.writtenBefore = client.bytesWritten
    this.status = 0
    this.headSent = false
    this.startedMs = clock.nowMs
    this.startedWallMs = clock.wallMs
    this.requestDoneMs = clock.nowMs
    this.responseMs = -1
    this.sentHeadBytes = 0
  }

  /** `received` and `sent` are bytes of bodies; `targetStatus` what the target's last head said. */
  record(
    context: Http1Context,
    session: Requester,
    upstream: { readonly lastTarget: Target | undefined; readonly connectMs: number },
    targetStatus: number,
    received: number,
    sent: number,
    reason: ReasonCode,
  ): void {
    const { listener, route } = session
    const requestMs = context.clock.nowMs - this.startedMs
    const status = this.status === 0 ? CLIENT_CLOSED_STATUS : this.status
    route.countRequest(status, requestMs)
    listener.countReason(REASON[reason])
    if (context.accessLog === undefined) return
    const entry = describe(session, context.entry)
    this.info.describe(entry)
    if (session.protocol !== '') entry.protocol = session.protocol
    entry.timeMs = this.startedWallMs
    entry.target = upstream.lastTarget?.id ?? ''
    entry.status = status
    entry.targetStatus = this.headSent ? targetStatus : 0
    entry.requestBytes = this.info.headBytes + received
    entry.sentBytes = Math.max(0, this.sentHeadBytes + sent)
    entry.requestMs = requestMs
    entry.connectMs = upstream.connectMs
    entry.responseMs = this.responseMs
    entry.reason = codeOf(reason)
    context.accessLog.record(entry)
  }
}

/** A request that was answered before it could become an exchange. */
export function recordRefusal(
  context: Http1Context,
  session: Pick<Requester, 'listener' | 'route' | 'clientAddress'>,
  status: number,
  reason: ReasonCode,
  requestId: Uint8Array,
  requestMs: number,
): void {
  const { listener, route } = session
  route.countRequest(status, requestMs)
  listener.countReason(REASON[reason])
  if (context.accessLog === undefined) return
  const entry = describe(session, context.entry)
  entry.timeMs = context.clock.wallMs - requestMs
  entry.requestId = requestId
  entry.status = status
  entry.requestMs = requestMs
  entry.reason = codeOf(reason)
  context.accessLog.record(entry)
}

/** A request that Castor answered by itself, and at once. */
export function recordAnswer(
  context: Http1Context,
  session: Requester,
  info: RequestInfo,
  status: number,
  sentBytes: number,
  reason: ReasonCode,
): void {
  const { listener, route } = session
  route.countRequest(status, 0)
  listener.countReason(REASON[reason])
  if (context.accessLog === undefined) return
  const entry = describe(session, context.entry)
  info.describe(entry)
  entry.timeMs = context.clock.wallMs
  entry.status = status
  entry.requestBytes = info.headBytes
  entry.sentBytes = sentBytes
  entry.requestMs = 0
  entry.reason = codeOf(reason)
  context.accessLog.record(entry)
}

function describe(session: Pick<Requester, 'listener' | 'route' | 'clientAddress'>, entry: AccessEntry): AccessEntry {
  entry.reset()
  entry.listener = session.route.settings.config.name
  entry.clientIp = session.clientAddress.source.address
  entry.clientPort = session.clientAddress.source.port
  entry.vip = session.clientAddress.vip
  entry.vport = session.clientAddress.vport
  entry.targetGroup = session.route.group.config.name
  const { tls } = session.clientAddress
  entry.scheme = schemeOf(session.clientAddress)
  entry.tlsVersion = tls?.version ?? ''
  entry.tlsCipher = tls?.cipher ?? ''
  return entry
}

function codeOf(reason: ReasonCode): string {
  return reason === 'NONE' ? '' : REASONS[REASON[reason]]!.code
}
