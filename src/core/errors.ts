/**
 * Where a failure comes from: the client, the target, Castor itself, the operator (config, machine limits), or the peer of a
 * connection, which is one or the other: see `faultOf`.
 */
export type ErrorOrigin = 'client' | 'target' | 'peer' | 'castor' | 'operator'

interface ErrorKind {
  readonly origin: ErrorOrigin
  /** True when the same request may be sent to another target: the failed one cannot have acted on it. */
  readonly retryable: boolean
  readonly summary: string
}

/** Every code a `CastorError` may carry. `docs/ERRORS.md` explains each; `test/meta` fails when one is missing there. */
export const ERROR_KINDS = {
  CONFIG_INVALID: { origin: 'operator', retryable: false, summary: 'the configuration file has errors' },
  CONFIG_UNREADABLE: { origin: 'operator', retryable: false, summary: 'the configuration file cannot be read' },
  USAGE: { origin: 'operator', retryable: false, summary: 'the command was called wrongly' },
  LISTEN_FAILED: { origin: 'operator', retryable: false, summary: 'an address could not be listened on' },
  OUT_OF_DESCRIPTORS: { origin: 'operator', retryable: false, summary: 'the open-file limit is reached' },
  NATIVE_UNAVAILABLE: { origin: 'operator', retryable: false, summary: 'the native addon is not built' },
  ADMIN_UNREACHABLE: { origin: 'operator', retryable: false, summary: 'the running process does not answer' },
  WORKER_DIED: { origin: 'castor', retryable: false, summary: 'a proxy thread ended unexpectedly' },
  CONNECT_FAILED: { origin: 'target', retryable: true, summary: 'the target refused the connection' },
  CONNECT_TIMEOUT: { origin: 'target', retryable: true, summary: 'the target did not accept the connection in time' },
  PEER_RESET: { origin: 'peer', retryable: false, summary: 'the other side reset the connection' },
  STREAM_REFUSED: { origin: 'target', retryable: true, summary: 'the target turned the request away unread' },
  RESPONSE_TIMEOUT: { origin: 'target', retryable: false, summary: 'the target did not answer in time' },
  RESPONSE_MALFORMED: { origin: 'target', retryable: false, summary: 'the target answered nonsense' },
  IDLE_TIMEOUT: { origin: 'client', retryable: false, summary: 'nothing was sent either way for too long' },
  REQUEST_MALFORMED: { origin: 'client', retryable: false, summary: 'the request is malformed or ambiguous' },
  PROXY_PROTOCOL_INVALID: {
    origin: 'client',
    retryable: false,
    summary: 'the PROXY protocol header is missing or wrong',
  },
  TLS_CONFIG: { origin: 'operator', retryable: false, summary: 'a certificate, key or TLS rule cannot be used' },
  TLS_HANDSHAKE_FAILED: { origin: 'peer', retryable: true, summary: 'the TLS handshake did not come about' },
  TLS_TRUNCATED: { origin: 'peer', retryable: false, summary: 'the other side ended TLS without saying so' },
  TLS_FAILED: { origin: 'peer', retryable: false, summary: 'TLS broke down after the handshake' },
  LOCAL_SHORTAGE: {
    origin: 'operator',
    retryable: true,
    summary: 'this host has no socket or port left for a connection to a target',
  },
  ABORTED: { origin: 'castor', retryable: false, summary: 'Castor closed the connection itself' },
  THREAD_STUCK: { origin: 'castor', retryable: false, summary: 'a thread stands still and cannot be ended' },
  UPGRADE_FAILED: { origin: 'operator', retryable: false, summary: 'the new process did not take over' },
  STREAM_RESET: { origin: 'peer', retryable: false, summary: 'the other side reset an HTTP/2 stream' },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_KINDS

/** The one family of errors: a stable `code`, whose fault it is, whether another target may be tried, and the cause. */
export class CastorError extends Error {
  override readonly name = 'CastorError'
  readonly code: ErrorCode
  readonly origin: ErrorOrigin
  readonly retryable: boolean
  /** The value of the configuration that it is about, where there is one: from the top of the file, as `--set` names it. */
  readonly configPath: readonly (string | number)[] | undefined

  constructor(
    code: ErrorCode,
    message?: string,
    options?: { cause?: unknown; configPath?: readonly (string | number)[] },
  ) {
    const kind: ErrorKind = ERROR_KINDS[code]
    super(message ?? kind.summary, options)
    this.code = code
    this.configPath = options?.configPath
    this.origin = kind.origin
    this.retryable = kind.retryable
  }
}
