import t from 'tap'
import { judge } from '../../../bench/judge.js'
import type { ProxyFigures } from '../../../bench/report/result.js'
import type { Limit } from '../../../bench/scenarios/scenario.js'

function cpu(ratio?: number): ProxyFigures {
  const figures = { rounds: [], cpuUs: 20, userUs: 10, systemUs: 10, requestsPerSecond: 1000 }
  return { kind: 'cpu', ...figures, ...(ratio === undefined ? {} : { ratio }) }
}

const ratio: Limit = { kind: 'ratio', most: 1.2 }
const without: Limit = { kind: 'ratio', most: 1.08, against: 'without' }
const share: Limit = { kind: 'core-share', most: 0.15 }
const bytes: Limit = { kind: 'bytes-each', most: 12_288 }
const growth: Limit = { kind: 'growth', mostBytes: 1000 }
const latency: Limit = { kind: 'latency', most: 1.05 }
const tail = { kind: 'latency', p50: 1, p99: 2, p999: 3, max: 4, samples: 9, errors: 0, requestsPerSecond: 1 } as const
const memory = { beforeBytes: 5000, count: 10 }

const cases: readonly [string, Limit, ProxyFigures | undefined, string][] = [
  ['a ratio at the limit passes', ratio, cpu(1.2), 'pass'],
  ['a ratio above the limit fails', ratio, cpu(1.21), 'fail'],
  ['without the reference nothing is judged', ratio, cpu(), 'not judged'],
  ['without Castor nothing is judged', ratio, undefined, 'not judged'],
  ['Castor failing is a fail', ratio, { kind: 'failed', message: 'it ended' }, 'fail'],
  [
    'connections within their bytes pass',
    bytes,
    { kind: 'memory', ...memory, afterBytes: 6000, bytesEach: 100 },
    'pass',
  ],
  ['connections beyond them fail', bytes, { kind: 'memory', ...memory, afterBytes: 9e9, bytesEach: 12_289 }, 'fail'],
  ['memory that shrank passes', growth, { kind: 'growth', ...memory, afterBytes: 4000 }, 'pass'],
  ['memory that grew too much fails', growth, { kind: 'growth', ...memory, afterBytes: 6001 }, 'fail'],
  ['a share of a core at the limit passes', share, { kind: 'idle-cpu', share: 0.15, rounds: [] }, 'pass'],
  ['a share beyond it fails', share, { kind: 'idle-cpu', share: 0.151, rounds: [] }, 'fail'],
  ['tails at the limit pass', latency, { ...tail, p99Ratio: 1.05, p999Ratio: 0.9 }, 'pass'],
  ['a 99th percentile beyond it fails', latency, { ...tail, p99Ratio: 1.06, p999Ratio: 0.9 }, 'fail'],
  ['so does the 99.9th', latency, { ...tail, p99Ratio: 0.9, p999Ratio: 1.06 }, 'fail'],
  ['tails beside nothing are not judged', latency, tail, 'not judged'],
  ['a share is no multiple', share, cpu(0.1), 'not judged'],
  ['figures of another kind are not judged', growth, cpu(1), 'not judged'],
]

for (const [name, limit, figures, verdict] of cases) {
  t.test(name, (t) => {
    const results = figures === undefined ? [] : [{ proxy: 'castor', figures }]
    t.equal(judge(limit, results).verdict, verdict)
    t.end()
  })
}

t.test('a verdict names what was measured against', async (t) => {
  const verdict = (limit: Limit, figures: ProxyFigures): string => judge(limit, [{ proxy: 'castor', figures }]).text
  t.match(verdict(without, cpu(1.05)), '1.05× of without, at most 1.08×')
  t.match(verdict(ratio, cpu(1.05)), '1.05× of haproxy, at most 1.2×')
  t.match(verdict(without, cpu()), 'without was not measured')
})
