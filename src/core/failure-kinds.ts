/** How a target can fail a request or connection, as `outlierDetection.on` names it. */
export const FAILURE_KINDS = ['connect', 'reset', 'timeout', 'gateway', '5xx'] as const
export type FailureName = (typeof FAILURE_KINDS)[number]

/** It refused, did not accept in time, or its TLS handshake failed. */
export const FAILURE_CONNECT = 1
/** It closed the connection before its answer was whole, or what it sent was no answer. */
export const FAILURE_RESET = 2
/** It did not answer in time. */
export const FAILURE_TIMEOUT = 4
/** It answered 502, 503 or 504. */
export const FAILURE_GATEWAY = 8
/** It answered with any other 5xx. */
export const FAILURE_SERVER_ERROR = 16
export type FailureKind =
  | typeof FAILURE_CONNECT
  | typeof FAILURE_RESET
  | typeof FAILURE_TIMEOUT
  | typeof FAILURE_GATEWAY
  | typeof FAILURE_SERVER_ERROR

const BITS: Readonly<Record<FailureName, number>> = {
  connect: FAILURE_CONNECT,
  reset: FAILURE_RESET,
  timeout: FAILURE_TIMEOUT,
  gateway: FAILURE_GATEWAY,
  '5xx': FAILURE_GATEWAY | FAILURE_SERVER_ERROR,
}

/** The kinds as a set of bits. */
export function failureMask(kinds: readonly FailureName[]): number {
  return kinds.reduce((mask, kind) => mask | BITS[kind], 0)
}

/** The kind of failure that a response's status is; 0 for one that is none. */
export function failureOfStatus(status: number): FailureKind | 0 {
  if (status < 500) return 0
  return status >= 502 && status <= 504 ? FAILURE_GATEWAY : FAILURE_SERVER_ERROR
}
