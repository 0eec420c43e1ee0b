import { setTimeout as sleep } from 'node:timers/promises'
import { failureText } from '../failure.js'
import type { IdleOptions, IdleResult } from '../load/idle.js'
import { loadCore } from '../machine.js'
import { establishedAt, residentBytes } from '../measure.js'
import { order, orderOnce } from '../order.js'
import { SMALL_PATH } from '../origin/content.js'
import type { ProxyFigures, ProxyResult } from '../report/result.js'
import type { Bench, RunningProxy, Scenario } from './scenario.js'

const WARM_UP_CONNECTIONS = 200
const OPEN_WITHIN_MS = 60_000
/** For what the proxy puts off until it has nothing else to do. */
const SETTLE_MS = 2000

interface IdleCase {
  readonly name: string
  readonly title: string
  readonly secure: boolean
  readonly mostBytes: number
}

const cases: readonly IdleCase[] = [
  { name: 'idle-10k', title: 'Idle keep-alive connections', secure: false, mostBytes: 1.5 * 1024 },
  { name: 'idle-tls-10k', title: 'Idle TLS connections', secure: true, mostBytes: 40 * 1024 },
]

/** Memory that each idle keep-alive connection costs, after one request on it. */
export const idleScenarios: readonly Scenario[] = cases.map(({ name, title, secure, mostBytes }) => ({
  name,
  title,
  unit: 'connection',
  needs: secure ? ['http', 'tls'] : ['http'],
  mode: 'http',
  secure,
  origin: 'http',
  limit: { kind: 'bytes-each', most: mostBytes },
  load: () => 'own',
  async run(bench) {
    const results: ProxyResult[] = []
    for (const proxy of bench.proxies) {
      const figures = await hold(bench, proxy, secure).catch(
        (error: unknown): ProxyFigures => ({
          kind: 'failed',
          message: failureText(error),
        }),
      )
      bench.progress(
        `${proxy.name} ${figures.kind === 'memory' ? `${(figures.bytesEach / 1024).toFixed(1)} KiB each` : 'failed'}`,
      )
      results.push({ proxy: proxy.name, figures })
    }
    return results
  },
}))

async function hold(bench: Bench, proxy: RunningProxy, secure: boolean): Promise<ProxyFigures> {
  const connections = bench.settings.idleConnections
  // Loaded code and pools are there before the first reading, yet no room that heavy load would have left in a heap.
  const few: IdleOptions = { port: proxy.port, connections: WARM_UP_CONNECTIONS, path: SMALL_PATH, secure }
  await orderOnce<IdleOptions, IdleResult>('load/idle', few, loadCore, OPEN_WITHIN_MS)
  await sleep(SETTLE_MS)
  const beforeBytes = residentBytes(proxy.pid)
  const options: IdleOptions = { port: proxy.port, connections, path: SMALL_PATH, secure }
  const holder = await order<IdleOptions, IdleResult>('load/idle', options, loadCore, OPEN_WITHIN_MS)
  try {
    if (holder.answer.errors > 0) throw new Error(`${holder.answer.errors} of ${connections} connections failed`)
    await sleep(SETTLE_MS)
    const afterBytes = residentBytes(proxy.pid)
    const count = establishedAt(proxy.port)
    if (count < connections) throw new Error(`only ${count} of ${connections} connections were still open`)
    return { kind: 'memory', beforeBytes, afterBytes, count, bytesEach: (afterBytes - beforeBytes) / count }
  } finally {
    await holder.process.stop()
  }
}
