import { z } from 'zod'
import { adminListen, hostName, mustBe } from './fields.js'

export const admin = z
  .strictObject({
    listen: z
      .union(
        [adminListen().transform((address) => [address]), z.array(adminListen()).min(1)],
        mustBe('an address, like 127.0.0.1:9900 or unix:/run/castor/admin.sock, or a list of them'),
      )
      .prefault('127.0.0.1:9900')
      .describe(
        'Where the admin API, metrics and dashboard are: address:port, unix:/PATH for a Unix socket that only this user and root can open, or a list. Default 127.0.0.1:9900; port 0 takes any free one. Beyond loopback a token is required. Commands use the Unix socket where there is one.',
      ),
    token: z
      .string()
      .regex(/^[\x21-\x7e]*$/, 'must be of visible ASCII characters without blanks, as RFC 6750 has bearer tokens')
      .prefault('')
      .describe(
        'Bearer token that the admin API asks for; best kept in the environment and named here as a reference. Default empty: none is asked for, which only loopback addresses and Unix sockets allow.',
      ),
    hosts: z
      .array(hostName())
      .prefault([])
      .describe(
        'Host names by which browsers and programs may address the admin API on loopback without a token, beside localhost and IP addresses, for a proxy in front of it. Default none. A name that somebody else controls lets their web pages reach the API (DNS rebinding).',
      ),
  })
  .prefault({})
  .describe('The admin API: status, metrics, dashboard.')
