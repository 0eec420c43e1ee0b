import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AdminConfig, AdminListen } from '../core/config.js'
import { bearerCheck, hostCheck, isCrossOrigin, isJson, isNavigation } from './access-check.js'
import { sendError, setSecurityHeaders } from './answer.js'
import { type AdminContext, findRoute } from './routes.js'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Answers what comes in at one address: who may ask, then what. */
export function requestHandler(context: AdminContext, config: AdminConfig, listen: AdminListen): Handler {
  let current = config
  let mayEnter = bearerCheck(config.token)
  let knowsHost = hostCheck(config, listen)
  const { log, reloading } = context.facts
  return (request, response) => {
    const { admin } = reloading.inForce
    // A reload has brought another token, or other hosts.
    if (admin !== current) {
      current = admin
      mayEnter = bearerCheck(admin.token)
      knowsHost = hostCheck(admin, listen)
    }
    // Cut, and what came in the same read is still parsed.
    if (request.socket.destroyed) return
    setSecurityHeaders(response, config.pageConnects)
    const { headers } = request
    const method = request.method ?? ''
    const changes = method !== 'GET' && method !== 'HEAD'
    const refuse = (status: number, code: string, message: string): void =>
      sendError(request, response, status, code, message)
    const path = pathOf(request)
    const route = findRoute(path, context.dashboard)
    if (!route?.open && !knowsHost(headers.host)) {
      refuse(
        403,
        'HOST_NOT_ALLOWED',
        'ask for localhost or an IP address, name the host in admin.hosts, or set admin.token',
      )
    } else if (!route?.open && isCrossOrigin(headers) && !isNavigation(request)) {
      refuse(403, 'CROSS_ORIGIN', 'a web page of another origin asks; only the dashboard’s own pages may')
    } else if (!route?.open && !mayEnter(headers.authorization)) {
      response.setHeader('WWW-Authenticate', 'Bearer realm="castor"')
      refuse(401, 'UNAUTHORIZED', 'a bearer token is required: admin.token of the configuration')
    } else if (route === undefined) {
      refuse(404, 'NOT_FOUND', 'there is nothing under this path')
    } else if (!route.methods.includes(method)) {
      response.setHeader('Allow', route.methods.join(', '))
      refuse(405, 'METHOD_NOT_ALLOWED', `allowed here: ${route.methods.join(', ')}`)
    } else if (changes && !isJson(headers['content-type'])) {
      refuse(415, 'NOT_JSON', 'send Content-Type: application/json with every change, also with one that has no body')
    } else if (changes && context.facts.upgrades.isHandingOver) {
      response.setHeader('Retry-After', '1')
      refuse(503, 'UPGRADE_UNDER_WAY', 'a new process takes over just now; ask again in a second')
    } else {
      run(async () => route.handle(context, request, response))
    }

    function run(work: () => Promise<void>): void {
      work().catch((error: unknown) => {
        log.error({ err: error, path }, 'admin request failed')
        if (response.headersSent) response.destroy()
        else refuse(500, 'INTERNAL', 'the request failed; the log says why')
      })
    }
  }
}

/** Without query and never resolved further: a path is a key, not a file's name. */
function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/'
  const end = target.search(/[?#]/)
  return end < 0 ? target : target.slice(0, end)
}
