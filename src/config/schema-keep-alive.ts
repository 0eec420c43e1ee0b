import { z } from 'zod'
import { duration, mustBe, off } from './fields.js'

const SECOND = 1_000
const HOUR = 3_600 * SECOND

/** `what` is whose silence it is. */
export function keepAlive(what: string) {
  return z
    .union(
      [
        off(),
        z.strictObject({
          idle: duration(SECOND, 9 * HOUR)
            .prefault('60s')
            .describe(
              `How long ${what} may be silent before TCP asks whether it is still there; without an answer to six questions, ten seconds apart, the connection ends. Duration, 1s to 9h, default 60s. Higher keeps dead connections for longer; lower costs packets, and wakes mobile devices.`,
            ),
        }),
      ],
      mustBe('off, or a map of idle'),
    )
    .prefault({})
    .describe(`TCP keep-alive. Default { idle: 60s }; off leaves it to time-outs to notice ${what} that vanished.`)
}

export type KeepAliveFile = z.output<ReturnType<typeof keepAlive>>
