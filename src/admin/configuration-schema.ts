import { z } from 'zod'
import { count, time } from './status-schema.js'

/** What the API answers about the configuration, for the OpenAPI document. */

const valueChange = z
  .strictObject({ path: z.string(), from: z.unknown(), to: z.unknown() })
  .meta({ id: 'ValueChange', description: 'In the words and units of the file; secrets are masked.' })
const named = z.strictObject({ name: z.string(), values: z.array(valueChange) })
const lists = z.strictObject({
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(named),
})
const target = z.strictObject({ targetGroup: z.string(), id: z.string(), address: z.string(), weight: count() })

const changes = z
  .strictObject({
    settings: z.array(valueChange),
    listeners: lists,
    targetGroups: lists,
    targets: z.strictObject({
      added: z.array(target),
      removed: z.array(target),
      changed: z.array(z.strictObject({ targetGroup: z.string(), id: z.string(), values: z.array(valueChange) })),
    }),
    restart: z.array(valueChange),
  })
  .meta({ id: 'ConfigurationChanges' })

export const outcome = z
  .strictObject({
    result: z.enum(['applied', 'changed', 'unchanged']),
    version: count(),
    file: z.string().nullable(),
    warnings: z.array(z.string()),
    changes: changes.optional(),
    lines: z.array(z.string()).optional().describe('The changes as castor diff prints them.'),
  })
  .meta({ id: 'ReloadOutcome' })

export const refusal = z
  .strictObject({
    error: z.strictObject({
      code: z.enum(['CONFIG_INVALID', 'RESTART_REQUIRED', 'RELOAD_FAILED']),
      message: z.string(),
      problems: z
        .array(
          z.strictObject({
            file: z.string(),
            line: z.int(),
            column: z.int(),
            path: z.string(),
            message: z.string(),
            text: z.string(),
          }),
        )
        .optional(),
      changes: changes.optional(),
      lines: z.array(z.string()).optional(),
    }),
    file: z.string().nullable(),
  })
  .meta({ id: 'ReloadRefusal' })

export const inForce = z
  .strictObject({
    version: count(),
    loadedAt: time(),
    file: z.string().nullable(),
    config: z.record(z.string(), z.unknown()).describe('Every key with its value, in the form of the file.'),
    operatorChanges: z.array(
      z.strictObject({
        targetGroup: z.string(),
        id: z.string(),
        change: z.enum(['added', 'removed', 'changed']),
        address: z.string().optional(),
        weight: count().optional(),
        state: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'ConfigurationInForce' })
