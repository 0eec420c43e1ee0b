/** What the operator wants of a target. The index is its number in shared memory: append, never reorder. */
export const ADMIN_STATES = ['active', 'draining', 'maintenance'] as const
export type AdminState = (typeof ADMIN_STATES)[number]

/** What health checks say. `initial`: added while running and not checked yet, so without traffic. */
export const CHECK_STATES = ['unchecked', 'initial', 'healthy', 'unhealthy'] as const
export type CheckState = (typeof CHECK_STATES)[number]

/** What the administration shows: the checks' word, or `ejected` where traffic itself spoke against the target. */
export type Health = CheckState | 'ejected'

/** Why a check failed. */
export const HEALTH_REASONS = [
  'NONE',
  'CONNECT_FAILED',
  'CONNECT_TIMEOUT',
  'CONNECT_INTERRUPT',
  'REQUEST_FAILED',
  'REQUEST_TIMEOUT',
  'RECEIVE_RESPONSE_FAILED',
  'RECEIVE_RESPONSE_TIMEOUT',
  'HTTP_CODE_MISMATCH',
  'RESPONSE_FORMAT_ERROR',
  'GRPC_STATUS_MISMATCH',
  'GRPC_NOT_SERVING',
] as const
export type HealthReason = (typeof HEALTH_REASONS)[number]

export const ADMIN_ACTIVE = 0
export const ADMIN_DRAINING = 1
export const ADMIN_MAINTENANCE = 2
export const CHECK_UNCHECKED = 0
export const CHECK_INITIAL = 1
export const CHECK_HEALTHY = 2
export const CHECK_UNHEALTHY = 3
