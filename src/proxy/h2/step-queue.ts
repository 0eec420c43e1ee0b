// Hot path: what may not happen within the call that led to it happens here.
import type { Logger } from 'pino'

/** Something that has work left over from a call. */
export interface Stepping {
  step(): void
  /** A fault in its step: it ends, and nobody else does. */
  abort(): void
}

const NOBODY: Stepping = { step() {}, abort() {} }
/** Places that are kept for turns to come. */
const MOST_KEPT = 1024

/** Work of this turn of the loop that waits until the calls under way have returned; one for all streams of a thread. */
export class StepQueue {
  #waiting: Stepping[] = []
  #running: Stepping[] = []
  /** How many of `#waiting` there are. Its length stays: to cut it and to let it grow again costs memory every turn. */
  #count = 0
  readonly #log: Logger
  readonly #schedule: (callback: () => void) => void

  constructor(log: Logger, schedule: (callback: () => void) => void = queueMicrotask) {
    this.#log = log
    this.#schedule = schedule
  }

  add(stepping: Stepping): void {
    this.#waiting[this.#count] = stepping
    if (++this.#count === 1) this.#schedule(this.#run)
  }

  readonly #run = (): void => {
    const list = this.#waiting
    const count = this.#count
    this.#waiting = this.#running
    this.#running = list
    this.#count = 0
    for (let i = 0; i < count; i++) {
      const stepping = list[i]!
      list[i] = NOBODY
      try {
        stepping.step()
      } catch (fault) {
        this.#log.error({ err: fault }, 'a fault ended one stream')
        stepping.abort()
      }
    }
    if (count > MOST_KEPT) list.length = MOST_KEPT
  }
}
