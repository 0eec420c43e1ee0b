import type { Fault } from './fault.js'

/**
 * Why a request or connection did not end as an ordinary success, as the access log's `reason` and the `reason` label
 * of the error metrics name it, and whose fault that is. The index is the code's place in shared memory: append, never reorder.
 */
export const REASONS = [
  { code: 'NONE', fault: 'none' },
  { code: 'BAD_REQUEST', fault: 'client' },
  { code: 'HEADER_TIMEOUT', fault: 'client' },
  { code: 'HEADER_TOO_LARGE', fault: 'client' },
  { code: 'TOO_MANY_HEADERS', fault: 'client' },
  { code: 'TARGET_LINE_TOO_LONG', fault: 'client' },
  { code: 'BODY_TOO_SLOW', fault: 'client' },
  { code: 'BAD_BODY', fault: 'client' },
  { code: 'BAD_VERSION', fault: 'client' },
  { code: 'METHOD_NOT_ALLOWED', fault: 'client' },
  { code: 'TRANSFER_CODING_UNKNOWN', fault: 'client' },
  { code: 'CLIENT_CLOSED', fault: 'client' },
  { code: 'CLIENT_RESET', fault: 'client' },
  { code: 'IDLE_TIMEOUT', fault: 'client' },
  { code: 'PROXY_PROTOCOL_INVALID', fault: 'client' },
  { code: 'NO_TARGET', fault: 'us' },
  { code: 'CONNECT_FAILED', fault: 'target' },
  { code: 'CONNECT_TIMEOUT', fault: 'target' },
  { code: 'TARGET_RESET', fault: 'target' },
  { code: 'RESPONSE_TIMEOUT', fault: 'target' },
  { code: 'BAD_RESPONSE', fault: 'target' },
  { code: 'TARGET_CUT', fault: 'target' },
  { code: 'CONNECTION_LIMIT', fault: 'us' },
  { code: 'SHUTTING_DOWN', fault: 'us' },
  { code: 'INTERNAL', fault: 'us' },
  { code: 'QUEUE_FULL', fault: 'us' },
  { code: 'QUEUE_TIMEOUT', fault: 'us' },
  { code: 'TARGET_TLS_FAILED', fault: 'target' },
  { code: 'HTTP2_PROTOCOL', fault: 'client' },
  { code: 'HTTP2_FLOOD', fault: 'client' },
  { code: 'HTTP2_STALLED', fault: 'client' },
  { code: 'LOCAL_SHORTAGE', fault: 'us' },
  { code: 'SHED_SILENT', fault: 'client' },
  { code: 'TARGET_REMOVED', fault: 'us' },
  { code: 'NO_RULE', fault: 'client' },
  { code: 'SOURCE_DENIED', fault: 'client' },
  { code: 'SOURCE_CONNECTIONS', fault: 'client' },
  { code: 'SOURCE_CONNECTION_RATE', fault: 'client' },
  { code: 'SOURCE_HANDSHAKE_RATE', fault: 'client' },
  { code: 'PLUGIN_FAILED', fault: 'us' },
  { code: 'SOURCE_REQUEST_RATE', fault: 'client' },
  { code: 'LISTENER_REQUEST_RATE', fault: 'us' },
  { code: 'LISTENER_CONNECTIONS', fault: 'us' },
  { code: 'BODY_TOO_LARGE', fault: 'client' },
] as const satisfies readonly { code: string; fault: 'none' | Fault }[]

export type ReasonCode = (typeof REASONS)[number]['code']

/** The number a reason has in shared memory. */
export const REASON = Object.fromEntries(REASONS.map((reason, index) => [reason.code, index])) as Record<
  ReasonCode,
  number
>
