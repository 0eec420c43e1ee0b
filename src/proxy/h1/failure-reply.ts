import type { ReasonCode } from '../../core/reasons.js'
import { writeReply } from '../../http/reply.js'
import type { Listener } from '../listener.js'
import type { RequestInfo } from './request-info.js'

const RETRY_AFTER_SECONDS = 1

/** What a client is told of a target that could not be reached, for one reason or another. */
export function dialFailureStatus(reason: ReasonCode): number {
  if (reason === 'LOCAL_SHORTAGE') return 503
  return reason === 'CONNECT_TIMEOUT' ? 504 : 502
}

/** Castor's own answer to a request that no target answered; returns where it ends. */
export function writeFailure(
  scratch: Uint8Array,
  status: number,
  info: RequestInfo,
  close: boolean,
  listener: Listener,
): number {
  return writeReply(scratch, 0, {
    status,
    requestId: info.requestIdBytes,
    close,
    head: info.isHead,
    versionMinor: info.versionMinor,
    lines: listener.hstsLine,
    ...(status === 503 ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {}),
  })
}
