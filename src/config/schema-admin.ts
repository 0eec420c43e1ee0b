import { z } from 'zod'
import { adminListen, hostName, mustBe, name } from './fields.js'

const TOKEN = /^[\x21-\x7e]*$/
const MUST_BE = 'must be of visible ASCII characters without blanks, as RFC 6750 has bearer tokens'

const namedToken = z
  .strictObject({
    name: name().describe('Whose token it is: who changed something, in the audit log.'),
    token: z
      .string()
      .min(1, mustBe('a token; leave the entry out where there is none'))
      .regex(TOKEN, MUST_BE)
      .describe('The token itself; best kept in the environment and named here as a reference.'),
    role: z
      .enum(['read', 'write'])
      .prefault('write')
      .describe('read: may see everything that the API shows, and change nothing, as for monitoring. Default write.'),
  })
  .describe('A token and whose it is.')

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
      .regex(TOKEN, MUST_BE)
      .prefault('')
      .describe(
        'Bearer token that the admin API asks for; best kept in the environment and named here as a reference. Default empty: none is asked for, which only loopback addresses and Unix sockets allow. In the audit log its name is default.',
      ),
    tokens: z
      .array(namedToken)
      .prefault([])
      .describe(
        'Further tokens, each with a name, so that the audit log can tell who changed what, and one can be taken back without the others. Default none.',
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
