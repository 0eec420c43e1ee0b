import { loadCore } from '../machine.js'
import { orderOnce } from '../order.js'
import type { Settings } from '../settings.js'
import type { HttpLoadOptions, HttpRequest, LoadResult } from './load.js'
import type { OpenLoopOptions, OpenLoopResult } from './open-loop.js'
import { wrk } from './wrk.js'

/** Seconds a generator gets beyond its own time for starting and for the last answers. */
const GRACE_SECONDS = 15

/** Of arrivals at a fixed rate: any number will do, the same one for all. */
const SEED = 20_021

/** HTTP load of one kind of request, with the generator that was chosen. */
export function httpLoad(settings: Settings, request: HttpRequest) {
  return (port: number, seconds: number): Promise<LoadResult> => {
    const options: HttpLoadOptions = { port, connections: settings.connections, seconds, request }
    const withinMs = (seconds + GRACE_SECONDS) * 1000
    if (atFixedRate(settings, request)) return fixedRate(options, settings.rate!)
    if (settings.load === 'wrk') return wrk(options)
    // autocannon counts a connection closed under it as an error, which here each one is.
    const program = request.closeEach ? 'load/connect-each' : 'load/autocannon'
    return orderOnce<HttpLoadOptions, LoadResult>(program, options, loadCore, withinMs)
  }
}

export function httpLoadLabel(settings: Settings, request: HttpRequest): string {
  if (atFixedRate(settings, request)) return `own, ${settings.rate} requests/s`
  if (settings.load === 'wrk') return 'wrk'
  return request.closeEach ? 'own' : 'autocannon'
}

/** Requests at a fixed rate on keep-alive connections, whatever the answers do. */
export function fixedRate(options: HttpLoadOptions, rate: number): Promise<OpenLoopResult> {
  const order: OpenLoopOptions = { ...options, rate, seed: SEED }
  return orderOnce('load/open-loop', order, loadCore, (options.seconds + GRACE_SECONDS) * 1000)
}

/** The generator of fixed rates knows keep-alive requests without bodies and further fields. */
function atFixedRate(settings: Settings, request: HttpRequest): boolean {
  return settings.rate !== undefined && request.bodyBytes === 0 && !request.closeEach && request.headers === undefined
}
