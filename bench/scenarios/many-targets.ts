import { setTimeout as sleep } from 'node:timers/promises'
import { httpLoad, httpLoadLabel } from '../load/http.js'
import { cpuSpent, readCpu } from '../measure.js'
import { SMALL_PATH } from '../origin/content.js'
import { SUBJECT } from '../proxies/all.js'
import type { ProxyResult } from '../report/result.js'
import { measureCpu } from '../rounds.js'
import { median } from '../statistics.js'
import type { Scenario } from './scenario.js'

const TARGETS = 1_000
const ONE_TARGET = 'one target'
/** The first checks, all at once, are over after this. */
const SETTLE_MS = 3_000
const request = { path: SMALL_PATH, bodyBytes: 0, closeEach: false }

/** What a request costs more when its group has a thousand targets, each with connections of its own. */
const requests: Scenario = {
  name: 'targets-1000',
  title: '1,000 targets, × one target',
  unit: 'request',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'ratio', most: 1.03, against: ONE_TARGET },
  lanes: [
    { name: SUBJECT, changes: { targets: TARGETS, group: { healthCheck: { protocol: 'off' } } } },
    { name: ONE_TARGET, changes: { group: { healthCheck: { protocol: 'off' } } } },
  ],
  load: (settings) => httpLoadLabel(settings, request),
  run: (bench) => measureCpu(bench, httpLoad(bench.settings, request), ONE_TARGET),
}

/** What checking a thousand targets once a second costs while nobody asks for anything. */
const checks: Scenario = {
  name: 'checks-1000',
  title: '1,000 targets checked each second',
  unit: 'second',
  needs: ['http'],
  mode: 'http',
  origin: 'http',
  limit: { kind: 'core-share', most: 0.15 },
  lanes: [
    {
      name: SUBJECT,
      changes: {
        targets: TARGETS,
        group: { healthCheck: { protocol: 'http', path: SMALL_PATH, interval: '1s', timeout: '1s' } },
      },
    },
  ],
  load: () => 'none',
  async run({ proxies, settings, progress }) {
    await sleep(SETTLE_MS)
    const results: ProxyResult[] = []
    for (const { name, pid } of proxies) {
      const rounds: number[] = []
      for (let round = 1; round <= settings.rounds; round++) {
        const beganMs = performance.now()
        const before = readCpu(pid)
        await sleep(settings.seconds * 1000)
        const { totalUs } = cpuSpent(before, readCpu(pid))
        rounds.push(totalUs / 1000 / (performance.now() - beganMs))
        progress(`${round}/${settings.rounds} ${name} ${(rounds.at(-1)! * 100).toFixed(1)} % of a core`)
      }
      results.push({ proxy: name, figures: { kind: 'idle-cpu', share: median(rounds), rounds } })
    }
    return results
  },
}

export const manyTargetsScenarios: readonly Scenario[] = [requests, checks]
