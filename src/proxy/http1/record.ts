// Hot path: once a request.
import { REASON, REASONS, type ReasonCode } from '../../core/reasons.js'
import type { AccessEntry } from '../../observe/access-log.js'
import type { ClientSession } from './client-session.js'
import type { RequestFacts } from './request-facts.js'

/** What a finished exchange leaves behind for counters and log. Durations in milliseconds, −1 where there was none. */
export interface ExchangeOutcome {
  readonly facts: RequestFacts
  readonly target: string
  readonly status: number
  readonly targetStatus: number
  readonly requestBytes: number
  readonly sentBytes: number
  readonly startedWallMs: number
  readonly requestMs: number
  readonly connectMs: number
  readonly responseMs: number
  readonly reason: ReasonCode
}

export function recordExchange(session: ClientSession, outcome: ExchangeOutcome): void {
  const { listener, plane } = session
  listener.countRequest(outcome.status, outcome.requestMs)
  listener.countReason(REASON[outcome.reason])
  if (plane.accessLog === undefined) return
  const entry = describe(session, plane.entry)
  outcome.facts.describe(entry)
  entry.timeMs = outcome.startedWallMs
  entry.target = outcome.target
  entry.status = outcome.status
  entry.targetStatus = outcome.targetStatus
  entry.requestBytes = outcome.requestBytes
  entry.sentBytes = outcome.sentBytes
  entry.requestMs = outcome.requestMs
  entry.connectMs = outcome.connectMs
  entry.responseMs = outcome.responseMs
  entry.reason = codeOf(outcome.reason)
  plane.accessLog.record(entry)
}

/** A request that was answered before it could become an exchange. */
export function recordRefusal(
  session: ClientSession,
  status: number,
  reason: ReasonCode,
  requestId: Uint8Array,
  requestMs: number,
): void {
  const { listener, plane } = session
  listener.countRequest(status, requestMs)
  listener.countReason(REASON[reason])
  if (plane.accessLog === undefined) return
  const entry = describe(session, plane.entry)
  entry.timeMs = plane.clock.wallMs - requestMs
  entry.requestId = requestId
  entry.status = status
  entry.requestMs = requestMs
  entry.reason = codeOf(reason)
  plane.accessLog.record(entry)
}

function describe(session: ClientSession, entry: AccessEntry): AccessEntry {
  entry.reset()
  entry.listener = session.listener.config.name
  entry.clientIp = session.origin.client.address
  entry.clientPort = session.origin.client.port
  entry.vip = session.origin.vip
  entry.vport = session.origin.vport
  entry.targetGroup = session.listener.group.config.name
  entry.scheme = 'http'
  return entry
}

function codeOf(reason: ReasonCode): string {
  return reason === 'NONE' ? '' : REASONS[REASON[reason]]!.code
}
