import type { HealthReason } from '../core/target-state.js'

/** What an answer says of its target. */
export interface ProbeFinding {
  /** `NONE` when the target passed. */
  readonly reason: HealthReason
  /** What there is to add for the log, such as the status that came; empty where there is nothing. */
  readonly detail: string
}

export const PASSED: ProbeFinding = { reason: 'NONE', detail: '' }

/** Inclusive ranges of status codes. */
export type StatusRanges = readonly (readonly [number, number])[]

export function judgeStatus(accepted: StatusRanges, status: number): ProbeFinding {
  if (accepted.some(([from, to]) => status >= from && status <= to)) return PASSED
  return { reason: 'HTTP_CODE_MISMATCH', detail: `status ${status}` }
}

export function malformed(detail: string): ProbeFinding {
  return { reason: 'RESPONSE_FORMAT_ERROR', detail }
}
