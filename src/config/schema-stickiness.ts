import { z } from 'zod'
import { duration, flag, hostName, mustBe, off, wholeNumber } from './fields.js'

const SECOND = 1_000
const HOUR = 60 * 60 * SECOND

const cookieName = () => z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, mustBe('a cookie’s name'))

export const stickiness = z
  .union(
    [
      off(),
      z.strictObject({
        type: z
          .literal('cookie')
          .describe('Castor sets a cookie of its own that names the target; nothing has to be remembered.'),
        name: cookieName()
          .optional()
          .describe(
            'Name of the cookie. Default CASTOR-<group>: browsers keep one cookie of a name for all ports of a host, so groups with the same name take each other’s clients.',
          ),
        maxAge: z
          .union([wholeNumber(0, 86_400), duration(0, 24 * HOUR).transform((ms) => Math.floor(ms / SECOND))])
          .prefault(0)
          .describe(
            'How long browsers keep the cookie after each response, in seconds or as a duration, at most a day. Default 0: until the browser closes.',
          ),
        sameSite: z
          .enum(['lax', 'strict', 'none'])
          .prefault('lax')
          .describe(
            'Whether browsers send the cookie with requests that other sites cause. lax (default): when a link is followed; strict: never; none: always, as pages embedded in other sites need, and only where it is Secure.',
          ),
        domain: z
          .union([z.literal(''), hostName()], mustBe('a host name, like shop.example'))
          .prefault('')
          .describe('Host name whose subdomains get the cookie too. Default: only the host that was asked.'),
        secure: z
          .union([z.literal('auto'), flag()], mustBe('auto, true or false'))
          .prefault('auto')
          .describe(
            'Whether browsers send the cookie over https only. auto (default): where the client came over TLS; true: always, for http listeners behind a proxy that ends TLS; false: never.',
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
        ipv6Prefix: wholeNumber(32, 128)
          .prefault(64)
          .describe(
            'Bits of an IPv6 address that stand for one client. 32 to 128, default 64: the network that a client has all addresses of. Higher tells the hosts of a network apart and lets one of them take as many sessions as it has addresses; lower binds whole sites to one target.',
          ),
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
