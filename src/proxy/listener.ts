// Hot path: counts for every connection and request.
import type { ListenerConfig } from '../core/config.js'
import { REASONS } from '../core/reasons.js'
import { type ServerTls, TLS_FAULTS, TLS_VERSIONS, type TlsFault, type TlsInfo } from '../core/tls.js'
import type { CidrSet } from '../net/cidr-set.js'
import { type Columns, recordDuration } from '../shm/columns.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_HANDSHAKES,
  LISTENER_REASONS,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  LISTENER_TLS_FAULTS,
  SERIES_CODE_COUNT,
  SERIES_CODE_FIRST,
  SERIES_CODES,
  SERIES_CONNECT_DURATION,
  SERIES_REQUEST_DURATION,
  SERIES_RESPONSE_DURATION,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_CONNECTIONS_TOTAL,
  WORKER_RETRIES_TOTAL,
} from '../shm/layout.js'
import { hstsLine } from './hsts.js'
import { RequestHash } from './request-hash.js'
import type { TargetGroup } from './target-group.js'

/** A listener in one thread: its config, where its connections go, and its words in the thread's column. */
export class Listener {
  readonly config: ListenerConfig
  readonly group: TargetGroup
  readonly hash: RequestHash
  readonly trusted: CidrSet
  readonly proxied: CidrSet
  /** With what new connections speak TLS; undefined where they do not. Replaced when certificates change. */
  tls: ServerTls | undefined
  /** Goes with every response. */
  readonly hstsLine: Uint8Array | undefined
  /** Targets are told of clients' certificates. */
  readonly asksForCertificates: boolean
  readonly #words: Float64Array
  readonly #workerAt: number
  readonly #at: number
  readonly #seriesAt: number

  constructor(
    config: ListenerConfig,
    group: TargetGroup,
    sets: { readonly trusted: CidrSet; readonly proxied: CidrSet },
    place: { readonly columns: Columns; readonly column: number; readonly listener: number; readonly series: number },
  ) {
    this.config = config
    this.group = group
    this.hash = new RequestHash(group.config.hashOn)
    this.trusted = sets.trusted
    this.proxied = sets.proxied
    this.hstsLine = hstsLine(config.tls?.hsts)
    this.asksForCertificates = config.tls !== undefined && config.tls.clientCertificates.mode !== 'none'
    this.#words = place.columns.words
    this.#workerAt = place.columns.workerAt(place.column)
    this.#at = place.columns.listenerAt(place.column, place.listener)
    this.#seriesAt = place.columns.seriesAt(place.column, place.series)
  }

  connectionOpened(): void {
    const words = this.#words
    words[this.#workerAt + WORKER_CONNECTIONS_ACTIVE]!++
    words[this.#workerAt + WORKER_CONNECTIONS_TOTAL]!++
    words[this.#at + LISTENER_CONNECTIONS_ACTIVE]!++
    words[this.#at + LISTENER_CONNECTIONS_TOTAL]!++
  }

  connectionClosed(): void {
    this.#words[this.#workerAt + WORKER_CONNECTIONS_ACTIVE]!--
    this.#words[this.#at + LISTENER_CONNECTIONS_ACTIVE]!--
  }

  countBytes(received: number, sent: number): void {
    this.#words[this.#at + LISTENER_RECEIVED_BYTES]! += received
    this.#words[this.#at + LISTENER_SENT_BYTES]! += sent
  }

  countReason(reason: number): void {
    if (reason > 0 && reason < REASONS.length) this.#words[this.#at + LISTENER_REASONS + reason]!++
  }

  countHandshake({ version, resumed }: TlsInfo): void {
    this.#words[this.#at + LISTENER_HANDSHAKES + TLS_VERSIONS.indexOf(version) * 2 + (resumed ? 1 : 0)]!++
  }

  countHandshakeFault(fault: TlsFault): void {
    this.#words[this.#at + LISTENER_TLS_FAULTS + TLS_FAULTS.indexOf(fault)]!++
  }

  countRetry(): void {
    this.#words[this.#workerAt + WORKER_RETRIES_TOTAL]!++
  }

  countRequest(status: number, durationMs: number): void {
    const code = status - SERIES_CODE_FIRST
    if (code >= 0 && code < SERIES_CODE_COUNT) this.#words[this.#seriesAt + SERIES_CODES + code]!++
    recordDuration(this.#words, this.#seriesAt + SERIES_REQUEST_DURATION, durationMs)
  }

  countConnect(durationMs: number): void {
    recordDuration(this.#words, this.#seriesAt + SERIES_CONNECT_DURATION, durationMs)
  }

  countResponse(durationMs: number): void {
    recordDuration(this.#words, this.#seriesAt + SERIES_RESPONSE_DURATION, durationMs)
  }
}
