/** What the system has been asked for and has not answered yet: the simulation says when it does, and in which order. */
export class Later {
  /** Every question is answered as it is asked. */
  isAtOnce = false
  #waiting: (() => void)[] = []
  #sleeping: { readonly untilMs: number; readonly wake: () => void }[] = []

  get waiting(): number {
    return this.#waiting.length
  }

  answered(): Promise<void> {
    if (this.isAtOnce) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Answers one of the open questions. */
  answer(choice: number): void {
    const [chosen] = this.#waiting.splice(choice % Math.max(1, this.#waiting.length), 1)
    chosen?.()
  }

  sleep(ms: number, nowMs: number): Promise<void> {
    // Only lets others have their turn.
    if (ms === 0) return this.answered()
    const untilMs = nowMs + ms
    return new Promise((wake) => this.#sleeping.push({ untilMs, wake }))
  }

  /** Time has passed. */
  tick(nowMs: number): void {
    const due = this.#sleeping.filter(({ untilMs }) => untilMs <= nowMs)
    this.#sleeping = this.#sleeping.filter(({ untilMs }) => untilMs > nowMs)
    for (const { wake } of due) wake()
  }
}
