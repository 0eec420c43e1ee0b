/**
 * Time as the data plane sees it. `nowMs` is read once a turn of the loop and shared by all that happens in the turn,
 * because asking the system for the time per event costs more than most events.
 */
export interface Clock {
  /** Milliseconds of a monotonic clock, with a fraction, as of this turn. Each thread counts from its own beginning. */
  readonly nowMs: number
  /**
   * The same clock counted as all threads of the process do, for deadlines in shared memory. It begins as epoch time and
   * does not follow when the host's clock is set: for people and other hosts it is translated (`wallTime`).
   */
  readonly steadyMs: number
  /** Milliseconds since the epoch by the host's clock, as of this turn: for logs, stamps, and what other hosts are told. */
  readonly wallMs: number
  /** Asks the system again; whoever begins a turn calls it. */
  refresh(): void
}

/** The host's clock was set where it and the monotonic one part by more than reading the two takes. */
const STEP_MS = 50
/** A reading in between which the thread was not interrupted. */
const READING_MS = 1

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** What `steadyMs` counts from in this process; other threads are given the main thread's. */
export const STEADY_ORIGIN_MS = Date.now() - monotonicMs()

export class SystemClock implements Clock {
  nowMs = performance.now()
  /** Told once of each step of the host's clock. */
  onStep: ((byMs: number) => void) | undefined
  readonly #steadyAheadMs: number
  #wallAheadMs = Date.now() - this.nowMs

  constructor(steadyOriginMs = STEADY_ORIGIN_MS) {
    this.#steadyAheadMs = steadyOriginMs + monotonicMs() - performance.now()
  }

  get steadyMs(): number {
    return this.#steadyAheadMs + this.nowMs
  }

  get wallMs(): number {
    return this.#wallAheadMs + this.nowMs
  }

  refresh(): void {
    this.nowMs = performance.now()
    const byMs = Date.now() - this.nowMs - this.#wallAheadMs
    if (byMs > STEP_MS || byMs < -STEP_MS) this.#follow()
  }

  /** The two clocks are read again, since the thread may have been interrupted between them. */
  #follow(): void {
    const nowMs = performance.now()
    const wallMs = Date.now()
    if (performance.now() - nowMs > READING_MS) return
    const byMs = wallMs - nowMs - this.#wallAheadMs
    if (byMs <= STEP_MS && byMs >= -STEP_MS) return
    this.#wallAheadMs = wallMs - nowMs
    this.onStep?.(byMs)
  }
}

/** A time of `steadyMs` as the host's clock shows it now. */
export function wallTime(steadyMs: number, clock: Pick<Clock, 'steadyMs' | 'wallMs'>): number {
  return steadyMs + (clock.wallMs - clock.steadyMs)
}

/** A time by the host's clock as one of `steadyMs`. */
export function steadyTime(wallMs: number, clock: Pick<Clock, 'steadyMs' | 'wallMs'>): number {
  return wallMs - (clock.wallMs - clock.steadyMs)
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  nowMs: number
  readonly #originMs: number
  #stepsMs = 0

  constructor(startMs = 0, originMs = 1_700_000_000_000) {
    this.nowMs = startMs
    this.#originMs = originMs
  }

  get steadyMs(): number {
    return this.#originMs + this.nowMs
  }

  get wallMs(): number {
    return this.steadyMs + this.#stepsMs
  }

  advance(byMs: number): void {
    this.nowMs += byMs
  }

  /** Sets the wall clock, as an operator or a time server does. */
  step(byMs: number): void {
    this.#stepsMs += byMs
  }

  refresh(): void {}
}
