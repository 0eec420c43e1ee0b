import { DIRECT } from '../scenarios/scenario.js'
import type { Report, ScenarioResult } from './result.js'
import { figuresOf } from './table.js'
import { caption, inShort, machineInWords, participants, versionsInWords } from './words.js'

const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'

/** The run as markdown: one row a scenario, one column a proxy. */
export function renderMarkdown(report: Report): string {
  const names = participants(report).filter((name) => name !== DIRECT)
  const head = ['', 'what', ...names.map((name) => report.titles[name]!), 'limit']
  const rows = report.scenarios.map((scenario) => [
    scenario.title,
    caption(scenario),
    ...names.map((name) => cell(scenario, name)),
    limit(scenario),
  ])
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(head),
    line(head.map((_, column) => (column < 2 ? '---' : '---:'))),
    ...rows.map(line),
    '',
    `${report.date.slice(0, 10)}, medians of ${report.rounds} rounds of ${report.seconds} s with ` +
      `${report.connections} connections, in brackets the multiple of HAProxy in the same rounds. ` +
      `${machineInWords(report)}. ${versionsInWords(report)}. Load: ${loads(report)}.${withoutProxy(report)}`,
  ].join('\n')
}

/** Puts text between the markers. Throws when they are missing or out of order. */
export function replaceBetweenMarkers(readme: string, text: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`the README needs the markers ${BEGIN} and ${END}`)
  return `${readme.slice(0, begin + BEGIN.length)}\n${text}\n${readme.slice(end)}`
}

function cell(scenario: ScenarioResult, name: string): string {
  const text = inShort(figuresOf(scenario, name))
  return name === 'castor' && text !== '–' ? `**${text}**` : text
}

function limit(scenario: ScenarioResult): string {
  if (scenario.judgement === undefined) return ''
  const mark = { pass: 'met', fail: 'missed', 'not judged': 'not judged' }[scenario.judgement.verdict]
  return scenario.limit === undefined ? mark : `${scenario.limit}×: ${mark}`
}

/** The floor that no proxy's latency can get under. */
function withoutProxy(report: Report): string {
  const figures = report.scenarios.map((scenario) => figuresOf(scenario, DIRECT)).find((found) => found !== undefined)
  return figures === undefined ? '' : ` Latency without any proxy: ${inShort(figures)} ms.`
}

function loads(report: Report): string {
  return [...new Set(report.scenarios.map(({ load }) => load))].join('; ')
}
