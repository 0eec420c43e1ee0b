import { definePlugin } from 'castor-lb'
import { z } from 'zod'

/** Sends requests to the group that a header names, among those of `groups`; all others go where the rules say. */
export default definePlugin({
  name: 'ab-header',
  options: z.strictObject({
    header: z.string().default('x-variant'),
    /** Target groups by what the header says. The configuration's `targetGroups` names them too. */
    groups: z.record(z.string(), z.string()),
  }),
  setup: ({ options }) => new Map(Object.entries(options.groups)),
  onRoute(request, { options, state }) {
    const group = state.get(request.header(options.header) ?? '')
    if (group !== undefined) request.chooseTargetGroup(group)
  },
  onResponseHead(response, _request, { options }) {
    // Caches must not give one variant to whoever asked for another.
    response.addHeader('vary', options.header)
  },
})
