import { REFERENCE, SUBJECT } from './proxies/all.js'
import type { Judgement, ProxyFigures, ProxyResult } from './report/result.js'
import { kib, mib, percent } from './report/words.js'
import type { Limit } from './scenarios/scenario.js'

/** Holds a scenario's outcome against its limit. What could not be measured is not judged, which is no pass. */
export function judge(limit: Limit, results: readonly ProxyResult[]): Judgement {
  const figures = results.find((result) => result.proxy === SUBJECT)?.figures
  if (figures === undefined) return { verdict: 'not judged', text: `${SUBJECT} was not measured` }
  if (figures.kind === 'failed') return { verdict: 'fail', text: figures.message }
  switch (limit.kind) {
    case 'ratio':
      return judgeRatio(limit.most, limit.against ?? REFERENCE, figures)
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

function judgeRatio(most: number, against: string, figures: ProxyFigures): Judgement {
  if (figures.kind !== 'cpu') return mismatch()
  if (figures.ratio === undefined) return { verdict: 'not judged', text: `${against} was not measured` }
  const text = `${figures.ratio.toFixed(2)}× of ${against}, at most ${most}×`
  return { verdict: figures.ratio <= most ? 'pass' : 'fail', text }
}

function mismatch(): Judgement {
  return { verdict: 'not judged', text: 'the scenario measured something else' }
}
