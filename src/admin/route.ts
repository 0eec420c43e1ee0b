import type { IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import type { AdminListen } from '../core/config.js'
import type { AdminErrorCode } from './admin-errors.js'
import type { ConnectionBounds } from './connection-bounds.js'
import type { DashboardFile } from './dashboard-files.js'
import type { EventStreams } from './events.js'
import type { AdminFacts } from './facts.js'
import type { Status } from './status-shape.js'

/** What is the same at each address. */
export interface ProcessContext {
  readonly facts: AdminFacts
  readonly dashboard: ReadonlyMap<string, DashboardFile>
  readonly events: EventStreams
  /** Another process serves at the same addresses. */
  isHandedOver(): boolean
  status(): Status
  metrics(): Promise<string>
  /** The description of all routes. */
  openApi(): object
}

/** What handlers work with. */
export interface AdminContext extends ProcessContext {
  /** Of the address at which the request came in. */
  readonly bounds: ConnectionBounds
  readonly listen: AdminListen
}

/** GET answers HEAD as well. */
export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** What the handler of a change tells the audit log: values that changed, as they were and as they are. */
export interface ChangeNote {
  before: Readonly<Record<string, unknown>> | null
  after: Readonly<Record<string, unknown>> | null
  /** Where the answer's status does not tell. */
  result?: 'done' | 'refused' | 'failed'
  reason?: string | null
  /** Nothing was to be changed. */
  isQuestion?: true
}

/** A request whose parts have been held to the route's schemas. */
export interface Call<Params, Query, Body> {
  readonly context: AdminContext
  readonly facts: AdminFacts
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly params: Params
  readonly query: Query
  readonly body: Body
  readonly note: ChangeNote
}

export interface BodyRule<Body> {
  readonly schema: z.ZodType<Body>
  /** Of what is none of these. */
  readonly code: AdminErrorCode
  /** It may be left out, and is an empty map then. */
  readonly optional?: true
}

/** What a route answers with a status; a text of some type where there is no schema. */
export interface Answer {
  readonly says: string
  readonly schema?: z.ZodType
  /** Of what is no JSON. */
  readonly type?: string
}

/** The description of a route: it is served, its input checked, and the OpenAPI document made from this alone. */
interface Description<Params, Query, Body> {
  readonly method: Method
  /** With parameters as OpenAPI writes them: `/a/{name}`. */
  readonly path: string
  /** Its name in the OpenAPI document, from which clients are generated. */
  readonly id: string
  readonly summary: string
  /** Answered without a token and whatever the Host header says. */
  readonly isOpen?: true
  /** Decoded texts of the path. */
  readonly params?: z.ZodType<Params>
  /** Texts behind `?`; where there is none, what stands there is ignored. */
  readonly query?: z.ZodType<Query> & z.ZodObject
  readonly body?: BodyRule<Body>
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Beside those that every route may have. */
  readonly errors?: readonly AdminErrorCode[]
  /** Their form, where they say more than all others. */
  readonly refusal?: z.ZodType
  handle(call: Call<Params, Query, Body>): void | Promise<void>
}

export type Route = Description<unknown, unknown, unknown>

/** The types of what the schemas let through are checked against the handler here, and not known any more from here on. */
export function route<Params = undefined, Query = undefined, Body = undefined>(
  description: Description<Params, Query, Body>,
): Route {
  return description as Route
}
