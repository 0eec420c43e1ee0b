import { z } from 'zod'
import { isFields } from '../config/tree.js'
import { ADMIN_ERRORS, type AdminErrorCode } from './admin-errors.js'
import type { Answer, Route } from './route.js'

type Json = Record<string, unknown>

const JSON_TYPE = 'application/json'

export const errorAnswer = z
  .strictObject({
    error: z.strictObject({
      code: z.enum(Object.keys(ADMIN_ERRORS) as [AdminErrorCode, ...AdminErrorCode[]]),
      message: z.string(),
      problems: z
        .array(z.strictObject({ where: z.string().describe('As in body.weight or query.limit.'), message: z.string() }))
        .optional(),
    }),
  })
  .meta({ id: 'Error' })

const ABOUT = `State and changes of a running Castor. Every change wants Content-Type: application/json, also one without a body. HEAD is
answered where GET is, OPTIONS everywhere. Where the configuration has a token, everything except health and the dashboard's
page wants it; without one, only loopback addresses and Unix sockets are served.`

/** The description of the routes in the form of OpenAPI 3.1, from what they are served and checked by. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const schemas: Json = {}
  const convert = (schema: z.ZodType, io: 'input' | 'output'): Json => hoist(z.toJSONSchema(schema, { io }), schemas)
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, convert) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Castor admin API',
      version,
      description: ABOUT.replaceAll('\n', ' '),
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, {}],
    paths,
    components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}

type Convert = (schema: z.ZodType, io: 'input' | 'output') => Json

function operation(route: Route, convert: Convert): Json {
  const parameters = [...parametersOf('path', route.params, convert), ...parametersOf('query', route.query, convert)]
  const { body } = route
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.isOpen ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: body.optional !== true,
            content: { [JSON_TYPE]: { schema: convert(body.schema, 'input') } },
          },
        }),
    responses: responsesOf(route, convert),
  }
}

function parametersOf(place: 'path' | 'query', schema: z.ZodType | undefined, convert: Convert): Json[] {
  const fields = schema === undefined ? {} : convert(schema, 'input')
  const required = Array.isArray(fields.required) ? fields.required : []
  return Object.entries(isFields(fields.properties) ? fields.properties : {}).map(([name, property]) => {
    const { description, ...rest } = property as Json
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function responsesOf(route: Route, convert: Convert): Json {
  const responses: Json = {}
  for (const [status, answer] of Object.entries(route.answers)) responses[status] = responseOf(answer, convert)
  const byStatus = new Map<number, AdminErrorCode[]>()
  for (const code of errorsOf(route)) {
    const [status] = ADMIN_ERRORS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  for (const [status, codes] of byStatus) {
    const own = route.errors?.some((code) => codes.includes(code)) === true ? route.refusal : undefined
    const schema = own === undefined ? errorAnswer : z.union([errorAnswer, own])
    const says = codes.map((code) => `\`${code}\`: ${ADMIN_ERRORS[code][1]}`).join(' ')
    responses[status] = responseOf({ says, schema }, convert)
  }
  return responses
}

function responseOf({ says, schema, type }: Answer, convert: Convert): Json {
  const content =
    schema === undefined ? { [type ?? JSON_TYPE]: {} } : { [JSON_TYPE]: { schema: convert(schema, 'output') } }
  return { description: says, content }
}

/** Every code that the route may answer with. */
export function errorsOf({ method, isOpen, query, params, body, errors = [] }: Route): AdminErrorCode[] {
  const all: AdminErrorCode[] = [
    ...(query === undefined && params === undefined ? [] : (['BAD_PARAMETER'] as const)),
    ...(body === undefined ? [] : ([body.code, 'TOO_LONG'] as const)),
    ...(isOpen ? [] : (['UNAUTHORIZED', 'HOST_NOT_ALLOWED', 'CROSS_ORIGIN'] as const)),
    ...(method === 'GET' ? [] : (['NOT_JSON', 'READ_ONLY', 'HANDING_OVER'] as const)),
    ...errors,
    'INTERNAL',
  ]
  return [...new Set(all)]
}

/** Named schemas go to one place for all routes. */
function hoist(schema: Json, into: Json): Json {
  const { $schema: _dialect, $defs: defs, ...rest } = schema
  for (const [name, def] of Object.entries(isFields(defs) ? defs : {})) into[name] = referring(def)
  return referring(rest) as Json
}

function referring(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referring)
  if (!isFields(value)) return value
  const entries = Object.entries(value).map(([key, item]) =>
    key === '$ref' ? [key, String(item).replace('#/$defs/', '#/components/schemas/')] : [key, referring(item)],
  )
  return Object.fromEntries(entries)
}
