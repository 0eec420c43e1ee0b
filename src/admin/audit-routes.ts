import { z } from 'zod'
import { sendJson } from './answer.js'
import { type AuditEntry, MAX_CHANGES } from './audit.js'
import { wholeNumber } from './parameters.js'
import { route } from './route.js'
import { time } from './status-schema.js'

const values = z.record(z.string(), z.unknown()).nullable()

const entry: z.ZodType<AuditEntry> = z
  .strictObject({
    time: time(),
    id: z.string().describe('X-Request-Id of the answer.'),
    by: z.strictObject({
      kind: z.enum(['token', 'anybody', 'unknown', 'signal', 'file', 'host']),
      name: z.string().nullable(),
    }),
    from: z.string().nullable(),
    action: z.string().describe('An operationId of this document; unknown where there is no such route.'),
    request: z
      .strictObject({
        method: z.string(),
        route: z.string(),
        params: z.record(z.string(), z.unknown()),
        persist: z.boolean(),
      })
      .nullable(),
    before: values.describe('Of what changed; secrets are masked.'),
    after: values,
    result: z.enum(['done', 'refused', 'failed']),
    status: z.int().nullable(),
    reason: z.string().nullable(),
    suppressed: z.int().min(0).describe('Refusals before this one that are not listed.'),
  })
  .meta({ id: 'AuditEntry' })

const limit = wholeNumber(1, MAX_CHANGES, `must be a whole number from 1 to ${MAX_CHANGES}`).prefault('50')

export const audit = route({
  method: 'GET',
  path: '/api/v1/audit',
  id: 'listChanges',
  summary: 'The last changes and refusals, the newest first',
  query: z.strictObject({ limit }),
  answers: { 200: { says: 'Since the start of the process.', schema: z.strictObject({ entries: z.array(entry) }) } },
  handle: ({ facts, request, response, query }) =>
    sendJson(request, response, 200, { entries: facts.audit.latest(query.limit) }),
})
