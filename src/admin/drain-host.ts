import { z } from 'zod'
import { sendJson } from './answer.js'
import { route } from './route.js'

/** The answer comes before the end: whoever asked watches `/readyz` go. */
export const drainHost = route({
  method: 'POST',
  path: '/api/v1/drain-host',
  id: 'drainHost',
  summary: 'Hand the addresses of this host over, finish what is in flight, end the process',
  body: { schema: z.strictObject({}), code: 'BAD_BODY', optional: true },
  handle({ facts, request, response }) {
    facts.log.info('the operator drains this host')
    const vips = facts.drainHost()
    sendJson(request, response, 202, { node: facts.config.node, state: 'draining', vips })
  },
})
