import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const NANOSECONDS_PER_MS = 1e6

export interface LoopDelaySample {
  p50Ms: number
  p99Ms: number
  maxMs: number
}

/**
 * How late this thread's event loop gets to its timers. Each thread samples itself, once a second.
 */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#histogram.enable()
  }

  /** The delays since the last call but its first few milliseconds, written into `into`; the next sample starts empty. */
  sample(into: LoopDelaySample): LoopDelaySample {
    const h = this.#histogram
    into.p50Ms = delayMs(h.percentile(50))
    into.p99Ms = delayMs(h.percentile(99))
    into.maxMs = delayMs(h.max)
    h.reset()
    return into
  }

  stop(): void {
    this.#histogram.disable()
  }
}

/** What Node records is the whole time from one tick of its timer to the next: the interval itself is no delay. */
function delayMs(nanoseconds: number): number {
  const ms = nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS
  return Number.isFinite(ms) && ms > 0 ? ms : 0
}
