import { REFERENCE_TITLE } from '../proxies/all.js'
import type { ProxyFigures, Report, ScenarioResult } from './result.js'
import { caption, kib, kindOf, micros, millis, percent, times } from './words.js'

const WIDTH = 960
const MARGIN = 32
const GAP = 24
const COLUMNS = 2
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
const PANEL_PAD = 18
const NAME_WIDTH = 136
/** Right-hand columns: the figure, and its multiple of the reference's. */
const FIGURE_WIDTH = 70
const RATIO_WIDTH = 58
const ROW = 24
const BAR = 14
const PANEL_HEAD = 54
const HEAD = 104
const FOOT = 72

/** Colours for both backgrounds; the picture brings its own, so it reads anywhere. */
const STYLE = `
  svg { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif;
    --paper: #ffffff; --card: #f6f7f9; --edge: #e3e6ea; --ink: #1c2430; --soft: #5d6979;
    --castor: #d9622b; --reference: #3f5a7d; --other: #a9b4c2; --tail: 0.38; --bad: #b3261e }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0f141b; --card: #171e27; --edge: #273140; --ink: #e8edf3; --soft: #97a4b5;
      --castor: #f0834f; --reference: #7ea3d4; --other: #566375; --bad: #ff8a80 }
  }
  .paper { fill: var(--paper) } .card { fill: var(--card); stroke: var(--edge) }
  text { fill: var(--ink); font-variant-numeric: tabular-nums }
  .title { font-size: 22px; font-weight: 650 } .heading { font-size: 14px; font-weight: 620 }
  .soft { fill: var(--soft); font-size: 12px } .pale { fill: var(--soft) } .end { text-anchor: end } .strong { font-weight: 650 }
  .castor { fill: var(--castor) } .reference { fill: var(--reference) } .other { fill: var(--other) }
  .tail { opacity: var(--tail) } .bad { fill: var(--bad) }
  .limit { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 2.5 }
`

/** The run as a picture: a panel a scenario, a bar a proxy, shorter is better. */
export function renderSvg(report: Report): string {
  // Growth of memory is passed or not: a bar of it says nothing.
  const scenarios = report.scenarios.filter((scenario) => kindOf(scenario) !== undefined && scenario.name !== 'alloc')
  const parts: string[] = []
  let y = HEAD
  for (let first = 0; first < scenarios.length; first += COLUMNS) {
    const row = scenarios.slice(first, first + COLUMNS)
    const height = Math.max(...row.map(panelHeight))
    row.forEach((scenario, column) => {
      parts.push(panel(report, scenario, MARGIN + column * (PANEL_WIDTH + GAP), y, height))
    })
    y += height + GAP
  }
  const height = y - GAP + FOOT
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(`Castor benchmark: ${summary(report)}`)}">
<style>${STYLE}</style>
<rect class="paper" width="${WIDTH}" height="${height}" rx="12"/>
${text(MARGIN, 48, 'title', 'What a request costs the proxy')}
${text(MARGIN, 74, 'soft', summary(report))}
${text(WIDTH - MARGIN, 48, 'soft end', 'shorter is better')}
${parts.join('\n')}
${text(MARGIN, height - 40, 'soft', machine(report))}
${text(MARGIN, height - 22, 'soft', 'Dashed line: the most Castor may take. Latency: solid to p50, pale to p99.')}
</svg>
`
}

function summary(report: Report): string {
  return (
    `${report.date.slice(0, 10)} · one proxy thread · ${report.connections} connections · ` +
    `medians of ${report.rounds} rounds taken in turn · × = multiple of ${REFERENCE_TITLE} in the same rounds`
  )
}

function machine({ machine: { cpu, cores, kernel }, versions }: Report): string {
  const node = versions.node === undefined ? '' : ` · Node ${versions.node}`
  return `${cpu} · ${cores} ${cores === 1 ? 'core' : 'cores'} · ${kernel}${node}`
}

function panelHeight(scenario: ScenarioResult): number {
  return PANEL_HEAD + bars(scenario).length * ROW + PANEL_PAD - 14
}

interface Bar {
  readonly name: string
  readonly figures: ProxyFigures
  /** What the bar's length stands for; `tail` continues it in a paler shade. */
  readonly value: number
  readonly tail: number
  readonly label: string
  readonly ratio: string
}

function bars(scenario: ScenarioResult): Bar[] {
  return scenario.proxies.map(({ proxy, figures }) => ({ name: proxy, figures, ...extent(figures) }))
}

function extent(figures: ProxyFigures): Pick<Bar, 'value' | 'tail' | 'label' | 'ratio'> {
  switch (figures.kind) {
    case 'cpu': {
      const ratio = figures.ratio === undefined ? '' : times(figures.ratio)
      return { value: figures.cpuUs, tail: 0, label: micros(figures.cpuUs), ratio }
    }
    case 'latency': {
      const { p50, p99 } = figures
      return { value: p50, tail: p99 - p50, label: millis(p50), ratio: millis(p99) }
    }
    case 'memory':
      return { value: Math.max(0, figures.bytesEach), tail: 0, label: `${kib(figures.bytesEach)} KiB`, ratio: '' }
    case 'idle-cpu':
      return { value: figures.share, tail: 0, label: percent(figures.share), ratio: '' }
    case 'growth':
    case 'failed':
      return { value: 0, tail: 0, label: 'failed', ratio: '' }
  }
}

function panel(report: Report, scenario: ScenarioResult, x: number, y: number, height: number): string {
  const rows = bars(scenario)
  const limit = limitValue(scenario)
  const longest = Math.max(...rows.map(({ value, tail }) => value + tail), limit ?? 0, 1e-9)
  const withRatios = rows.some(({ ratio }) => ratio !== '')
  const left = x + PANEL_PAD + NAME_WIDTH
  const right = x + PANEL_WIDTH - PANEL_PAD
  const figureAt = withRatios ? right - RATIO_WIDTH : right
  const room = figureAt - FIGURE_WIDTH - left
  const parts = [
    `<rect class="card" x="${x}" y="${y}" width="${PANEL_WIDTH}" height="${height}" rx="10"/>`,
    text(x + PANEL_PAD, y + 28, 'heading', scenario.title),
    text(right, y + 28, 'soft end', unit(scenario)),
  ]
  rows.forEach((bar, index) => {
    const top = y + PANEL_HEAD - 8 + index * ROW
    const base = top + BAR - 2.5
    const width = Math.max(bar.value > 0 ? 2 : 0, (bar.value / longest) * room)
    const shade = bar.name === 'castor' ? 'castor' : bar.name === 'haproxy' ? 'reference' : 'other'
    const strong = bar.name === 'castor' ? ' strong' : ''
    const bad = bar.figures.kind === 'failed' ? ' bad' : ''
    parts.push(text(left - 10, base, `end${strong}`, report.titles[bar.name] ?? bar.name))
    if (bar.tail > 0) parts.push(rect(`${shade} tail`, left, top, width + (bar.tail / longest) * room))
    parts.push(rect(shade, left, top, width))
    parts.push(text(figureAt, base, `end${strong}${bad}`, bar.label))
    if (bar.ratio !== '') parts.push(text(right, base, `end${strong || ' pale'}`, bar.ratio))
    if (bar.name === 'castor' && limit !== undefined) parts.push(limitMark(left + (limit / longest) * room, top))
  })
  return parts.join('\n')
}

function unit(scenario: ScenarioResult): string {
  switch (kindOf(scenario)) {
    case 'latency':
      return 'p50 and p99, ms'
    case 'memory':
      return `memory per ${scenario.unit}`
    default:
      return scenario.limit === undefined ? caption(scenario) : `CPU µs, limit ${scenario.limit}×`
  }
}

/** Where the limit lies, in the reference's own median: only a ratio has such a place. */
function limitValue(scenario: ScenarioResult): number | undefined {
  const reference = scenario.proxies.find(({ proxy }) => proxy === 'haproxy')?.figures
  return scenario.limit === undefined || reference?.kind !== 'cpu' ? undefined : scenario.limit * reference.cpuUs
}

function limitMark(x: number, top: number): string {
  return `<line class="limit" x1="${round(x)}" y1="${top - 3}" x2="${round(x)}" y2="${top + BAR + 3}"/>`
}

function rect(shade: string, x: number, y: number, width: number): string {
  return `<rect class="${shade}" x="${x}" y="${y}" width="${round(width)}" height="${BAR}" rx="3"/>`
}

function text(x: number, y: number, style: string, content: string): string {
  return `<text x="${round(x)}" y="${y}"${style === '' ? '' : ` class="${style}"`}>${escapeXml(content)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
