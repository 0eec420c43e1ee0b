/**
 * Time as the data plane sees it. `nowMs` is read once a turn of the loop and shared by all that happens in the turn,
 * because asking the system for the time per event costs more than most events.
 */
export interface Clock {
  /** Milliseconds of a monotonic clock, with a fraction, as of this turn. */
  readonly nowMs: number
  /** Milliseconds since the epoch, as of this turn. */
  readonly wallMs: number
  /** Asks the system again; whoever begins a turn calls it. */
  refresh(): void
}

export class SystemClock implements Clock {
  nowMs = performance.now()
  readonly #originMs = performance.timeOrigin

  get wallMs(): number {
    return this.#originMs + this.nowMs
  }

  refresh(): void {
    this.nowMs = performance.now()
  }
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  nowMs: number
  readonly #originMs: number

  constructor(startMs = 0, originMs = 1_700_000_000_000) {
    this.nowMs = startMs
    this.#originMs = originMs
  }

  get wallMs(): number {
    return this.#originMs + this.nowMs
  }

  advance(byMs: number): void {
    this.nowMs += byMs
  }

  refresh(): void {}
}
