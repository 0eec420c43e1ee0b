import { decodeFromCompressedBase64, type Histogram } from 'hdr-histogram-js'
import { failureText } from '../failure.js'
import { fixedRate } from '../load/http.js'
import { latencyHistogram, summarise } from '../load/latency.js'
import type { LatencyUs } from '../load/load.js'
import { SMALL_PATH } from '../origin/content.js'
import { REFERENCE } from '../proxies/all.js'
import type { ProxyFigures, ProxyResult } from '../report/result.js'
import { median } from '../statistics.js'
import { DIRECT, type Scenario } from './scenario.js'

/** Well under what any of the proxies can do: at saturation one would measure the queue. */
const REQUESTS_PER_SECOND = 2000

/** Tails differ from round to round more than anything else that is measured. */
const LEAST_ROUNDS = 10

interface Gathered {
  readonly histogram: Histogram
  readonly rounds: LatencyUs[]
  errors: number
  requests: number
  seconds: number
  failure?: string
}

/** p50, p99 and p99.9 at a fixed rate of arrivals, all rounds added up; once more without any proxy. */
export const latencyScenario: Scenario = {
  name: 'latency',
  title: `Latency at ${REQUESTS_PER_SECOND} requests/s`,
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'latency', most: 1.05 },
  load: () => `own, ${REQUESTS_PER_SECOND} requests/s, Poisson`,
  async run(bench) {
    const { seconds, connections } = bench.settings
    const rounds = Math.max(bench.settings.rounds, LEAST_ROUNDS)
    const lanes = [...bench.proxies, { name: DIRECT, port: bench.originPort }]
    const gathered = new Map<string, Gathered>(
      lanes.map(({ name }) => [
        name,
        { histogram: latencyHistogram(), rounds: [], errors: 0, requests: 0, seconds: 0 },
      ]),
    )
    const request = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }
    // Round 0 warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const { name, port } of lanes) {
        const sum = gathered.get(name)!
        if (sum.failure !== undefined) continue
        try {
          const result = await fixedRate({ port, connections, seconds, request }, REQUESTS_PER_SECOND)
          if (result.histogram === '') throw new Error('no request was answered')
          if (round === 0) continue
          const histogram = decodeFromCompressedBase64(result.histogram)
          sum.histogram.add(histogram)
          sum.rounds.push(summarise(histogram))
          sum.errors += result.errors
          sum.requests += result.requests
          sum.seconds += result.seconds
          bench.progress(`${round}/${rounds} ${name} p99 ${result.latency?.p99} µs`)
        } catch (error) {
          sum.failure = failureText(error)
          bench.progress(`${name} failed: ${sum.failure}`)
        }
      }
    }
    return lanes.map(
      ({ name }): ProxyResult => ({ proxy: name, figures: figures(gathered.get(name)!, gathered.get(REFERENCE)) }),
    )
  },
}

function figures(sum: Gathered, reference: Gathered | undefined): ProxyFigures {
  if (sum.failure !== undefined) return { kind: 'failed', message: sum.failure }
  return {
    kind: 'latency',
    ...summarise(sum.histogram),
    ...ratios(sum, reference),
    errors: sum.errors,
    requestsPerSecond: sum.requests / sum.seconds,
  }
}

/** Medians over the rounds of what it took by what the reference took in the same round. */
function ratios(sum: Gathered, reference: Gathered | undefined): { p99Ratio?: number; p999Ratio?: number } {
  if (reference === undefined || reference === sum || reference.failure !== undefined) return {}
  const beside = (of: (round: LatencyUs) => number): number =>
    median(sum.rounds.map((round, index) => of(round) / of(reference.rounds[index]!)))
  return { p99Ratio: beside(({ p99 }) => p99), p999Ratio: beside(({ p999 }) => p999) }
}
