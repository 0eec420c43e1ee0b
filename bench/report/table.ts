import { REFERENCE_TITLE } from '../proxies/all.js'
import type { ProxyFigures, Report, ScenarioResult } from './result.js'
import { inShort, kindOf, machineInWords, participants, times, versionsInWords } from './words.js'

/** The run as text for a terminal. */
export function renderTable(report: Report): string {
  const names = participants(report)
  const lines = [machineInWords(report), versionsInWords(report), '']
  for (const kind of ['cpu', 'latency', 'idle-cpu', 'memory', 'growth'] as const) {
    const scenarios = report.scenarios.filter((scenario) => kindOf(scenario) === kind)
    if (scenarios.length > 0) lines.push(...section(report, kind, scenarios, names), '')
  }
  lines.push(...report.scenarios.flatMap(failures))
  lines.push(...report.scenarios.flatMap(verdict))
  const foreign = mostForeign(report)
  if (foreign > 0.05) {
    lines.push('', `Noisy: others used up to ${Math.round(foreign * 100)} % of the proxies' core in a round.`)
  }
  return `${lines.join('\n')}\n`
}

const HEADINGS = {
  cpu: `CPU microseconds of the proxy per request, median (× of ${REFERENCE_TITLE} in the same rounds)`,
  latency: 'Latency in ms at a fixed rate: p50 / p99 / p99.9',
  'idle-cpu': 'CPU while nobody asks for anything, of one core',
  memory: 'Resident memory each',
  growth: 'Resident memory gained in all',
} as const

function section(
  report: Report,
  kind: keyof typeof HEADINGS,
  scenarios: readonly ScenarioResult[],
  names: readonly string[],
): string[] {
  const present = names.filter((name) => scenarios.some(({ proxies }) => proxies.some(({ proxy }) => proxy === name)))
  const head = ['', ...present.map((name) => report.titles[name]!), 'load']
  const rows = scenarios.map((scenario) => [
    scenario.title,
    ...present.map((name) => inShort(figuresOf(scenario, name))),
    scenario.load,
  ])
  return [HEADINGS[kind], ...align([head, ...rows])]
}

export function figuresOf(scenario: ScenarioResult, name: string): ProxyFigures | undefined {
  return scenario.proxies.find(({ proxy }) => proxy === name)?.figures
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}

function failures(scenario: ScenarioResult): string[] {
  return scenario.proxies.flatMap(({ proxy, figures }) =>
    figures.kind === 'failed' ? [`${scenario.name}: ${proxy} failed: ${figures.message.split('\n')[0]}`] : [],
  )
}

function verdict(scenario: ScenarioResult): string[] {
  if (scenario.judgement === undefined) return []
  const { verdict: word, text } = scenario.judgement
  return [`${word.toUpperCase().padEnd(10)}  ${scenario.name.padEnd(18)}  ${text}${spread(scenario)}`]
}

function spread(scenario: ScenarioResult): string {
  const figures = figuresOf(scenario, 'castor')
  if (figures?.kind !== 'cpu' || figures.ratioRange === undefined) return ''
  return ` (rounds ${times(figures.ratioRange[0])}–${times(figures.ratioRange[1])})`
}

function mostForeign(report: Report): number {
  const rounds = report.scenarios.flatMap(({ proxies }) =>
    proxies.flatMap(({ figures }) => (figures.kind === 'cpu' ? figures.rounds : [])),
  )
  return Math.max(0, ...rounds.map(({ foreign }) => foreign))
}
