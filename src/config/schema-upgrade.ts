import { duration } from './fields.js'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const WEEK = 7 * 24 * HOUR

export const upgradeTimeout = duration(SECOND, HOUR)
  .prefault('60s')
  .describe(
    'How long castor upgrade waits for the new program to serve; then it is ended, and the running one goes on. Duration, 1s to 1h, default 60s. Higher waits longer for one that hangs; lower gives up one whose host is busy, or whose first checks are slow.',
  )

export const upgradeDrain = duration(0, WEEK)
  .prefault('1h')
  .describe(
    'How long the old process lives on after an upgrade for its WebSockets, TCP connections and downloads, while the new one serves all else. Duration, 0ms to 168h, default 1h. Higher keeps the memory of one more process for whoever stays; lower cuts them.',
  )
