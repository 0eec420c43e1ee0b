// Hot path: counts for every connection and request.
import { REASONS } from '../core/reasons.js'
import { type ServerTls, TLS_FAULTS, TLS_VERSIONS, type TlsFault, type TlsInfo } from '../core/tls.js'
import type { Columns } from '../shm/columns.js'
import {
  LISTENER_CONNECTIONS_ACTIVE,
  LISTENER_CONNECTIONS_TOTAL,
  LISTENER_HANDSHAKES,
  LISTENER_REASONS,
  LISTENER_RECEIVED_BYTES,
  LISTENER_SENT_BYTES,
  LISTENER_TLS_FAULTS,
  WORKER_CONNECTIONS_ACTIVE,
  WORKER_CONNECTIONS_TOTAL,
  WORKER_RETRIES_TOTAL,
} from '../shm/layout.js'
import type { ClientSources } from './client-sources.js'
import type { Route } from './route.js'
import type { RouteTable } from './route-table.js'

/**
 * A listener in one thread: what stays the same while the configuration changes around it. Connections hold it, and take
 * a route from it at each request that they begin.
 */
export class Listener {
  /** What requests go by that begin now. */
  routes: RouteTable
  /** With what new connections speak TLS; undefined where they do not. Replaced when certificates or settings change. */
  tls: ServerTls | undefined
  /** No connection may begin another request after the one that is under way: the listener is gone, or the thread ends. */
  draining = false
  /** Its slot, by which all threads know it. */
  readonly slot: number
  readonly #words: Float64Array
  readonly #workerWords: Float64Array
  readonly #workerAt: number
  readonly #at: number
  readonly #sources: ClientSources

  constructor(
    routes: RouteTable,
    place: {
      readonly columns: Columns
      readonly column: number
      readonly listener: number
      readonly sources: ClientSources
    },
  ) {
    this.routes = routes
    this.slot = place.listener
    const { columns, column, sources } = place
    this.#sources = sources
    this.#workerWords = columns.workerWords
    this.#workerAt = columns.workerAt(column)
    const counters = columns.listener(place.listener)
    this.#words = counters.words
    this.#at = counters.at(column)
  }

  /** The one where no rule matches; what connections go by before they say anything of a request. */
  get route(): Route {
    return this.routes.fallback
  }

  get name(): string {
    return this.route.settings.config.name
  }

  /** Connections of this thread that are open. */
  get connections(): number {
    return this.#words[this.#at + LISTENER_CONNECTIONS_ACTIVE]!
  }

  /** `place` is where the connection's source is counted, or −1. */
  connectionOpened(place: number): void {
    this.#sources.own(place)
    const words = this.#words
    this.#workerWords[this.#workerAt + WORKER_CONNECTIONS_ACTIVE]!++
    this.#workerWords[this.#workerAt + WORKER_CONNECTIONS_TOTAL]!++
    words[this.#at + LISTENER_CONNECTIONS_ACTIVE]!++
    words[this.#at + LISTENER_CONNECTIONS_TOTAL]!++
  }

  connectionClosed(place: number): void {
    this.#sources.disown(place)
    this.#workerWords[this.#workerAt + WORKER_CONNECTIONS_ACTIVE]!--
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
    this.#workerWords[this.#workerAt + WORKER_RETRIES_TOTAL]!++
  }
}
