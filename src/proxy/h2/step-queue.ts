// Hot path: what may not happen within the call that led to it happens here.
import type { Logger } from 'pino'

/** Something that has work left over from a call. */
export interface Stepping {
  step(): void
  /** A fault in its step: it ends, and nobody else does. */
  abort(): void
}

/** Work of this turn of the loop that waits until the calls under way have returned; one for all streams of a thread. */
export class StepQueue {
  #waiting: Stepping[] = []
  #running: Stepping[] = []
  readonly #log: Logger
  readonly #schedule: (callback: () => void) => void

  constructor(log: Logger, schedule: (callback: () => void) => void = queueMicrotask) {
    this.#log = log
    this.#schedule = schedule
  }

  add(stepping: Stepping): void {
    if (this.#waiting.push(stepping) === 1) this.#schedule(this.#run)
  }

  readonly #run = (): void => {
    const list = this.#waiting
    this.#waiting = this.#running
    this.#running = list
    for (let i = 0; i < list.length; i++) {
      try {
        list[i]!.step()
      } catch (fault) {
        this.#log.error({ err: fault }, 'a fault ended one stream')
        list[i]!.abort()
      }
    }
    list.length = 0
  }
}
