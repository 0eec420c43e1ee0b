import type { HandshakesOptions } from '../load/handshakes.js'
import { httpLoad, httpLoadLabel } from '../load/http.js'
import type { HttpRequest, LoadResult } from '../load/load.js'
import { loadCore } from '../machine.js'
import { readThreads, type ThreadTimes } from '../measure.js'
import { orderOnce } from '../order.js'
import { SMALL_PATH } from '../origin/content.js'
import { SUBJECT } from '../proxies/all.js'
import type { ProxyResult } from '../report/result.js'
import { type Load, measureCpu } from '../rounds.js'
import type { Settings } from '../settings.js'
import { median } from '../statistics.js'
import type { Lane, Scenario } from './scenario.js'

/** Workers of each lane. The one that is judged comes last, under the subject's name. */
const COUNTS = [1, 2, 4] as const
export const MOST_WORKERS = COUNTS[COUNTS.length - 1]!
const ONE_WORKER = 'one worker'
const HANDSHAKES_AT_ONCE = 16
const GRACE_SECONDS = 15
const small: HttpRequest = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

function laneName(workers: number): string {
  if (workers === 1) return ONE_WORKER
  return workers === MOST_WORKERS ? SUBJECT : `${workers} workers`
}

const lanes: readonly Lane[] = COUNTS.map((workers) => ({
  name: laneName(workers),
  changes: { file: { workers } },
  unpinned: true,
}))

interface ScalingCase {
  readonly name: string
  readonly title: string
  readonly secure: boolean
  readonly label: (settings: Settings) => string
  readonly load: (settings: Settings) => Load
}

const handshake: Load = (port, seconds) => {
  const options: HandshakesOptions = { port, connections: HANDSHAKES_AT_ONCE, seconds, path: SMALL_PATH, resume: false }
  const withinMs = (seconds + GRACE_SECONDS) * 1000
  return orderOnce<HandshakesOptions, LoadResult>('load/handshakes', options, loadCore, withinMs)
}

const http = (name: string, title: string, request: HttpRequest): ScalingCase => ({
  name,
  title,
  secure: false,
  label: (settings) => httpLoadLabel({ ...settings, rate: undefined }, request),
  load: (settings) => httpLoad({ ...settings, rate: undefined }, request),
})

const cases: readonly ScalingCase[] = [
  http('scaling-keepalive', 'Keep-alive', small),
  http('scaling-newconn', 'New connections', { ...small, closeEach: true }),
  { name: 'scaling-handshake', title: 'TLS handshakes', secure: true, label: () => 'own', load: () => handshake },
]

/**
 * CPU per request with more workers, beside one: what they wait for each other shows as CPU that grows. How even they share
 * the work is the processor time of the least busy one by that of the busiest.
 */
export const scalingScenarios: readonly Scenario[] = cases.map(({ name, title, secure, label, load }) => ({
  name,
  title: `${title}, ${MOST_WORKERS} workers, × one`,
  unit: 'request',
  needs: secure ? ['http', 'tls'] : ['http'],
  mode: 'http',
  secure,
  origin: 'http',
  limit: { kind: 'ratio', most: 1.15, against: ONE_WORKER },
  lanes,
  load: label,
  async run(bench) {
    const shares = new Map<number, number[]>()
    const measured = load(bench.settings)
    const watched: Load = async (port, seconds, onBegun) => {
      const { pid, name } = bench.proxies.find((proxy) => proxy.port === port)!
      const workers = COUNTS.find((count) => laneName(count) === name)!
      const threads = readThreads(pid)
      const result = await measured(port, seconds, onBegun)
      const share = evenness(threads, readThreads(pid), pid, workers)
      shares.set(port, [...(shares.get(port) ?? []), share])
      return result
    }
    const results = await measureCpu(bench, watched, ONE_WORKER)
    return results.map(({ proxy, figures }): ProxyResult => {
      const port = bench.proxies.find(({ name }) => name === proxy)?.port
      // The first stretch was the warm-up.
      const rounds = port === undefined ? [] : (shares.get(port) ?? []).slice(1)
      if (figures.kind !== 'cpu' || proxy === ONE_WORKER) return { proxy, figures }
      return { proxy, figures: { ...figures, evenness: median(rounds) } }
    })
  },
}))

/** The primary is the process's first thread; of the others those that worked most are the workers. */
function evenness(before: ThreadTimes, after: ThreadTimes, primary: number, workers: number): number {
  const worked = [...after]
    .filter(([thread]) => thread !== primary)
    .map(([thread, ns]) => ns - (before.get(thread) ?? 0))
  const busiest = worked.sort((a, b) => b - a).slice(0, workers)
  return busiest[0] === undefined || busiest[0] === 0 ? 0 : busiest.at(-1)! / busiest[0]
}
