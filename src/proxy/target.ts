// Hot path: counted by for each request.
import type { Clock } from '../core/clock.js'
import type { TargetSlot } from '../core/directory.js'
import type { ClientTls } from '../core/tls.js'
import { IdlePool } from '../net/idle-pool.js'
import type { TimerWheel } from '../net/timer-wheel.js'
import { type Columns, recordDuration } from '../shm/columns.js'
import { TARGET_CONNECTIONS, TARGET_FAILURES, TARGET_LATENCY, TARGET_PLACES, TARGET_REQUESTS } from '../shm/layout.js'
import type { TargetTable } from '../shm/targets.js'
import type { StickyServices } from './stickiness.js'
import type { MultiplexingPool, TargetPool } from './target-pool.js'

/** What a target needs of its thread. */
export interface TargetServices {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly columns: Columns
  readonly column: number
  readonly table: TargetTable
  readonly sticky: StickyServices
  /** What a request threw whose turn in a queue it was. */
  readonly onFault?: (fault: unknown) => void
  /** Of groups that speak HTTP/2. */
  readonly multiplexing?: (target: Target) => MultiplexingPool
}

/** A target in one thread: where it is, its idle connections, and its words in the thread's column. */
export class Target {
  readonly slot: number
  readonly generation: number
  readonly id: string
  /** Name or address, as configured. */
  readonly host: string
  readonly port: number
  readonly pool: TargetPool
  /** Where requests share connections: what dials, and counts, them. */
  readonly streams: MultiplexingPool | undefined
  /** Grows with each move: a connection that was dialled before belongs to what the target was then. */
  epoch = 0
  #address: string
  #tls: ClientTls | undefined
  /** Where its counters are. */
  readonly words: Float64Array
  readonly #at: number
  readonly #inFlightAt: number

  constructor(placed: TargetSlot, services: TargetServices, tls: ClientTls | undefined) {
    const { slot } = placed
    this.host = placed.host
    this.#tls = tls
    this.slot = slot
    this.generation = placed.generation
    this.id = placed.id
    this.port = placed.port
    this.#address = placed.address
    const counters = services.columns.target(slot)
    this.words = counters.words
    this.#at = counters.at(services.column)
    // Of the same segment, and so among the same words.
    this.#inFlightAt = services.columns.inFlightOf(slot).at(services.column)
    this.streams = services.multiplexing?.(this)
    this.pool = this.streams ?? new IdlePool(services.clock, services.wheel, () => this.connectionClosed())
  }

  /** IP address; empty while the name could not be resolved. */
  get address(): string {
    return this.#address
  }

  /** With what it is spoken to over TLS; undefined where it is not. */
  get tls(): ClientTls | undefined {
    return this.#tls
  }

  /**
   * It is at another address, or spoken to with other certificates and authorities: what is idle is closed, and what is in
   * use serves nobody after those it serves now.
   */
  move(address: string, tls: ClientTls | undefined): void {
    if (address === this.#address && tls === this.#tls) return
    this.#address = address
    this.#tls = tls
    this.epoch++
    this.pool.closeAll()
  }

  /** First of the target's counters in `words`. */
  get countersAt(): number {
    return this.#at
  }

  /** A request has one of the target's places; at once after it was taken, see `WaitTable`. */
  placeTaken(): void {
    this.words[this.#at + TARGET_PLACES]!++
  }

  placeGivenBack(): void {
    this.words[this.#at + TARGET_PLACES]!--
  }

  /** A request or connection was given to it. */
  begin(): void {
    this.words[this.#inFlightAt]!++
    this.words[this.#at + TARGET_REQUESTS]!++
  }

  finish(): void {
    this.words[this.#inFlightAt]!--
  }

  /** Requests and connections of this thread that are with it. */
  get inFlight(): number {
    return this.words[this.#inFlightAt]!
  }

  /** Connections of this thread to it, idle ones too. */
  get connections(): number {
    return this.words[this.#at + TARGET_CONNECTIONS]!
  }

  responded(durationMs: number): void {
    recordDuration(this.words, this.#at + TARGET_LATENCY, durationMs)
  }

  failed(): void {
    this.words[this.#at + TARGET_FAILURES]!++
  }

  /** A connection for one request at a time was opened. */
  connectionOpened(): void {
    if (this.streams === undefined) this.countConnections(1)
  }

  connectionClosed(): void {
    if (this.streams === undefined) this.countConnections(-1)
  }

  countConnections(change: 1 | -1): void {
    this.words[this.#at + TARGET_CONNECTIONS]! += change
  }
}
