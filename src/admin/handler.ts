import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AdminConfig, AdminListen } from '../core/config.js'
import { bearerCheck, type Caller, hostCheck, isCrossOrigin, isJson, isNavigation } from './access-check.js'
import { sendBody, sendError, setSecurityHeaders } from './answer.js'
import { Auditor } from './auditor.js'
import { type Refusal, readBody, readParams, readQuery } from './input.js'
import type { AdminContext, ChangeNote, Method } from './route.js'
import { type AdminRouter, allowed, type Found } from './router.js'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Answers what comes in at one address: who may ask, then what. */
export function requestHandler(
  context: AdminContext,
  router: AdminRouter,
  config: AdminConfig,
  listen: AdminListen,
): Handler {
  let current = config
  let callerOf = bearerCheck(config)
  let knowsHost = hostCheck(config, listen)
  const { facts } = context
  const { log, reloading } = facts
  const auditor = new Auditor(facts, listen)
  return (request, response) => {
    const { admin } = reloading.inForce
    // A reload has brought another token, or other hosts.
    if (admin !== current) {
      current = admin
      callerOf = bearerCheck(admin)
      knowsHost = hostCheck(admin, listen)
    }
    // Cut, and what came in the same read is still parsed.
    if (request.socket.destroyed) return
    setSecurityHeaders(response, config.pageConnects)
    const [path, search] = splitTarget(request)
    const found = router.find(path)
    const file = found === undefined ? context.dashboard.get(path) : undefined
    if (file !== undefined) {
      // The page's own files hold nothing except the program.
      if (isRead(request)) sendBody(request, response, 200, file.contentType, file.body)
      else refuseMethod(request, response, 'GET, HEAD')
      return
    }
    const caller = isOpen(found) ? ANYONE : enter(request)
    if ('code' in caller) {
      auditor.refuse(request, found, path, caller)
      if (caller.code === 'UNAUTHORIZED') response.setHeader('WWW-Authenticate', 'Bearer realm="castor"')
      sendError(request, response, caller.code, caller.message)
    } else if (found === undefined) {
      const meant = router.nearest(path)
      const instead = meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`
      sendError(
        request,
        response,
        'NOT_FOUND',
        `there is nothing under this path${instead}; GET /openapi.json tells all`,
      )
    } else {
      answer(found, caller, search, request, response).catch((error: unknown) => {
        log.error({ err: error, path }, 'admin request failed')
        if (response.headersSent) response.destroy()
        else sendError(request, response, 'INTERNAL', 'the request failed; the log says why')
      })
    }
  }

  /** Who asks, or why they may ask nothing here at all. */
  function enter(request: IncomingMessage): Caller | Refusal {
    const { headers } = request
    if (!knowsHost(headers.host)) {
      const message = 'ask for localhost or an IP address, name the host in admin.hosts, or set admin.token'
      return { code: 'HOST_NOT_ALLOWED', message }
    }
    if (isCrossOrigin(headers) && !isNavigation(request)) {
      return { code: 'CROSS_ORIGIN', message: 'a web page of another origin asks; only the dashboard’s own pages may' }
    }
    const message = 'a bearer token is required: admin.token or one of admin.tokens of the configuration'
    return callerOf(headers.authorization) ?? { code: 'UNAUTHORIZED', message }
  }

  async function answer(
    found: Found,
    caller: Caller,
    search: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { method = '', headers } = request
    if (method === 'OPTIONS') {
      response.setHeader('Allow', allowed(found.resource))
      response.writeHead(204).end()
      return
    }
    const route = found.resource.get((method === 'HEAD' ? 'GET' : method) as Method)
    if (route === undefined) return refuseMethod(request, response, allowed(found.resource))
    const isChange = route.method !== 'GET'
    if (isChange) auditor.begin(response)
    const refuse = (refusal: Refusal): void => {
      if (isChange) auditor.refuse(request, found, route.path, refusal, caller, response)
      sendError(request, response, refusal.code, refusal.message, refusal.problems)
    }
    if (isChange) {
      if (!isJson(headers['content-type'])) {
        const message = 'send Content-Type: application/json with every change, also with one that has no body'
        return refuse({ code: 'NOT_JSON', message })
      }
      if (caller.role === 'read') {
        return refuse({
          code: 'READ_ONLY',
          message: `the token of ${caller.token} may read only; take one with role: write`,
        })
      }
      if (facts.upgrades.isHandingOver) {
        response.setHeader('Retry-After', '1')
        return refuse({ code: 'HANDING_OVER', message: 'a new process takes over just now; ask again in a second' })
      }
    }
    const params = readParams(route, found.params)
    if ('refusal' in params) return refuse(params.refusal)
    const query = readQuery(route, search)
    if ('refusal' in query) return refuse(query.refusal)
    const body = await readBody(route.body, request)
    if (body === undefined) return
    if ('refusal' in body) return refuse(body.refusal)
    const parts = { params: params.value, query: query.value, body: body.value }
    const note: ChangeNote = { before: null, after: null }
    const call = { context, facts, request, response, note, ...parts }
    if (!isChange) {
      await route.handle(call)
      return
    }
    try {
      await route.handle(call)
    } catch (error) {
      auditor.record(route, call, caller, { result: 'failed', reason: 'INTERNAL: the log says why', status: 500 })
      throw error
    }
    auditor.record(route, call, caller)
  }
}

/** Where nobody is asked who they are nothing can be changed. */
const ANYONE: Caller = { token: undefined, role: 'read' }

const isOpen = (found: Found | undefined): boolean => found?.resource.get('GET')?.isOpen === true
const isRead = ({ method }: IncomingMessage): boolean => method === 'GET' || method === 'HEAD'

function refuseMethod(request: IncomingMessage, response: ServerResponse, allow: string): void {
  response.setHeader('Allow', allow)
  sendError(request, response, 'METHOD_NOT_ALLOWED', `allowed here: ${allow}`)
}

/** Path and query, the path as it stands there: it is a key, not a file's name. */
function splitTarget(request: IncomingMessage): [path: string, search: string] {
  const [target = '/'] = (request.url ?? '/').split('#', 1)
  const end = target.indexOf('?')
  return end < 0 ? [target, ''] : [target.slice(0, end), target.slice(end + 1)]
}
