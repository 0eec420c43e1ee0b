import { statSync, truncateSync } from 'node:fs'
import { failureText } from './failure.js'
import type { LoadResult } from './load/load.js'
import { pinned, proxyCore } from './machine.js'
import { cpuSpent, readCore, readCpu } from './measure.js'
import { REFERENCE } from './proxies/all.js'
import type { CpuFigures, CpuRound, ProxyResult } from './report/result.js'
import type { Bench, RunningProxy } from './scenarios/scenario.js'
import { median } from './statistics.js'

/** Loads one proxy for some whole seconds. Where it has to make ready first, `onBegun` is called when that is done. */
export type Load = (port: number, seconds: number, onBegun: () => void) => Promise<LoadResult>

/** A warm-up fills pools and lets compilers do their work; it is not measured. */
const WARM_UP_SECONDS = 2

/**
 * CPU per request of each proxy: all in turn, round after round, so that whatever else the machine does meets all of
 * them, and as a multiple of what the one called `against` takes. A proxy that fails drops out with its error; the others go on.
 */
export async function measureCpu(bench: Bench, load: Load, against: string = REFERENCE): Promise<ProxyResult[]> {
  const { rounds, seconds } = bench.settings
  const measured = new Map<string, CpuRound[]>(bench.proxies.map((proxy) => [proxy.name, []]))
  const failures = new Map<string, string>()

  async function attempt(proxy: RunningProxy, work: () => Promise<void>): Promise<void> {
    if (failures.has(proxy.name)) return
    try {
      await work()
    } catch (error) {
      failures.set(proxy.name, failureText(error))
      bench.progress(`${proxy.name} failed: ${failures.get(proxy.name)}`)
    }
  }

  for (const proxy of bench.proxies) {
    await attempt(proxy, async () => {
      const { requests } = await load(proxy.port, WARM_UP_SECONDS, () => {})
      if (requests === 0) throw new Error('no request was answered')
    })
  }
  for (let round = 1; round <= rounds; round++) {
    for (const proxy of bench.proxies) {
      await attempt(proxy, async () => {
        const figures = await measureOnce(proxy, load, seconds)
        measured.get(proxy.name)!.push(figures)
        bench.progress(`${round}/${rounds} ${proxy.name} ${figures.cpuUs.toFixed(1)} µs`)
      })
    }
  }
  const reference = failures.has(against) ? [] : (measured.get(against) ?? [])
  return bench.proxies.map(({ name }) => {
    const message = failures.get(name)
    return {
      proxy: name,
      figures:
        message === undefined
          ? { kind: 'cpu', ...summarise(measured.get(name)!, name === against ? [] : reference) }
          : { kind: 'failed', message },
    }
  })
}

async function measureOnce(proxy: RunningProxy, load: Load, seconds: number): Promise<CpuRound> {
  let coreBefore = readCore(proxyCore)
  let before = readCpu(proxy.pid)
  const result = await load(proxy.port, seconds, () => {
    coreBefore = readCore(proxyCore)
    before = readCpu(proxy.pid)
  })
  const spent = cpuSpent(before, readCpu(proxy.pid))
  const coreAfter = readCore(proxyCore)
  if (proxy.accessLog !== undefined) {
    // Emptied after each round: a minute of it fills a disk.
    if (statSync(proxy.accessLog).size === 0) throw new Error('it wrote no access log')
    truncateSync(proxy.accessLog)
  }
  const { requests, errors, latency } = result
  if (requests === 0) throw new Error('no request was answered')
  if (errors > requests / 100) throw new Error(`${errors} errors beside ${requests} answers`)
  return {
    cpuUs: spent.totalUs / requests,
    userUs: spent.userUs / requests,
    systemUs: spent.systemUs / requests,
    requests,
    requestsPerSecond: requests / result.seconds,
    errors,
    foreign: foreignShare(coreBefore, coreAfter, spent.totalUs),
    ...(latency === undefined ? {} : { latency }),
  }
}

/** Ticks of 10 ms are coarse beside the scheduler's nanoseconds: good for a warning, no more. */
function foreignShare(before: ReturnType<typeof readCore>, after: ReturnType<typeof readCore>, ownUs: number): number {
  if (!pinned) return 0
  const busyUs = (after.busy - before.busy) * 10_000
  const totalUs = busyUs + (after.idle - before.idle) * 10_000
  return totalUs === 0 ? 0 : Math.max(0, Math.min(1, (busyUs - ownUs) / totalUs))
}

function summarise(rounds: readonly CpuRound[], reference: readonly CpuRound[]): CpuFigures {
  const ratios = rounds.flatMap((round, index) => {
    const beside = reference[index]
    return beside === undefined ? [] : [round.cpuUs / beside.cpuUs]
  })
  return {
    rounds,
    cpuUs: median(rounds.map((round) => round.cpuUs)),
    userUs: median(rounds.map((round) => round.userUs)),
    systemUs: median(rounds.map((round) => round.systemUs)),
    requestsPerSecond: median(rounds.map((round) => round.requestsPerSecond)),
    ...(ratios.length === 0
      ? {}
      : { ratio: median(ratios), ratioRange: [Math.min(...ratios), Math.max(...ratios)] as const }),
  }
}
