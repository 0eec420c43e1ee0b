import type { LatencyUs } from '../load/load.js'
import type { Machine } from '../machine.js'

/** One measured stretch of load on one proxy. */
export interface CpuRound {
  /** CPU microseconds per request: the proxy's user and system time by the requests served. */
  readonly cpuUs: number
  readonly userUs: number
  readonly systemUs: number
  readonly requests: number
  readonly requestsPerSecond: number
  readonly errors: number
  /** Share of the proxy's core that others used meanwhile, 0–1: what makes a round unreliable. */
  readonly foreign: number
  readonly latency?: LatencyUs
}

export interface CpuFigures {
  readonly rounds: readonly CpuRound[]
  /** Medians over the rounds. */
  readonly cpuUs: number
  readonly userUs: number
  readonly systemUs: number
  readonly requestsPerSecond: number
  /** Median of CPU by the reference's CPU in the same round; undefined where the reference was not measured. */
  readonly ratio?: number
  readonly ratioRange?: readonly [least: number, most: number]
  /** Of the workers, what the least busy one worked by what the busiest did, 0–1: the median over the rounds. */
  readonly evenness?: number
}

/** Resident memory before and after so many connections were opened, or so many requests served. */
export interface MemoryFigures {
  readonly beforeBytes: number
  readonly afterBytes: number
  readonly count: number
}

/** Medians of the multiples of the reference in the same rounds; undefined where it was not measured. */
export interface LatencyRatios {
  readonly p99Ratio?: number
  readonly p999Ratio?: number
}

export type ProxyFigures =
  | ({ readonly kind: 'cpu' } & CpuFigures)
  | ({ readonly kind: 'memory'; readonly bytesEach: number } & MemoryFigures)
  | ({ readonly kind: 'growth' } & MemoryFigures)
  | ({ readonly kind: 'latency'; readonly errors: number; readonly requestsPerSecond: number } & LatencyUs &
      LatencyRatios)
  /** `share` of one core, 0–1; the median over the rounds. */
  | { readonly kind: 'idle-cpu'; readonly share: number; readonly rounds: readonly number[] }
  | { readonly kind: 'failed'; readonly message: string }

export interface ProxyResult {
  readonly proxy: string
  readonly figures: ProxyFigures
}

export type Verdict = 'pass' | 'fail' | 'not judged'

export interface Judgement {
  readonly verdict: Verdict
  /** What was asked and what came out, in words. */
  readonly text: string
}

export interface ScenarioResult {
  readonly name: string
  readonly title: string
  /** One unit of what is counted: request, message, connection. */
  readonly unit: string
  readonly load: string
  readonly origin: string
  readonly limit?: number
  readonly proxies: readonly ProxyResult[]
  readonly judgement?: Judgement
}

export interface Report {
  readonly format: 1
  readonly id: string
  /** ISO 8601, when the run began. */
  readonly date: string
  readonly tookSeconds: number
  readonly machine: Machine
  readonly pinned: boolean
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  /** Versions by name: the proxies, Node, the load generators, the origin. */
  readonly versions: Readonly<Record<string, string>>
  /** Titles of the proxies by name. */
  readonly titles: Readonly<Record<string, string>>
  readonly scenarios: readonly ScenarioResult[]
}
