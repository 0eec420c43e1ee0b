import type { RetryCondition } from './config.js'
import type { CastorError } from './errors.js'
import { FAILURE_CONNECT, FAILURE_RESET, FAILURE_TIMEOUT, type FailureKind } from './failure-kinds.js'
import { faultOf } from './fault.js'
import type { REASONS, ReasonCode } from './reasons.js'

/** What counts against a target. */
export interface TargetFailure {
  readonly kind: FailureKind
  /** Where the group's `retries` have this, another target may be tried; undefined where none may in any case. */
  readonly retryOn: RetryCondition | undefined
}

type TargetReason = Extract<(typeof REASONS)[number], { readonly fault: 'target' }>['code']

const UNREACHED: TargetFailure = { kind: FAILURE_CONNECT, retryOn: 'connect-failure' }
const CUT: TargetFailure = { kind: FAILURE_RESET, retryOn: undefined }

const TARGET_FAILURES: Readonly<Record<TargetReason, TargetFailure>> = {
  CONNECT_FAILED: UNREACHED,
  CONNECT_TIMEOUT: UNREACHED,
  TARGET_TLS_FAILED: UNREACHED,
  TARGET_RESET: { kind: FAILURE_RESET, retryOn: 'reset-before-response' },
  RESPONSE_TIMEOUT: { kind: FAILURE_TIMEOUT, retryOn: 'response-timeout' },
  BAD_RESPONSE: CUT,
  TARGET_CUT: CUT,
}

/**
 * The one place that decides whether something counts against a target, in its statistics and in outlier detection, and
 * whether another target may be tried: undefined where it is not the target's fault.
 */
export function targetFailureOf(reason: ReasonCode): TargetFailure | undefined {
  return (TARGET_FAILURES as Partial<Record<ReasonCode, TargetFailure>>)[reason]
}

/** Why an attempt to reach a target came to nothing. */
export function dialFailureOf(cause: CastorError | undefined): ReasonCode {
  if (cause === undefined) return 'CONNECT_FAILED'
  if (faultOf(cause, 'target') === 'us') return cause.code === 'LOCAL_SHORTAGE' ? 'LOCAL_SHORTAGE' : 'INTERNAL'
  if (cause.code === 'CONNECT_TIMEOUT') return 'CONNECT_TIMEOUT'
  return cause.code === 'TLS_HANDSHAKE_FAILED' ? 'TARGET_TLS_FAILED' : 'CONNECT_FAILED'
}

/** Why a connection to a target was lost before its answer was whole. */
export function targetLossOf(cause: CastorError | undefined, answering: boolean): ReasonCode {
  if (cause !== undefined && faultOf(cause, 'target') === 'us') return 'INTERNAL'
  return answering ? 'TARGET_CUT' : 'TARGET_RESET'
}

/** Why a client's connection ended in the middle of a request. */
export function clientLossOf(cause: CastorError | undefined): ReasonCode {
  if (cause === undefined) return 'CLIENT_CLOSED'
  switch (faultOf(cause, 'client')) {
    case 'client':
      return cause.code === 'REQUEST_MALFORMED' ? 'BAD_BODY' : 'CLIENT_RESET'
    case 'target':
      return 'BAD_RESPONSE'
    case 'us':
      return 'INTERNAL'
  }
}
