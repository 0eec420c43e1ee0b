import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { formatAddress } from '../config/addresses.js'
import { isFields } from '../config/tree.js'
import type { AdminListen } from '../core/config.js'
import type { Caller } from './access-check.js'
import { ADMIN_ERRORS } from './admin-errors.js'
import { refusalOf } from './answer.js'
import type { Actor, Audited } from './audit.js'
import type { AdminFacts } from './facts.js'
import type { Refusal } from './input.js'
import type { Call, Method, Route } from './route.js'
import type { Found } from './router.js'

const ID_HEADER = 'X-Request-Id'

export function newAuditId(): string {
  return randomBytes(8).toString('hex')
}

/** Tells the audit log of what is asked for at one address. */
export class Auditor {
  readonly #facts: AdminFacts
  readonly #listen: AdminListen

  constructor(facts: AdminFacts, listen: AdminListen) {
    this.#facts = facts
    this.#listen = listen
  }

  /** Whoever asks for a change gets the name that it has in the audit log. */
  begin(response: ServerResponse): void {
    response.setHeader(ID_HEADER, newAuditId())
  }

  /** What was turned away before its handler had it; without a caller it was for who asked. */
  refuse(
    request: IncomingMessage,
    found: Found | undefined,
    route: string,
    { code, message }: Refusal,
    caller?: Caller,
    response?: ServerResponse,
  ): void {
    const method = request.method ?? ''
    const [known] = found?.resource.values() ?? []
    const id = response?.getHeader(ID_HEADER)
    this.#facts.audit.refuse({
      ...(typeof id === 'string' ? { id } : {}),
      by: caller === undefined ? { kind: 'unknown', name: null } : actorOf(caller),
      from: this.#from(request.socket),
      action: found?.resource.get((method === 'HEAD' ? 'GET' : method) as Method)?.id ?? 'unknown',
      request: { method, route: known?.path ?? route, params: {}, persist: false },
      before: null,
      after: null,
      result: 'refused',
      status: ADMIN_ERRORS[code][0],
      reason: `${code}: ${message}`,
    })
  }

  /** What a handler has carried out, or tried to. */
  record(
    route: Route,
    { request, response, params, query, body, note }: Call<unknown, unknown, unknown>,
    caller: Caller,
    more: Partial<Audited> = {},
  ): void {
    if (note.isQuestion) return
    const { statusCode: status } = response
    const byStatus = status < 400 ? 'done' : status < 500 ? 'refused' : 'failed'
    this.#facts.audit.record({
      id: String(response.getHeader(ID_HEADER)),
      by: actorOf(caller),
      from: this.#from(request.socket),
      action: route.id,
      request: {
        method: route.method,
        route: route.path,
        params: isFields(params) ? params : {},
        persist: asksToPersist(query) || asksToPersist(body),
      },
      before: note.before,
      after: note.after,
      result: note.result ?? byStatus,
      status,
      reason: note.reason ?? refusalOf(response),
      ...more,
    })
  }

  #from(socket: Socket): string {
    if (!('path' in this.#listen)) return formatAddress(socket.remoteAddress ?? '?', socket.remotePort ?? 0)
    // Node shows it on its own handle only.
    const fd = (socket as Socket & { readonly _handle?: { readonly fd: number } | null })._handle?.fd ?? -1
    const user = fd < 0 ? -1 : this.#facts.peerUser(fd)
    return user < 0 ? `unix:${this.#listen.path}` : `unix:${this.#listen.path} uid ${user}`
  }
}

function actorOf({ token }: Caller): Actor {
  return token === undefined ? { kind: 'anybody', name: null } : { kind: 'token', name: token }
}

function asksToPersist(part: unknown): boolean {
  return isFields(part) && (part.persist === true || part.persist === 'true')
}
