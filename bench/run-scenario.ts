import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { failureText } from './failure.js'
import { judge, mostOf } from './judge.js'
import { checkAgreed } from './load/agreed.js'
import { SMALL_PATH } from './origin/content.js'
import { type Origin, startOrigin } from './origin/origin.js'
import { freePorts } from './ports.js'
import { temporaryFolder } from './processes.js'
import { SUBJECT } from './proxies/all.js'
import { makeCertificate } from './proxies/certificate.js'
import type { Contender } from './proxies/proxy.js'
import { waitForHttp, waitForTcp } from './ready.js'
import type { ProxyResult, ScenarioResult } from './report/result.js'
import type { Lane, RunningProxy, Scenario } from './scenarios/scenario.js'
import type { Settings } from './settings.js'

const READY_WITHIN_MS = 15_000

interface Up extends RunningProxy {
  stop(): Promise<void>
}

/** Starts an origin and the proxies, measures, judges, and leaves nothing running. */
export async function runScenario(
  scenario: Scenario,
  present: readonly Contender[],
  settings: Settings,
  progress: (text: string) => void,
): Promise<ScenarioResult> {
  const origin = await startOrigin(scenario.origin, settings.origin)
  const up: Up[] = []
  const failed: ProxyResult[] = []
  try {
    for (const proxy of present.filter((each) => takesPart(scenario, each))) {
      for (const lane of scenario.lanes ?? [{ name: proxy.name, changes: {} }]) {
        try {
          up.push(await bringUp(proxy, lane, scenario, origin))
        } catch (error) {
          const message = failureText(error)
          progress(`${lane.name} did not start: ${message}`)
          failed.push({ proxy: lane.name, figures: { kind: 'failed', message } })
        }
      }
    }
    const measured = await scenario.run({ settings, proxies: up, originPort: origin.port, progress })
    const results = inOrder([...measured, ...failed], present)
    return {
      name: scenario.name,
      title: scenario.title,
      unit: scenario.unit,
      load: scenario.load(settings),
      origin: origin.label,
      ...(scenario.limit?.kind === 'ratio' ? { limit: mostOf(scenario.limit) } : {}),
      proxies: results,
      ...(scenario.limit === undefined ? {} : { judgement: judge(scenario.limit, results) }),
    }
  } finally {
    await Promise.all([...up.map((proxy) => proxy.stop()), origin.process.stop()])
  }
}

function takesPart(scenario: Scenario, proxy: Contender): boolean {
  if (scenario.lanes !== undefined && proxy.name !== SUBJECT) return false
  if (scenario.only !== undefined && !scenario.only.includes(proxy.name)) return false
  return scenario.needs.every((feature) => proxy.features.has(feature))
}

async function bringUp(proxy: Contender, lane: Lane, scenario: Scenario, origin: Origin): Promise<Up> {
  const folder = join(temporaryFolder(), lane.name)
  mkdirSync(folder)
  const [port] = await freePorts(1)
  const accessLog = scenario.needs.includes('access-log') ? join(folder, 'access.log') : undefined
  if (accessLog !== undefined) writeFileSync(accessLog, '')
  const started = await proxy.start({
    folder,
    mode: scenario.mode,
    port: port!,
    targetPort: origin.port,
    castor: lane.changes,
    unpinned: lane.unpinned === true,
    ...(scenario.secure ? { certificate: makeCertificate(folder) } : {}),
    ...(accessLog === undefined ? {} : { accessLog }),
  })
  try {
    if (scenario.mode === 'tcp' || scenario.secure) await waitForTcp(port!, started, READY_WITHIN_MS)
    else if (lane.changes.listener?.acceptProxyProtocol === undefined)
      await waitForHttp(port!, SMALL_PATH, started, READY_WITHIN_MS)
    if (scenario.secure) await checkAgreed(port!)
  } catch (error) {
    await started.stop()
    throw error
  }
  return {
    name: lane.name,
    port: port!,
    pid: started.pid,
    stop: () => started.stop(),
    ...(accessLog === undefined ? {} : { accessLog }),
  }
}

function inOrder(results: readonly ProxyResult[], present: readonly Contender[]): ProxyResult[] {
  const place = (result: ProxyResult): number => {
    const index = present.findIndex((proxy) => proxy.name === result.proxy)
    return index < 0 ? present.length : index
  }
  return [...results].sort((a, b) => place(a) - place(b))
}
