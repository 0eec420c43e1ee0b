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
  answers: {
    202: {
      says: 'It drains from now on, and hands over these of the addresses in vips.',
      schema: z.strictObject({ node: z.string(), state: z.literal('draining'), vips: z.array(z.string()) }),
    },
  },
  handle({ facts, request, response, note }) {
    facts.log.info('the operator drains this host')
    note.before = { state: facts.state }
    const vips = facts.drainHost()
    note.after = { state: 'draining', vips }
    sendJson(request, response, 202, { node: facts.config.node, state: 'draining', vips })
  },
})
