import { z } from 'zod'
import { duration, mustBe, switchedOffBy, wholeNumber } from './fields.js'

/** How much a target is given at once, and who waits when that is all it can take. */

const HOUR = 3_600_000
const MOST = 1_000_000

export const maxConnectionsPerTarget = z
  .union([z.literal('unlimited'), wholeNumber(1, MOST)], mustBe(`unlimited or a whole number from 1 to ${MOST}`))
  .prefault('unlimited')
  .describe(
    'Requests that a target serves at once, over all threads of this host; in tcp groups connections. A WebSocket counts until it ends, an idle connection kept for reuse does not. unlimited (default) or 1 to 1000000. Higher lets a target be overrun; lower leaves it idle while clients wait or get 503.',
  )

export const queue = z
  .strictObject(
    {
      size: wholeNumber(0, MOST)
        .prefault(0)
        .describe(
          'Requests (in tcp groups connections) of the group that may wait in this host, over all threads, while every target is at maxConnectionsPerTarget. 0 to 1000000, default 0: nobody waits, and who comes then gets 503. Higher smooths bursts, and costs memory and the patience of clients; lower turns them away sooner.',
        ),
      timeout: duration(10, HOUR)
        .prefault('1s')
        .describe(
          'How long one waits before it gets 503. Duration, 10ms to 1h, default 1s. Higher waits out longer bursts and serves clients that may be gone; lower answers sooner that there is no room.',
        ),
    },
    switchedOffBy('{ size: 0 }'),
  )
  .prefault({})
  .describe('Who waits, first come first served, while every target is at maxConnectionsPerTarget.')
