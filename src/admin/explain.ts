import { z } from 'zod'
import type { Explanation } from '../core/explanation.js'
import { sendError, sendJson } from './answer.js'
import { route } from './route.js'

const once = (what: string) => z.string().describe(what)

const question = z.strictObject({
  method: once('Of the request that is asked about; GET where it is left out.').prefault('GET'),
  url: z
    .string({ error: ({ input }) => (input === undefined ? 'is missing; the URL that is asked about' : undefined) })
    .describe('Absolute URL that is asked about.'),
  from: once('Address of the client; 127.0.0.1 where it is left out.').prefault('127.0.0.1'),
  listener: once('Name of the listener; the one that the URL leads to where it is left out.').optional(),
  header: z.array(z.string()).prefault([]).describe('`name: value`; may come several times.'),
})

const headers = z.strictObject({ removed: z.array(z.string()), written: z.array(z.string()) }).nullable()

const explanation: z.ZodType<Explanation> = z.strictObject({
  version: z.int(),
  listener: z.string(),
  from: z.string(),
  considered: z.array(
    z.strictObject({
      host: z.string(),
      path: z.string(),
      addsSlash: z.boolean(),
      rules: z.array(z.strictObject({ name: z.string(), failed: z.string().nullable() })),
      more: z.int(),
    }),
  ),
  plugins: z
    .array(z.string())
    .describe('The plug-ins that would be asked, in their order. What they would do is not known.'),
  rule: z.string().nullable(),
  outcome: z.enum(['forward', 'redirect', 'respond', 'slash', 'no-rule']),
  status: z.int().nullable(),
  location: z.string().nullable(),
  groups: z.array(
    z.strictObject({
      name: z.string(),
      weight: z.number().nullable(),
      algorithm: z.string(),
      stickiness: z.string(),
      maxConnectionsPerTarget: z.int().nullable(),
      queueSize: z.int(),
      connectTimeoutMs: z.number(),
      responseTimeoutMs: z.number(),
      retries: z.int(),
      targets: z.array(
        z.strictObject({
          id: z.string(),
          address: z.string(),
          weight: z.int(),
          state: z.string(),
          health: z.string(),
          inFlight: z.int(),
          whyNot: z.string().nullable(),
        }),
      ),
      picked: z.array(z.string()),
      why: z.string(),
    }),
  ),
  split: z.strictObject({ cookie: z.string(), group: z.string().nullable() }).nullable(),
  edits: z
    .strictObject({
      refused: z.int().nullable(),
      rewritten: z.strictObject({ target: z.string().nullable(), host: z.string().nullable() }).nullable(),
      request: headers,
      response: headers,
    })
    .nullable(),
  mirror: z.strictObject({ targetGroup: z.string(), percent: z.number(), maxBodyBytes: z.int() }).nullable(),
  limits: z.strictObject({
    maxHeaderBytes: z.int(),
    maxHeaders: z.int(),
    headerTimeoutMs: z.number(),
    bodyMinRateBytesPerSecond: z.number(),
    idleTimeoutMs: z.number(),
    responseTimeoutMs: z.number().nullable(),
  }),
})

/** What would become of a request. */
export const explain = route({
  method: 'GET',
  path: '/api/v1/explain',
  id: 'explain',
  summary: 'What would become of a request',
  query: question,
  answers: { 200: { says: 'What would become of it, and why.', schema: explanation } },
  errors: ['BAD_URL', 'BAD_REQUEST', 'NO_LISTENER', 'NOT_HTTP'],
  handle({ facts, request, response, query: { header: headers, listener, ...rest } }) {
    const explained = facts.explain({ ...rest, listener, headers })
    if ('code' in explained) sendError(request, response, explained.code, explained.message)
    else sendJson(request, response, 200, explained)
  },
})
