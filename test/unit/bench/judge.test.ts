import t from 'tap'
import { judge } from '../../../bench/judge.js'
import type { ProxyFigures } from '../../../bench/report/result.js'
import type { Limit } from '../../../bench/scenarios/scenario.js'

function cpu(ratio?: number): ProxyFigures {
  const figures = { rounds: [], cpuUs: 20, userUs: 10, systemUs: 10, requestsPerSecond: 1000 }
  return { kind: 'cpu', ...figures, ...(ratio === undefined ? {} : { ratio }) }
}

const ratio: Limit = { kind: 'ratio', most: 1.2 }
const bytes: Limit = { kind: 'bytes-each', most: 12_288 }
const growth: Limit = { kind: 'growth', mostBytes: 1000 }
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
  ['figures of another kind are not judged', growth, cpu(1), 'not judged'],
]

for (const [name, limit, figures, verdict] of cases) {
  t.test(name, (t) => {
    const results = figures === undefined ? [] : [{ proxy: 'castor', figures }]
    t.equal(judge(limit, results).verdict, verdict)
    t.end()
  })
}
