import { definePlugin } from 'castor-lb'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import { z } from 'zod'

/**
 * Lets in whoever brings a token (RFC 6750) that is signed by a key of a JWKS, and tells the target the token's subject. The
 * keys are fetched when they are needed first, kept, and fetched anew for a key that is not among them, as after a rotation.
 */
export default definePlugin({
  name: 'jwt',
  // The first request of a thread waits for the keys, too.
  deadlineMs: 6_000,
  options: z.strictObject({
    jwks: z.url(),
    issuer: z.string(),
    audience: z.string(),
    /** None that are made with a shared secret, and not "none". */
    algorithms: z.array(z.enum(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])).default(['RS256', 'PS256', 'ES256']),
    subjectHeader: z.string().default('x-user'),
    /** Keys are not asked for more often than this, whatever tokens come. */
    cooldownMs: z.number().int().min(0).default(30_000),
    clockToleranceSeconds: z.number().int().min(0).max(300).default(5),
  }),
  setup({ options }) {
    return createRemoteJWKSet(new URL(options.jwks), { cooldownDuration: options.cooldownMs, timeoutDuration: 5_000 })
  },
  async onRequest(request, { options, state: keys, log }) {
    const [scheme = '', token = ''] = (request.header('authorization') ?? '').split(' ')
    if (scheme.toLowerCase() !== 'bearer' || token === '') return refusal('')
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: options.issuer,
        audience: options.audience,
        algorithms: options.algorithms,
        clockTolerance: options.clockToleranceSeconds,
        requiredClaims: ['exp', 'sub'],
      })
      // Whatever the client said of itself goes.
      request.setHeader(options.subjectHeader, encodeURIComponent(payload.sub))
    } catch (fault) {
      if (!isOfToken(fault)) {
        log.warn('the keys of tokens cannot be had', { err: fault })
        return { status: 503, headers: { 'retry-after': 1 }, body: 'tokens cannot be checked now\n' }
      }
      return refusal(fault.code)
    }
  },
})

/** Faults of the token, rather than of whoever has the keys. */
function isOfToken(fault) {
  const { JWKSTimeout, JWKSInvalid, JOSEError } = errors
  const isOfKeys = fault instanceof JWKSTimeout || fault instanceof JWKSInvalid || fault.code === 'ERR_JOSE_GENERIC'
  return fault instanceof JOSEError && !isOfKeys
}

function refusal(code) {
  const why = code === '' ? '' : `, error="invalid_token", error_description="${code}"`
  return {
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="castor"${why}` },
    body: 'a valid token is needed\n',
  }
}
