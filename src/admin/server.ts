import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminConfig } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { LoopDelay, type LoopDelaySample } from '../observe/loop-delay.js'
import { bearerCheck, hostCheck, isLoopback } from './access-check.js'
import { sendError, setSecurityHeaders } from './answer.js'
import { loadDashboard } from './dashboard-files.js'
import { EventStreams } from './events.js'
import type { AdminFacts } from './facts.js'
import { LatencyWindow } from './latency-window.js'
import { renderMetrics } from './metrics.js'
import { measureProcess } from './process-facts.js'
import { type AdminContext, findRoute } from './routes.js'
import { buildStatus } from './status.js'

export interface AdminOptions {
  readonly config: AdminConfig
  readonly facts: AdminFacts
  /** The built page; the one that came with the program if not given. */
  readonly dashboardFolder?: string
}

export interface Admin {
  readonly address: string
  readonly port: number
  /** Ends streams, lets requests in flight finish for a second, then cuts them. Idempotent. */
  close(): Promise<void>
}

const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 15_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16 * 1024,
} as const
const MAX_CONNECTIONS = 128
/** A connection on which nothing moves for so long is cut; event streams move every second. */
const SOCKET_IDLE_MS = 30_000
const CLOSE_GRACE_MS = 1_000
const LOOP_SAMPLE_MS = 1_000

/** Rejects with `CastorError` LISTEN_FAILED, or CONFIG_INVALID where anyone on the network could come in. */
export async function startAdmin({ config, facts, dashboardFolder }: AdminOptions): Promise<Admin> {
  const { address, port } = config.listen
  if (config.token === '' && !isLoopback(address)) {
    throw new CastorError('CONFIG_INVALID', `admin.listen ${address} is not a loopback address: set admin.token`)
  }
  const latency = new LatencyWindow(facts.columns, () => facts.targets)
  const loop = watchLoop()
  const context: AdminContext = {
    facts,
    dashboard: await loadDashboard(dashboardFolder),
    events: new EventStreams(
      () => JSON.stringify(buildStatus(facts, latency)),
      (error) => facts.log.error({ err: error, path: '/api/v1/events' }, 'admin request failed'),
    ),
    status: () => buildStatus(facts, latency),
    metrics: async () =>
      renderMetrics(facts, {
        node: facts.config.node,
        version: facts.version,
        startedAtMs: facts.startedAtMs,
        workers: facts.workers,
        cluster: facts.cluster,
        primaryLoopDelay: loop.latest,
        certificates: (listener) => facts.certificates(listener),
        ...(await measureProcess()),
      }),
  }
  const server = createServer(LIMITS, handler(context, config))
  server.maxConnections = MAX_CONNECTIONS
  server.setTimeout(SOCKET_IDLE_MS, (socket) => socket.destroy())
  const stopWatching = (): void => {
    latency.stop()
    loop.stop()
  }
  try {
    await listen(server, address, port)
  } catch (cause) {
    stopWatching()
    throw new CastorError('LISTEN_FAILED', `admin: cannot listen on ${address}:${port}: ${(cause as Error).message}`, {
      cause,
    })
  }
  server.on('error', (error) => facts.log.error({ err: error }, 'admin server'))
  const bound = server.address() as AddressInfo
  let closed: Promise<void> | undefined
  return {
    address: bound.address,
    port: bound.port,
    close: () => (closed ??= stop(server, context.events).finally(stopWatching)),
  }
}

function handler(
  context: AdminContext,
  config: AdminConfig,
): (request: IncomingMessage, response: ServerResponse) => void {
  const mayEnter = bearerCheck(config.token)
  const knowsHost = hostCheck(config)
  const { log } = context.facts
  return (request, response) => {
    setSecurityHeaders(response)
    const route = findRoute(pathOf(request), context.dashboard)
    if (!route?.open && !knowsHost(request.headers.host)) {
      sendError(
        request,
        response,
        403,
        'HOST_NOT_ALLOWED',
        'ask for localhost or the configured address, or set admin.token',
      )
    } else if (!route?.open && !mayEnter(request.headers.authorization)) {
      response.setHeader('WWW-Authenticate', 'Bearer realm="castor"')
      sendError(request, response, 401, 'UNAUTHORIZED', 'a bearer token is required: admin.token of the configuration')
    } else if (route === undefined) {
      sendError(request, response, 404, 'NOT_FOUND', 'there is nothing under this path')
    } else if (!route.methods.includes(request.method ?? '')) {
      response.setHeader('Allow', route.methods.join(', '))
      sendError(request, response, 405, 'METHOD_NOT_ALLOWED', `allowed here: ${route.methods.join(', ')}`)
    } else {
      run(async () => route.handle(context, request, response))
    }

    function run(work: () => Promise<void>): void {
      work().catch((error: unknown) => {
        log.error({ err: error, path: pathOf(request) }, 'admin request failed')
        if (response.headersSent) response.destroy()
        else sendError(request, response, 500, 'INTERNAL', 'the request failed; the log says why')
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

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function stop(server: Server, events: EventStreams): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
  // First: closing the server resets connections that are idle by then, ends that are on their way with them.
  await events.close()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  clearTimeout(cut)
}

/** Samples the primary's event loop once a second. */
function watchLoop(): { readonly latest: LoopDelaySample; stop(): void } {
  const delay = new LoopDelay()
  const latest: LoopDelaySample = { p50Ms: 0, p99Ms: 0, maxMs: 0 }
  const timer = setInterval(() => delay.sample(latest), LOOP_SAMPLE_MS)
  timer.unref()
  return {
    latest,
    stop() {
      clearInterval(timer)
      delay.stop()
    },
  }
}
