import type { ReasonCode } from '../../core/reasons.js'
import { writeGrpcReply } from '../../http/grpc.js'
import { type Reply, writeReply } from '../../http/reply.js'
import type { RequestInfo } from '../request-info.js'
import type { Requester } from './requester.js'

export const RETRY_AFTER_SECONDS = 1

const NOTHING = new Uint8Array(0)

/** What a client is told of an attempt that came to nothing: the target could not be reached, or was lost. */
export function attemptStatus(reason: ReasonCode): number {
  if (reason === 'LOCAL_SHORTAGE') return 503
  if (reason === 'INTERNAL') return 500
  return reason === 'CONNECT_TIMEOUT' ? 504 : 502
}

/** Castor's own answer, in the form that its client understands; returns where it ends. */
export function writeAnswer(
  scratch: Uint8Array,
  session: Pick<Requester, 'grpc'>,
  reply: Reply,
  reason: ReasonCode,
): number {
  return session.grpc ? writeGrpcReply(scratch, 0, reply, reason) : writeReply(scratch, 0, reply)
}

/** The answer to a request that no target answered; returns where it ends. */
export function writeFailure(
  scratch: Uint8Array,
  session: Requester,
  status: number,
  reason: ReasonCode,
  info: RequestInfo,
  close: boolean,
  explained: Uint8Array | undefined,
): number {
  const { hstsLine } = session.route.settings
  const reply: Reply = {
    status,
    requestId: info.requestIdBytes,
    close,
    head: info.isHead,
    versionMinor: info.versionMinor,
    lines: explained === undefined ? hstsLine : Buffer.concat([hstsLine ?? NOTHING, explained]),
    ...(status === 503 ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {}),
  }
  return writeAnswer(scratch, session, reply, reason)
}
