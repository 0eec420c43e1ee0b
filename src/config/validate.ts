import type { z } from 'zod'
import { show } from './fields.js'
import { knownKeys } from './known-keys.js'
import type { Path } from './problems.js'
import { type ConfigFile, fileSchema } from './schema.js'
import { didYouMean } from './suggest.js'

export interface Issue {
  readonly path: Path
  readonly message: string
  /** Whether the key itself is wrong or the value that it has. */
  readonly at: 'key' | 'value'
}

/** The file in its checked form, or everything that the schema has against it. */
export type Validated = { readonly file: ConfigFile } | { readonly issues: readonly Issue[] }

export function validate(tree: unknown): Validated {
  const result = check(fileSchema, tree)
  return 'value' in result ? { file: result.value } : result
}

/** Input that comes by another way than the file, held to a schema; or everything that is wrong with it. */
export function check<T>(
  schema: z.ZodType<T>,
  input: unknown,
): { readonly value: T } | { readonly issues: readonly Issue[] } {
  const result = schema.safeParse(input, { error: (issue) => describe(issue) })
  if (result.success) return { value: result.data }
  return { issues: result.error.issues.flatMap((issue) => flatten(schema, issue, [])) }
}

/** Unknown keys of one map that are each named. */
const MAX_UNKNOWN = 50

function flatten(schema: z.ZodType, issue: z.core.$ZodIssue, above: Path): Issue[] {
  const path = [...above, ...(issue.path as Path)]
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, path)
    const listed = issue.keys.slice(0, MAX_UNKNOWN).map((key): Issue => {
      const hint = didYouMean(key, known) || (known.length > 0 ? `; known here: ${known.join(', ')}` : '')
      return { path: [...path, key], message: `unknown key "${key}"${hint}`, at: 'key' }
    })
    const more = issue.keys[MAX_UNKNOWN]
    if (more === undefined) return listed
    const message = `unknown key "${more}", and ${issue.keys.length - MAX_UNKNOWN - 1} more behind it`
    return [...listed, { path: [...path, more], message, at: 'key' }]
  }
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one whose own parts are wrong, not the one that is of another kind.
    const meant = issue.errors.find((errors) => errors.length > 0 && !errors.some((error) => isOtherKind(error)))
    if (meant !== undefined) return meant.flatMap((error) => flatten(schema, error, path))
  }
  return [{ path, message: issue.message, at: 'value' }]
}

function isOtherKind(issue: z.core.$ZodIssue): boolean {
  if (issue.path.length > 0) return false
  return issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union'
}

/** The message of an issue for which the field has none of its own. */
export function describe(issue: z.core.$ZodRawIssue): string | undefined {
  const input: unknown = issue.input
  if (input === undefined) return 'is required and missing'
  if (input === null) return 'is empty; give it a value or leave the key out'
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${KINDS[issue.expected] ?? issue.expected}, not ${show(input)}`
    case 'invalid_value': {
      const values = issue.values.map(String)
      const list = values.length === 1 ? values[0] : `one of ${values.join(', ')}`
      return `must be ${list}, not ${show(input)}${typeof input === 'string' ? didYouMean(input, values) : ''}`
    }
    case 'too_small':
      return `must be at least ${issue.minimum}, not ${show(input)}`
    case 'too_big':
      return `must be at most ${issue.maximum}, not ${show(input)}`
    default:
      return undefined
  }
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map of keys and values',
  record: 'a map of keys and values',
  array: 'a list',
}
