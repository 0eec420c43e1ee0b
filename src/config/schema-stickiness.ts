import { z } from 'zod'
import { duration, mustBe, off, wholeNumber } from './fields.js'

const SECOND = 1_000
const HOUR = 60 * 60 * SECOND

const cookieName = () => z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, mustBe('a cookie’s name'))

export const stickiness = z
  .union(
    [
      off(),
      z.strictObject({
        type: z
          .literal('cookie')
          .describe('Castor sets a cookie of its own that names the target; nothing has to be remembered.'),
        name: cookieName().prefault('CASTOR').describe('Name of the cookie. Default CASTOR.'),
        maxAge: z
          .union([wholeNumber(0, 86_400), duration(0, 24 * HOUR).transform((ms) => Math.floor(ms / SECOND))])
          .prefault(0)
          .describe(
            'How long browsers keep the cookie after each response, in seconds or as a duration, at most a day. Default 0: until the browser closes.',
          ),
      }),
      z.strictObject({
        type: z.literal('app-cookie').describe('The cookie that the application sets is learned and followed.'),
        name: cookieName().describe('Name of the application’s cookie.'),
        timeout: duration(SECOND, 24 * HOUR)
          .prefault('1h')
          .describe(
            'How long a session is remembered after its last request; an open WebSocket counts as use. Duration, 1s to 24h, default 1h. Higher keeps more sessions in memory; lower forgets clients that pause.',
          ),
      }),
      z.strictObject({
        type: z.literal('source-ip').describe('A client’s address is bound to a target.'),
        timeout: duration(SECOND, HOUR)
          .prefault('300s')
          .describe(
            'How long an address stays bound after its last use; an open tcp connection or WebSocket counts as use. Duration, 1s to 1h, default 300s. Higher keeps more sessions in memory; lower forgets clients that pause.',
          ),
      }),
    ],
    mustBe('off, or a map with type: cookie, app-cookie or source-ip'),
  )
  .prefault('off')
  .describe('Keeping each client on one target. Default off.')
