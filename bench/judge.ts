import { beforeFolder } from './paths.js'
import { REFERENCE, SUBJECT } from './proxies/all.js'
import type { Judgement, ProxyFigures, ProxyResult } from './report/result.js'
import { kib, mib, percent } from './report/words.js'
import type { Limit } from './scenarios/scenario.js'

/** What a change may cost beside the checkout before it; the limits proper are about another program. */
const MOST_BESIDE_BEFORE = 1.02

/** Holds a scenario's outcome against its limit. What could not be measured is not judged, which is no pass. */
export function judge(limit: Limit, results: readonly ProxyResult[]): Judgement {
  const figures = results.find((result) => result.proxy === SUBJECT)?.figures
  if (figures === undefined) return notMeasured(SUBJECT)
  if (figures.kind === 'failed') return { verdict: 'fail', text: figures.message }
  switch (limit.kind) {
    case 'ratio':
      return judgeRatio(mostOf(limit), limit.against ?? REFERENCE, figures)
    case 'latency': {
      if (figures.kind !== 'latency') return mismatch()
      const { p99Ratio, p999Ratio } = figures
      if (p99Ratio === undefined || p999Ratio === undefined) return notMeasured(REFERENCE)
      const text = `p99 ${p99Ratio.toFixed(2)}×, p99.9 ${p999Ratio.toFixed(2)}× of ${REFERENCE}, at most ${limit.most}×`
      return { verdict: Math.max(p99Ratio, p999Ratio) <= limit.most ? 'pass' : 'fail', text }
    }
    case 'core-share': {
      if (figures.kind !== 'idle-cpu') return mismatch()
      const text = `${percent(figures.share)} of a core, at most ${percent(limit.most)}`
      return { verdict: figures.share <= limit.most ? 'pass' : 'fail', text }
    }
    case 'bytes-each': {
      if (figures.kind !== 'memory') return mismatch()
      const text = `${kib(figures.bytesEach)} KiB each, at most ${kib(limit.most)} KiB`
      return { verdict: figures.bytesEach <= limit.most ? 'pass' : 'fail', text }
    }
    case 'growth': {
      if (figures.kind !== 'growth') return mismatch()
      const grown = figures.afterBytes - figures.beforeBytes
      const text = `memory ${mib(grown)} MiB over ${figures.count} requests, at most ${mib(limit.mostBytes)} MiB`
      return { verdict: grown <= limit.mostBytes ? 'pass' : 'fail', text }
    }
  }
}

/** The figure that the ratio is held against. */
export function mostOf(limit: Extract<Limit, { kind: 'ratio' }>): number {
  return limit.against === undefined && beforeFolder !== undefined ? MOST_BESIDE_BEFORE : limit.most
}

function judgeRatio(most: number, against: string, figures: ProxyFigures): Judgement {
  if (figures.kind !== 'cpu') return mismatch()
  if (figures.ratio === undefined) return notMeasured(against)
  const text = `${figures.ratio.toFixed(2)}× of ${against}, at most ${most}×`
  return { verdict: figures.ratio <= most ? 'pass' : 'fail', text }
}

function notMeasured(proxy: string): Judgement {
  return { verdict: 'not judged', text: `${proxy} was not measured` }
}

function mismatch(): Judgement {
  return { verdict: 'not judged', text: 'the scenario measured something else' }
}
