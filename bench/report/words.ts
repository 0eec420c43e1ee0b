import type { ProxyFigures, Report, ScenarioResult } from './result.js'

/** Microseconds as people read them: 15.9, 133, 1,240. */
export function micros(us: number): string {
  if (us < 100) return us.toFixed(1)
  return Math.round(us).toLocaleString('en-US')
}

export function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`
}

/** A proxy's outcome in one scenario, in few characters; the scenario's caption says what it is. */
export function inShort(figures: ProxyFigures | undefined): string {
  if (figures === undefined) return '–'
  switch (figures.kind) {
    case 'failed':
      return 'failed'
    case 'cpu':
      return `${micros(figures.cpuUs)}${figures.ratio === undefined ? '' : ` (${times(figures.ratio)})`}${evenness(figures.evenness)}`
    case 'latency':
      return `${millis(figures.p50)} / ${millis(figures.p99)} / ${millis(figures.p999)}`
    case 'memory':
      return `${kib(figures.bytesEach)} KiB`
    case 'idle-cpu':
      return percent(figures.share)
    case 'growth':
      return `${mib(figures.afterBytes - figures.beforeBytes)} MiB`
  }
}

function evenness(share: number | undefined): string {
  return share === undefined ? '' : ` even ${share.toFixed(2)}`
}

/** A share in per cent: 3.4 %. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

export function kib(bytes: number): string {
  return (bytes / 1024).toFixed(1)
}

/** With its sign: memory that was given back counts as well. */
export function mib(bytes: number): string {
  const value = bytes / 2 ** 20
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`
}

export function millis(us: number): string {
  return (us / 1000).toFixed(2)
}

/** What the numbers of a scenario are. */
export function caption(scenario: ScenarioResult): string {
  switch (kindOf(scenario)) {
    case 'cpu':
      return `CPU µs per ${scenario.unit}`
    case 'latency':
      return 'p50 / p99 / p99.9, ms'
    case 'memory':
      return `resident memory per ${scenario.unit}`
    case 'idle-cpu':
      return 'CPU without requests, of one core'
    case 'growth':
      return 'resident memory gained'
    default:
      return ''
  }
}

export function kindOf(scenario: ScenarioResult): ProxyFigures['kind'] | undefined {
  return scenario.proxies.find(({ figures }) => figures.kind !== 'failed')?.figures.kind
}

/** Proxies that took part in anything, in their order. */
export function participants(report: Report): string[] {
  return Object.keys(report.titles).filter((name) =>
    report.scenarios.some((scenario) => scenario.proxies.some(({ proxy }) => proxy === name)),
  )
}

export function machineInWords({ machine, pinned }: Report): string {
  const kind = machine.virtual ? 'virtual, ' : ''
  const cores = machine.cores === 1 ? '1 core' : `${machine.cores} cores`
  const place = pinned ? 'proxy on one core, load and origin on another' : 'nothing pinned'
  return `${machine.cpu} (${kind}${cores}, ${machine.memoryGiB} GiB, ${machine.kernel}), ${place}`
}

export function versionsInWords({ versions }: Report): string {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
}
