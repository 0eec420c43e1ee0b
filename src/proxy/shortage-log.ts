import type { Logger } from 'pino'
import type { Clock } from '../core/clock.js'

const EVERY_MS = 10_000

/** The log line of a thread that lacks sockets for its targets, at most once in ten seconds. */
export class ShortageLog {
  readonly #log: Logger
  readonly #clock: Clock
  #saidMs = Number.NEGATIVE_INFINITY

  constructor(log: Logger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** `detail` is the system's name for what is missing; empty where the budget is used up. */
  met(detail: string): void {
    const { nowMs } = this.#clock
    if (nowMs - this.#saidMs < EVERY_MS) return
    this.#saidMs = nowMs
    this.#log.warn(
      { missing: detail === '' ? 'descriptors' : detail },
      'this host has no sockets left for connections to targets: requests wait for a moment, then get 503; raise the open-file limit, or net.ipv4.ip_local_port_range for EADDRNOTAVAIL',
    )
  }
}
