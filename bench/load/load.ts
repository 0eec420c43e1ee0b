/** What one measured stretch of load came to. */
export interface LoadResult {
  /** Exchanges completed: requests answered with 200, messages or blocks echoed. */
  readonly requests: number
  /** Connections that failed, answers that were not the one expected. */
  readonly errors: number
  readonly seconds: number
  readonly latency?: LatencyUs
}

/** Microseconds. */
export interface LatencyUs {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly samples: number
}

/** One kind of request for the HTTP generators. */
export interface HttpRequest {
  readonly path: string
  /** Bytes of body to send; a request with a body is a POST. */
  readonly bodyBytes: number
  /** True: `Connection: close`, so that each request takes a connection of its own. */
  readonly closeEach: boolean
  /** Over TLS, whoever signed the certificate. */
  readonly secure?: boolean
  /** Further header fields. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpLoadOptions {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  readonly request: HttpRequest
}
