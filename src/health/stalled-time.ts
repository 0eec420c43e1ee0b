/** A turn of the loop that comes later than this was held up. */
const LATE_MS = 50

/**
 * Time in which a thread could not look at its connections, as while it builds TLS contexts or gets no processor. What
 * peers have sent meanwhile is still to be read.
 */
export class StalledTime {
  /** Since the thread began. */
  totalMs = 0
  readonly #everyMs: number
  #lastMs = -1

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** To be called every `everyMs`, before the timers that go by it. */
  tick(nowMs: number): void {
    const lateMs = nowMs - this.#lastMs - this.#everyMs
    if (this.#lastMs >= 0 && lateMs > LATE_MS) this.totalMs += lateMs
    this.#lastMs = nowMs
  }
}
