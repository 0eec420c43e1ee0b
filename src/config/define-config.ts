import type { z } from 'zod'
import type { fileSchema } from './schema.js'

/** A configuration as its file is written: the same keys, values and units. */
export type WrittenConfig = z.input<typeof fileSchema>

/** A configuration, or a function that makes one, typed: to be the default export of a module. It is returned as it is. */
export function defineConfig<Written extends WrittenConfig | (() => WrittenConfig | Promise<WrittenConfig>)>(
  config: Written,
): Written {
  return config
}
