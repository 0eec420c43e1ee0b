import { z } from 'zod'
import { fileSchema } from './schema.js'

/** The JSON Schema (draft 7, which editors know best) of the configuration file, as `castor schema` prints it. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-7' })
  return { title: 'Castor', ...schema }
}

export function configJsonSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}
