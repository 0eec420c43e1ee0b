import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AdminListen } from '../core/config.js'
import { Exposition } from '../observe/prometheus.js'
import { sendBody, sendError, sendJson, sendText } from './answer.js'
import { deleteTarget, patchTarget, postTarget, sendUnknownGroup } from './change-targets.js'
import { buildClusterStatus } from './cluster-status.js'
import { postReload, sendConfig, sendDiff } from './configuration.js'
import { type ConnectionBounds, sourceOf } from './connection-bounds.js'
import type { DashboardFile } from './dashboard-files.js'
import { EVENT_STREAM, type EventStreams, MAX_STREAMS, MAX_STREAMS_PER_SOURCE } from './events.js'
import { sendExplanation } from './explain.js'
import type { AdminFacts } from './facts.js'
import { listSessions } from './sessions.js'
import type { Status } from './status-shape.js'
import { upgrade } from './upgrade.js'

/** What is the same at each address. */
export interface ProcessContext {
  readonly facts: AdminFacts
  readonly dashboard: ReadonlyMap<string, DashboardFile>
  readonly events: EventStreams
  /** Another process serves at the same addresses. */
  isHandedOver(): boolean
  status(): Status
  metrics(): Promise<string>
}

/** What handlers work with. */
export interface AdminContext extends ProcessContext {
  /** Of the address at which the request came in. */
  readonly bounds: ConnectionBounds
  readonly listen: AdminListen
}

export interface Route {
  readonly methods: readonly string[]
  /** Answered without a token and whatever the Host header says. */
  readonly open: boolean
  handle(context: AdminContext, request: IncomingMessage, response: ServerResponse): void | Promise<void>
}

const READ = ['GET', 'HEAD'] as const

const EXACT: ReadonlyMap<string, Route> = new Map<string, Route>([
  [
    '/healthz',
    { methods: READ, open: true, handle: (_, request, response) => sendText(request, response, 200, 'ok\n') },
  ],
  ['/readyz', { methods: READ, open: true, handle: ready }],
  ['/metrics', { methods: READ, open: false, handle: metrics }],
  [
    '/api/v1/status',
    { methods: READ, open: false, handle: (c, request, response) => sendJson(request, response, 200, c.status()) },
  ],
  ['/api/v1/listeners', { methods: READ, open: false, handle: listeners }],
  ['/api/v1/target-groups', { methods: READ, open: false, handle: targetGroups }],
  ['/api/v1/drain-host', { methods: ['POST'], open: false, handle: drainHost }],
  [
    '/api/v1/upgrade',
    { methods: ['POST'], open: false, handle: (c, request, response) => upgrade(c.facts, c.listen, request, response) },
  ],
  ['/api/v1/cluster', { methods: READ, open: false, handle: cluster }],
  [
    '/api/v1/sessions',
    { methods: READ, open: false, handle: (c, request, response) => listSessions(c.facts, request, response) },
  ],
  [
    '/api/v1/explain',
    { methods: READ, open: false, handle: (c, request, response) => sendExplanation(c.facts, request, response) },
  ],
  ['/api/v1/config', { methods: READ, open: false, handle: sendConfig }],
  ['/api/v1/config/diff', { methods: READ, open: false, handle: sendDiff }],
  ['/api/v1/reload', { methods: ['POST'], open: false, handle: postReload }],
  ['/api/v1/events', { methods: READ, open: false, handle: events }],
])

const TARGET_PATH = /^\/api\/v1\/target-groups\/([^/]+)\/targets\/([^/]+)$/
const TARGETS_PATH = /^\/api\/v1\/target-groups\/([^/]+)\/targets$/
const GROUP_PATH = /^\/api\/v1\/target-groups\/([^/]+)$/

/** The route of a path, or undefined. The page's own files are open: they hold nothing except the program. */
export function findRoute(path: string, dashboard: ReadonlyMap<string, DashboardFile>): Route | undefined {
  const exact = EXACT.get(path)
  if (exact !== undefined) return exact
  const group = GROUP_PATH.exec(path)?.[1]
  if (group !== undefined) {
    return {
      methods: READ,
      open: false,
      handle: (context, request, response) => targetGroup(context, request, response, group),
    }
  }
  const targets = TARGETS_PATH.exec(path)?.[1]
  if (targets !== undefined) {
    return {
      methods: ['POST'],
      open: false,
      handle: ({ facts }, request, response) => postTarget({ facts, request, response, group: decode(targets) }),
    }
  }
  const target = TARGET_PATH.exec(path)
  if (target !== null) {
    return {
      methods: ['PATCH', 'DELETE'],
      open: false,
      handle: ({ facts }, request, response) => {
        const asked = { facts, request, response, group: decode(target[1]!) }
        return request.method === 'PATCH'
          ? patchTarget(asked, decode(target[2]!))
          : deleteTarget(asked, decode(target[2]!))
      },
    }
  }
  const file = dashboard.get(path)
  if (file !== undefined) {
    return {
      methods: READ,
      open: true,
      handle: (_, request, response) => sendBody(request, response, 200, file.contentType, file.body),
    }
  }
  if (path === '/') return { methods: READ, open: true, handle: notBuilt }
  return undefined
}

/** Who asks a process that another has taken over from asks about the host, which serves. */
function ready(context: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  const state = context.isHandedOver() ? 'running' : context.facts.state
  sendText(request, response, state === 'running' ? 200 : 503, `${state}\n`)
}

async function metrics(context: AdminContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  sendBody(request, response, 200, Exposition.contentType, await context.metrics())
}

function listeners(context: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  sendJson(request, response, 200, { listeners: context.status().listeners })
}

/** The answer comes before the end: whoever asked watches `/readyz` go. */
function drainHost({ facts }: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  facts.log.info('the operator drains this host')
  const vips = facts.drainHost()
  sendJson(request, response, 202, { node: facts.config.node, state: 'draining', vips })
}

function cluster({ facts }: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  if (facts.cluster !== undefined) sendJson(request, response, 200, buildClusterStatus(facts.cluster, facts.clock))
  else sendError(request, response, 404, 'NO_CLUSTER', 'this host is alone: its configuration has no cluster')
}

function targetGroups(context: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  sendJson(request, response, 200, { targetGroups: context.status().targetGroups })
}

function targetGroup(context: AdminContext, request: IncomingMessage, response: ServerResponse, encoded: string): void {
  const name = decode(encoded)
  const group = context.status().targetGroups.find((candidate) => candidate.name === name)
  if (group !== undefined) sendJson(request, response, 200, group)
  else sendUnknownGroup(context.facts, request, response, name)
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded
  }
}

function events(context: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'HEAD') {
    response.writeHead(200, EVENT_STREAM).end()
    return
  }
  const refused = context.events.add(response, sourceOf(request.socket))
  if (refused === undefined) {
    context.bounds.release(request.socket)
    return
  }
  response.setHeader('Retry-After', '5')
  const message =
    refused === 'source'
      ? `${MAX_STREAMS_PER_SOURCE} event streams are open already from this address`
      : `${MAX_STREAMS} event streams are open already`
  sendError(request, response, 503, 'TOO_MANY_STREAMS', message)
}

function notBuilt(_: AdminContext, request: IncomingMessage, response: ServerResponse): void {
  sendText(request, response, 404, 'The dashboard is not built; run "npm run build". The API is under /api/v1/.\n')
}
