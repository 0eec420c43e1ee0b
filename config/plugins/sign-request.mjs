import { createHmac } from 'node:crypto'
import { definePlugin } from 'castor-lb'
import { z } from 'zod'

/**
 * Signs what a target is asked, so that it can tell that the request came through Castor, and when. The signature is the
 * HMAC-SHA-256 of method, host, target and time, a line each, in hex.
 */
export default definePlugin({
  name: 'sign-request',
  options: z.strictObject({
    secret: z.string().min(16),
    header: z.string().default('x-castor-signature'),
    timeHeader: z.string().default('x-castor-time'),
  }),
  onRequestHead(request, { options }) {
    const seconds = String(Math.floor(Date.now() / 1000))
    const { target, host } = request.sent
    const signed = [request.method, host, target, seconds].join('\n')
    request.setHeader(options.timeHeader, seconds)
    request.setHeader(options.header, createHmac('sha256', options.secret).update(signed).digest('hex'))
  },
})
