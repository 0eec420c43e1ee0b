// Hot path: frames that cost more than they bring are counted here.
import type { H2FailureReason, H2Limits } from './engine.js'

/** What is counted; the index into `REASON_OF`, `LIMIT_OF` and the counts. */
export const FLOOD = {
  RESETS: 0,
  REFUSALS: 1,
  SETTINGS: 2,
  PINGS: 3,
  PRIORITIES: 4,
  USELESS: 5,
  WINDOW_UPDATES: 6,
  TINY: 7,
} as const
export type Flood = (typeof FLOOD)[keyof typeof FLOOD]

const REASON_OF: readonly H2FailureReason[] = [
  'RAPID_RESET',
  'STREAMS_REFUSED',
  'SETTINGS_FLOOD',
  'PING_FLOOD',
  'PRIORITY_FLOOD',
  'EMPTY_FRAMES',
  'WINDOW_UPDATE_FLOOD',
  'TINY_WINDOWS',
]

const LIMIT_OF = [
  'maxResets',
  'maxRefusals',
  'maxSettings',
  'maxPings',
  'maxPriorities',
  'maxUselessFrames',
  'maxWindowUpdates',
  'maxTinyFrames',
] as const satisfies readonly (keyof H2Limits)[]

/** A receiver gives windows back for its stream and for the connection, some of them twice a frame. */
const UPDATES_PER_FRAME = 4

/** Counts what a peer does within a stretch of time, and says when it is more than its share. */
export class FloodMeter {
  readonly #limits: H2Limits
  readonly #counts = new Int32Array(REASON_OF.length)
  #sinceMs = 0

  constructor(limits: H2Limits) {
    this.#limits = limits
  }

  /** One more of `what`; the reason to end the connection when that is too many. */
  count(what: Flood, nowMs: number): H2FailureReason | undefined {
    if (nowMs - this.#sinceMs >= this.#limits.rateWindowMs) {
      this.#sinceMs = nowMs
      this.#counts.fill(0)
    }
    const count = ++this.#counts[what]!
    return count > this.#limits[LIMIT_OF[what]!] ? REASON_OF[what] : undefined
  }

  /** A DATA frame was sent: the peer will give window back for it. */
  dataSent(): void {
    this.#counts[FLOOD.WINDOW_UPDATES]! -= UPDATES_PER_FRAME
  }
}
