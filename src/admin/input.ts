import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { formatPath } from '../config/problems.js'
import { didYouMean } from '../config/suggest.js'
import { check } from '../config/validate.js'
import type { AdminErrorCode } from './admin-errors.js'
import type { InputProblem } from './answer.js'
import type { BodyRule, Route } from './route.js'
import type { Found } from './router.js'

export interface Refusal {
  readonly code: AdminErrorCode
  readonly message: string
  readonly problems?: readonly InputProblem[]
}

export type Input<T> = { readonly value: T } | { readonly refusal: Refusal }

const MAX_BODY_BYTES = 4 * 1024
/** So much of a body that is too long is read and thrown away, so that the client gets to read the answer. */
const MAX_DISCARDED_BYTES = 1024 * 1024

/** A name that is not encoded as it should be stands for itself: there is nothing of that name. */
export function readParams({ params }: Route, found: Found['params']): Input<unknown> {
  const decoded = Object.fromEntries(Object.entries(found).map(([name, text]) => [name, decode(text)]))
  return params === undefined ? { value: undefined } : checked(params, decoded, 'path', 'BAD_PARAMETER')
}

/** A parameter that is not known, or is there twice, is a problem: nothing is ignored. Lists may come again and again. */
export function readQuery({ query }: Route, search: string): Input<unknown> {
  if (query === undefined) return { value: undefined }
  const known = Object.keys(query.shape)
  const values: Record<string, string | string[]> = {}
  for (const [name, value] of new URLSearchParams(search)) {
    const field = query.shape[name]
    if (!known.includes(name) || field === undefined) {
      const all = known.length === 0 ? '; there are none here' : `; known here: ${known.join(', ')}`
      return refusal('query', `unknown parameter ${JSON.stringify(name)}${didYouMean(name, known) || all}`)
    }
    const before = values[name]
    if (isList(field)) values[name] = [...(before ?? []), value]
    else if (before !== undefined) return refusal(`query.${name}`, `${name}: is there twice`)
    else values[name] = value
  }
  return checked(query, values, 'query', 'BAD_PARAMETER')
}

/** Reads the body to its end; undefined where the client leaves before. */
export async function readBody(
  rule: BodyRule<unknown> | undefined,
  request: IncomingMessage,
): Promise<Input<unknown> | undefined> {
  if (rule === undefined) return { value: undefined }
  const text = await readText(request)
  if (text === 'left') return undefined
  if (text === 'too long') {
    const message = `the body is too long: at most ${MAX_BODY_BYTES} bytes are read`
    return { refusal: { code: 'TOO_LONG', message, problems: [{ where: 'body', message }] } }
  }
  const value = text.json === '' && rule.optional ? {} : parseJson(text.json)
  if (value === undefined) {
    const message = text.json === '' ? 'the body is missing; send JSON' : 'the body is no JSON'
    return { refusal: { code: rule.code, message, problems: [{ where: 'body', message }] } }
  }
  return checked(rule.schema, value, 'body', rule.code)
}

function checked(schema: z.ZodType, given: unknown, part: string, code: AdminErrorCode): Input<unknown> {
  const result = check(schema, given)
  if ('value' in result) return result
  const issues = result.issues.map(({ path, message }) => ({ path: formatPath(path), message }))
  return {
    refusal: {
      code,
      message: issues.map(({ path, message }) => [path, message].filter(Boolean).join(': ')).join('; '),
      problems: issues.map(({ path, message }) => ({ where: [part, path].filter(Boolean).join('.'), message })),
    },
  }
}

const refusal = (where: string, message: string): Input<never> => ({
  refusal: { code: 'BAD_PARAMETER', message, problems: [{ where, message }] },
})

function isList(field: z.core.$ZodType): boolean {
  const { def } = field as z.ZodType
  return def.type === 'array' || ('innerType' in def && isList(def.innerType as z.core.$ZodType))
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

/** Where it is too long the answer can go out at once, while the rest is thrown away. */
function readText(request: IncomingMessage): Promise<{ readonly json: string } | 'too long' | 'left'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= MAX_BODY_BYTES) chunks.push(chunk)
      else resolve('too long')
      if (length > MAX_DISCARDED_BYTES) request.socket.destroy()
    })
    request.once('end', () => resolve({ json: Buffer.concat(chunks).toString('utf8') }))
    request.once('error', () => resolve('left'))
    request.once('close', () => resolve('left'))
  })
}

/** JSON has no value that is undefined. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
