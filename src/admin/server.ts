import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { formatAdminListen } from '../config/addresses.js'
import type { AdminConfig, AdminListen, ListenAddress } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { LoopDelay, type LoopDelaySample } from '../observe/loop-delay.js'
import { isLoopback, wantsToken } from './access-check.js'
import { ConnectionBounds } from './connection-bounds.js'
import { loadDashboard } from './dashboard-files.js'
import { EventStreams } from './events.js'
import type { AdminFacts } from './facts.js'
import { requestHandler } from './handler.js'
import { LatencyWindow } from './latency-window.js'
import { renderMetrics } from './metrics.js'
import { openApiDocument } from './openapi.js'
import { measureProcess } from './process-facts.js'
import type { ProcessContext } from './route.js'
import { AdminRouter } from './router.js'
import { ROUTES } from './routes.js'
import { buildStatus, withoutRules } from './status.js'
import { adoptUnix, descriptorOfServer, listenUnix } from './unix-socket.js'

export interface AdminOptions {
  readonly config: AdminConfig
  readonly facts: AdminFacts
  /** A descriptor that listens at this address already. */
  readonly descriptorOf?: (listen: AdminListen) => number | undefined
  /** The built page; the one that came with the program if not given. */
  readonly dashboardFolder?: string
  readonly timeouts?: AdminTimeouts
}

/** How long a client may take, in milliseconds. */
export interface AdminTimeouts {
  /** Until its request's head is there, from when it connected or began with it. */
  readonly headMs: number
  /** Until its request is there. */
  readonly requestMs: number
  readonly keepAliveMs: number
  /** A connection on which nothing moves for so long is cut; event streams move every second. */
  readonly idleMs: number
}

export const ADMIN_TIMEOUTS: AdminTimeouts = { headMs: 5_000, requestMs: 10_000, keepAliveMs: 15_000, idleMs: 30_000 }

export interface Admin {
  /** In the order of the configuration, with the real ports. */
  readonly listening: readonly AdminListen[]
  /** Of the first TCP address; empty and 0 where there are only Unix sockets. */
  readonly address: string
  readonly port: number
  /** The sockets, as another process could take them over. */
  readonly offers: readonly AdminOffer[]
  /** Another process serves at the same addresses: the files of Unix sockets stay when this one closes. */
  handOver(): void
  /** Ends streams, lets requests in flight finish for a second, then cuts them. Idempotent. */
  close(): Promise<void>
}

export interface AdminOffer {
  /** As it is configured. */
  readonly listen: AdminListen
  /** With the real port. */
  readonly bound: AdminListen
  readonly fd: number
}

/** A server at one of the addresses. */
interface Opened {
  readonly server: Server
  readonly at: AdminListen
  readonly bound: AdminListen
  /** Takes the file of a Unix socket away. */
  remove(): void
}

const LIMITS = {
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16 * 1024,
} as const
/** At each address. */
const BOUNDS = { max: 128, maxPerSource: 64, maxInFlight: 4 } as const
const CLOSE_GRACE_MS = 1_000
const LOOP_SAMPLE_MS = 1_000

/** Rejects with `CastorError` LISTEN_FAILED, or CONFIG_INVALID where anyone on the network could come in. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { config, facts, dashboardFolder, timeouts = ADMIN_TIMEOUTS, descriptorOf = () => undefined } = options
  for (const listen of config.listen) {
    if (wantsToken(config) || 'path' in listen || isLoopback(listen.address)) continue
    throw new CastorError(
      'CONFIG_INVALID',
      `admin.listen ${listen.address} is not a loopback address: set admin.token or admin.tokens`,
      {
        configPath: ['admin', 'listen'],
      },
    )
  }
  const latency = new LatencyWindow(facts.columns, () => facts.targets)
  const loop = watchLoop()
  const render = async (): Promise<string> =>
    renderMetrics(facts, {
      node: facts.config.node,
      version: facts.version,
      startedAtMs: facts.startedAtMs,
      workers: facts.workers,
      cluster: facts.cluster,
      configuration: facts.reloading.state,
      primaryLoopDelay: loop.latest,
      certificates: (listener) => facts.certificates(listener),
      ...(await measureProcess()),
    })
  let rendering: Promise<string> | undefined
  let isHandedOver = false
  let described: object | undefined
  const context: ProcessContext = {
    facts,
    isHandedOver: () => isHandedOver,
    dashboard: await loadDashboard(dashboardFolder),
    events: new EventStreams(
      () => JSON.stringify(withoutRules(buildStatus(facts, latency))),
      (error) => facts.log.error({ err: error, path: '/api/v1/events' }, 'admin request failed'),
    ),
    status: () => buildStatus(facts, latency),
    openApi: () => (described ??= openApiDocument(ROUTES, facts.version)),
    // Whoever asks while a page is being made gets that one.
    metrics: () =>
      (rendering ??= render().finally(() => {
        rendering = undefined
      })),
  }
  const router = new AdminRouter(ROUTES)
  const opened: Opened[] = []
  const close = async (): Promise<void> => {
    await stop(opened, context.events, isHandedOver)
    latency.stop()
    loop.stop()
  }
  try {
    for (const [index, listen] of config.listen.entries()) {
      opened.push(await open(context, router, config, index, timeouts, descriptorOf(listen)))
    }
  } catch (cause) {
    await close()
    throw cause
  }
  const listening = opened.map(({ bound }) => bound)
  const first = listening.find((bound): bound is ListenAddress => !('path' in bound))
  let closed: Promise<void> | undefined
  return {
    listening,
    address: first?.address ?? '',
    port: first?.port ?? 0,
    get offers() {
      return opened.map(({ server, at, bound }) => ({ listen: at, bound, fd: descriptorOfServer(server) }))
    },
    handOver() {
      isHandedOver = true
    },
    close: () => (closed ??= close()),
  }
}

async function open(
  context: ProcessContext,
  router: AdminRouter,
  config: AdminConfig,
  index: number,
  timeouts: AdminTimeouts,
  fd: number | undefined,
): Promise<Opened> {
  const at = config.listen[index]!
  const server = createServer({
    ...LIMITS,
    headersTimeout: timeouts.headMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
  })
  const bounds = new ConnectionBounds(BOUNDS)
  bounds.watch(server)
  server.on('request', requestHandler({ ...context, bounds, listen: at }, router, config, at))
  server.setTimeout(timeouts.idleMs, (socket) => socket.destroy())
  let bound = at
  let remove = (): void => {}
  try {
    if ('path' in at) {
      remove = fd === undefined ? await listenUnix(server, at.path) : await adoptUnix(server, at.path, fd)
    } else {
      await listen(server, at, fd)
      const { address, port } = server.address() as AddressInfo
      bound = { address, port }
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = 'path' in at ? message : (code ?? message)
    throw new CastorError('LISTEN_FAILED', `admin: cannot listen on ${formatAdminListen(at)}: ${why}`, {
      cause,
      configPath: ['admin', 'listen', ...(config.listen.length > 1 ? [index] : [])],
    })
  }
  server.on('error', (error) => context.facts.log.error({ err: error }, 'admin server'))
  return { server, at, bound, remove }
}

function listen(server: Server, { address, port }: ListenAddress, fd: number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(fd === undefined ? { host: address, port, exclusive: true } : { fd }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function stop(opened: readonly Opened[], events: EventStreams, keepFiles: boolean): Promise<void> {
  const cut = setTimeout(() => {
    for (const { server } of opened) server.closeAllConnections()
  }, CLOSE_GRACE_MS)
  // First: closing the server resets connections that are idle by then, ends that are on their way with them.
  await events.close()
  await Promise.all(
    opened.map(({ server, remove }) => {
      if (!keepFiles) remove()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    }),
  )
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
