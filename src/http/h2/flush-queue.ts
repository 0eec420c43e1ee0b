import type { H2Connection, H2Turn } from './engine.js'

/**
 * Collects connections that have frames to write and flushes them when the callbacks of this turn of the loop have run:
 * one for all connections of a thread. A microtask is that moment, since the transport brings all events of a turn in
 * one call.
 */
export class FlushQueue implements H2Turn {
  #waiting: H2Connection[] = []
  #flushing: H2Connection[] = []
  readonly #schedule: (callback: () => void) => void

  constructor(schedule: (callback: () => void) => void = queueMicrotask) {
    this.#schedule = schedule
  }

  flushLater(connection: H2Connection): void {
    if (this.#waiting.push(connection) === 1) this.#schedule(this.#flush)
  }

  readonly #flush = (): void => {
    const list = this.#waiting
    this.#waiting = this.#flushing
    this.#flushing = list
    for (let i = 0; i < list.length; i++) list[i]!.flush()
    list.length = 0
  }
}
