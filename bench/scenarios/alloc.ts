import { failureText } from '../failure.js'
import { httpLoad, httpLoadLabel } from '../load/http.js'
import { residentBytes } from '../measure.js'
import { SMALL_PATH } from '../origin/content.js'
import { SUBJECT } from '../proxies/all.js'
import type { ProxyFigures, ProxyResult } from '../report/result.js'
import type { Bench, RunningProxy, Scenario } from './scenario.js'

const request = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

/** Of the requests, the share after which everything that is made once has been made. */
const WARM_UP_SHARE = 0.2
/** Memory is read after each. */
const SLICE_SECONDS = 2
const GIVE_UP_AFTER_MS = 240_000
/** Heaps breathe: of this many readings the least counts, before and after. */
const READINGS = 3
/** Ten bytes per request over the measured 800,000: less than any object that stays behind takes. */
const MOST_GROWTH_BYTES = 8 * 1024 * 1024

/** Memory does not grow over a million requests. */
export const allocScenario: Scenario = {
  name: 'alloc',
  title: 'Memory growth under load',
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'growth', mostBytes: MOST_GROWTH_BYTES },
  only: [SUBJECT],
  load: (settings) => httpLoadLabel(settings, request),
  async run(bench) {
    const results: ProxyResult[] = []
    for (const proxy of bench.proxies) {
      const figures = await watch(bench, proxy).catch(
        (error: unknown): ProxyFigures => ({
          kind: 'failed',
          message: failureText(error),
        }),
      )
      results.push({ proxy: proxy.name, figures })
    }
    return results
  },
}

async function watch(bench: Bench, proxy: RunningProxy): Promise<ProxyFigures> {
  const total = bench.settings.allocRequests
  const load = httpLoad(bench.settings, request)
  const deadline = performance.now() + GIVE_UP_AFTER_MS
  const early: number[] = []
  const late: number[] = []
  let requests = 0
  let requestsAtEarly = 0
  while (requests < total || late.length < READINGS) {
    if (performance.now() > deadline) throw new Error(`only ${requests} requests in ${GIVE_UP_AFTER_MS / 1000} s`)
    const result = await load(proxy.port, SLICE_SECONDS)
    if (result.requests === 0) throw new Error('no request was answered')
    requests += result.requests
    const bytes = residentBytes(proxy.pid)
    if (requests >= total * WARM_UP_SHARE && early.length < READINGS) {
      early.push(bytes)
      requestsAtEarly = requests
    } else if (requests >= total) {
      late.push(bytes)
    }
    bench.progress(`${proxy.name} ${requests} requests, ${(bytes / 2 ** 20).toFixed(1)} MiB`)
  }
  return {
    kind: 'growth',
    beforeBytes: Math.min(...early),
    afterBytes: Math.min(...late),
    count: requests - requestsAtEarly,
  }
}
