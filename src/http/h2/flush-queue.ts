import type { H2Connection, H2Turn } from './engine.js'

/**
 * Collects connections that have frames to write and flushes them when the callbacks of this turn of the loop have run:
 * one for all connections of a thread. A microtask is that moment, since the transport brings all events of a turn in
 * one call.
 */
export class FlushQueue implements H2Turn {
  #waiting: H2Connection[] = []
  #flushing: H2Connection[] = []
  readonly #onFault: (fault: unknown, connection: H2Connection) => void
  readonly #schedule: (callback: () => void) => void

  /** `onFault`: a connection could not be flushed; nobody else is concerned. */
  constructor(
    onFault: (fault: unknown, connection: H2Connection) => void,
    schedule: (callback: () => void) => void = queueMicrotask,
  ) {
    this.#onFault = onFault
    this.#schedule = schedule
  }

  flushLater(connection: H2Connection): void {
    if (this.#waiting.push(connection) === 1) this.#schedule(this.#flush)
  }

  readonly #flush = (): void => {
    const list = this.#waiting
    this.#waiting = this.#flushing
    this.#flushing = list
    for (let i = 0; i < list.length; i++) {
      try {
        list[i]!.flush()
      } catch (fault) {
        this.#onFault(fault, list[i]!)
      }
    }
    list.length = 0
  }
}
