/**
 * Why a request or connection did not end as an ordinary success, as the access log's `reason` and the `reason` label
 * of the error metrics name it. The index is the code's place in shared memory: append, never reorder.
 */
export const REASONS = [
  { code: 'NONE', origin: 'none' },
  { code: 'BAD_REQUEST', origin: 'client' },
  { code: 'HEADER_TIMEOUT', origin: 'client' },
  { code: 'HEADER_TOO_LARGE', origin: 'client' },
  { code: 'TOO_MANY_HEADERS', origin: 'client' },
  { code: 'TARGET_LINE_TOO_LONG', origin: 'client' },
  { code: 'BODY_TOO_SLOW', origin: 'client' },
  { code: 'BAD_BODY', origin: 'client' },
  { code: 'BAD_VERSION', origin: 'client' },
  { code: 'METHOD_NOT_ALLOWED', origin: 'client' },
  { code: 'TRANSFER_CODING_UNKNOWN', origin: 'client' },
  { code: 'CLIENT_CLOSED', origin: 'client' },
  { code: 'CLIENT_RESET', origin: 'client' },
  { code: 'IDLE_TIMEOUT', origin: 'client' },
  { code: 'PROXY_PROTOCOL_INVALID', origin: 'client' },
  { code: 'NO_TARGET', origin: 'server' },
  { code: 'CONNECT_FAILED', origin: 'server' },
  { code: 'CONNECT_TIMEOUT', origin: 'server' },
  { code: 'TARGET_RESET', origin: 'server' },
  { code: 'RESPONSE_TIMEOUT', origin: 'server' },
  { code: 'BAD_RESPONSE', origin: 'server' },
  { code: 'TARGET_CUT', origin: 'server' },
  { code: 'CONNECTION_LIMIT', origin: 'server' },
  { code: 'SHUTTING_DOWN', origin: 'server' },
  { code: 'INTERNAL', origin: 'server' },
  { code: 'QUEUE_FULL', origin: 'server' },
  { code: 'QUEUE_TIMEOUT', origin: 'server' },
  { code: 'TARGET_TLS_FAILED', origin: 'server' },
  { code: 'HTTP2_PROTOCOL', origin: 'client' },
  { code: 'HTTP2_FLOOD', origin: 'client' },
  { code: 'HTTP2_STALLED', origin: 'client' },
  { code: 'LOCAL_SHORTAGE', origin: 'server' },
  { code: 'SHED_SILENT', origin: 'client' },
  { code: 'TARGET_REMOVED', origin: 'server' },
] as const satisfies readonly { code: string; origin: 'none' | 'client' | 'server' }[]

export type ReasonCode = (typeof REASONS)[number]['code']

/** The number a reason has in shared memory. */
export const REASON = Object.fromEntries(REASONS.map((reason, index) => [reason.code, index])) as Record<
  ReasonCode,
  number
>
