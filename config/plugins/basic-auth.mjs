import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { definePlugin } from 'castor-lb'
import { z } from 'zod'

/**
 * Asks for a name and a password (RFC 7617), and tells the target who it was. Only for listeners that speak TLS: both travel
 * in the clear. For a few users; passwords of many belong into a directory, hashed slowly.
 */
export default definePlugin({
  name: 'basic-auth',
  options: z.strictObject({
    realm: z
      .string()
      .regex(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, 'must be visible ASCII without quotes')
      .default('restricted'),
    /** Passwords by user; best from the environment: ${ALICE_PASSWORD}. */
    users: z.record(z.string().min(1), z.string().min(1)),
    /** The header by which the target learns the user's name. */
    userHeader: z.string().default('x-user'),
  }),
  setup({ options }) {
    // What is compared has one length whatever was sent, and says nothing of the password to whoever measures.
    const key = randomBytes(32)
    const digest = (text) => createHmac('sha256', key).update(text).digest()
    return { digest, users: new Map(Object.entries(options.users).map(([user, word]) => [user, digest(word)])) }
  },
  onRequest(request, { options, state }) {
    const [scheme = '', sent = ''] = (request.header('authorization') ?? '').split(' ')
    const [user, password] = split(scheme.toLowerCase() === 'basic' ? Buffer.from(sent, 'base64').toString('utf8') : '')
    // Of a user that nobody knows something is compared, too.
    const known = state.users.get(user)
    const isRight = timingSafeEqual(state.digest(password), known ?? state.digest('')) && known !== undefined
    if (!isRight) {
      return {
        status: 401,
        headers: { 'www-authenticate': `Basic realm="${options.realm}", charset="UTF-8"` },
        body: 'a name and a password are needed\n',
      }
    }
    // Whatever the client said of itself goes.
    request.setHeader(options.userHeader, encodeURIComponent(user))
    request.removeHeader('authorization')
  },
  onLog: (_entry, request, { options }) => ({ user: request.header(options.userHeader) ?? null }),
})

function split(credentials) {
  const colon = credentials.indexOf(':')
  return colon < 0 ? ['', ''] : [credentials.slice(0, colon), credentials.slice(colon + 1)]
}
