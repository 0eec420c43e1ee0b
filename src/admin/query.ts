import type { IncomingMessage, ServerResponse } from 'node:http'
import { didYouMean } from '../config/suggest.js'
import { sendError } from './answer.js'

export type Query =
  | { readonly ok: true; readonly values: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly problem: string }

/** The parameters behind the path's `?`. One that is not among `known`, or is there twice, is a problem: nothing is ignored. */
export function queryOf(request: IncomingMessage, known: readonly string[]): Query {
  const target = request.url ?? ''
  const start = target.indexOf('?')
  const values = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(start < 0 ? '' : target.slice(start + 1))) {
    if (!known.includes(name)) {
      const all = known.length === 0 ? '; there are none here' : `; known here: ${known.join(', ')}`
      const instead = didYouMean(name, known) || all
      return { ok: false, problem: `unknown parameter ${JSON.stringify(name)}${instead}` }
    }
    if (values.has(name)) return { ok: false, problem: `${name}: is there twice` }
    values.set(name, value)
  }
  return { ok: true, values }
}

/** Whether it asks for something behind a `?`, which nothing is taken from here: that has been said then. */
export function hasParameters(request: IncomingMessage, response: ServerResponse): boolean {
  const query = queryOf(request, [])
  if (query.ok) return false
  sendError(request, response, 400, 'BAD_PARAMETER', query.problem)
  return true
}
