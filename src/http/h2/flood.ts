import type { H2FailureReason, H2Limits } from './engine.js'

/** Frames that cost more than they bring, as they are counted; the index into `REASON_OF`, `LIMIT_OF` and the counts. */
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
export const FLOODS: readonly Flood[] = Object.values(FLOOD)

export const REASON_OF: readonly H2FailureReason[] = [
  'RAPID_RESET',
  'STREAMS_REFUSED',
  'SETTINGS_FLOOD',
  'PING_FLOOD',
  'PRIORITY_FLOOD',
  'EMPTY_FRAMES',
  'WINDOW_UPDATE_FLOOD',
  'TINY_WINDOWS',
]

export const LIMIT_OF = [
  'maxResets',
  'maxRefusals',
  'maxSettings',
  'maxPings',
  'maxPriorities',
  'maxUselessFrames',
  'maxWindowUpdates',
  'maxTinyFrames',
] as const satisfies readonly (keyof H2Limits)[]

export const FLOOD_KINDS = REASON_OF.length
