// Hot path: once per request.
import { REASON, REASONS, type ReasonCode } from '../core/reasons.js'
import { METHOD_NAMES, METHOD_OTHER } from '../http/methods.js'
import type { AccessEntry } from '../observe/access-log.js'
import type { RequestInfo } from './request-info.js'
import type { WorkerContext } from './worker-context.js'

/** What is counted instead of a status for a client that left before its answer; never sent. */
const CLIENT_CLOSED_STATUS = 499

type LogContext = Pick<WorkerContext, 'accessLog' | 'entry' | 'clock'>

/** What plug-ins add to the line of their request. */
export interface LogFields {
  /** More JSON, which begins with a comma; empty for nothing. */
  fieldsOf(info: RequestInfo): string
}

/** The last phase of a request: counted, and written to the access log. */
export function logRequest(context: LogContext, info: RequestInfo, reason: ReasonCode, plugged?: LogFields): void {
  if (info.status === 0) info.status = CLIENT_CLOSED_STATUS
  info.endedMs = context.clock.nowMs
  info.reason = reason
  info.route.countRequest(info.status, info.endedMs - info.startedMs)
  record(context, info, plugged === undefined ? '' : plugged.fieldsOf(info))
}

/** The same for a connection of a tcp listener, or one that ended before it said anything of a request. */
export function logConnection(context: LogContext, info: RequestInfo, reason: ReasonCode): void {
  info.endedMs = context.clock.nowMs
  info.reason = reason
  record(context, info, '')
}

function record({ accessLog, entry }: LogContext, info: RequestInfo, extra: string): void {
  info.listener.countReason(REASON[info.reason])
  if (accessLog === undefined) return
  describe(info, entry)
  entry.extra = extra
  if (info.hasHead) describeHead(info, entry)
  accessLog.record(entry)
}

/** The entry borrows from `info` until it is recorded. */
function describe(info: RequestInfo, entry: AccessEntry): void {
  const { route, clientAddress } = info
  entry.reset()
  entry.timeMs = info.startedWallMs
  entry.requestId = info.requestIdBytes
  entry.listener = route.settings.config.name
  entry.clientIp = clientAddress.source.address
  entry.clientPort = clientAddress.source.port
  entry.vip = clientAddress.vip
  entry.vport = clientAddress.vport
  entry.target = info.target?.id ?? ''
  entry.targetGroup = route.group.config.name
  entry.rule = route.rule === undefined ? '' : route.rule.name
  entry.protocol = info.protocol
  // Before its handshake the client of a listener that speaks TLS has no TLS of its own yet.
  entry.scheme = route.settings.config.protocol
  const { tls } = clientAddress
  entry.tlsVersion = tls?.version ?? ''
  entry.tlsCipher = tls?.cipher ?? ''
  entry.status = info.status
  entry.targetStatus = info.targetStatus
  entry.requestBytes = info.headBytes + info.receivedBytes
  entry.sentBytes = Math.max(0, info.sentBytes)
  entry.requestMs = info.endedMs - info.startedMs
  entry.connectMs = info.connectMs
  entry.responseMs = info.responseMs
  entry.reason = info.reason === 'NONE' ? '' : REASONS[REASON[info.reason]]!.code
}

function describeHead(info: RequestInfo, entry: AccessEntry): void {
  const { head, method } = info
  entry.method = method === METHOD_OTHER ? head.toString('latin1', 0, info.methodEnd) : (METHOD_NAMES[method] ?? '')
  entry.uri = head
  entry.uriStart = info.targetStart
  entry.uriEnd = info.targetEnd
  if (info.hostStart >= 0) {
    entry.host = head
    entry.hostStart = info.hostStart
    entry.hostEnd = info.hostEnd
  }
  if (info.userAgentStart >= 0) {
    entry.userAgent = head
    entry.userAgentStart = info.userAgentStart
    entry.userAgentEnd = info.userAgentEnd
  }
}
