import { existsSync, readFileSync } from 'node:fs'
import { definePlugin } from 'castor-lb'
import { z } from 'zod'

/** Answers every request with a page that says so, except for some addresses and paths. */
export default definePlugin({
  name: 'maintenance',
  options: z.strictObject({
    /** Maintenance lasts for as long as this file is there; without the option, always. */
    while: z.string().optional(),
    /** A page in HTML. */
    page: z.string().optional(),
    retryAfterSeconds: z.number().int().min(1).default(300),
    /** Addresses of clients that are let through. */
    except: z.array(z.string()).default([]),
    /** Paths that are let through, such as those of health checks. */
    exceptPaths: z.array(z.string()).default([]),
  }),
  setup({ options }) {
    const page = options.page === undefined ? '<h1>Back in a moment</h1>\n' : readFileSync(options.page)
    const state = { page, isOn: options.while === undefined, timer: undefined }
    if (options.while !== undefined) {
      // Once in a while, and not for each request: a stat is a system call.
      const look = () => {
        state.isOn = existsSync(options.while)
      }
      look()
      state.timer = setInterval(look, 500)
    }
    return state
  },
  close: (state) => clearInterval(state.timer),
  onRequest(request, { options, state }) {
    if (!state.isOn) return
    if (options.except.includes(request.client.address) || options.exceptPaths.includes(request.path)) return
    return {
      status: 503,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'retry-after': options.retryAfterSeconds,
        'cache-control': 'no-store',
      },
      body: state.page,
    }
  },
})
