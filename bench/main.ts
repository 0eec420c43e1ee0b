import { randomBytes } from 'node:crypto'
import { relative } from 'node:path'
import { parseArguments } from './arguments.js'
import { compareWith } from './compare.js'
import { failureText } from './failure.js'
import { installPeers } from './install-peers.js'
import { describeMachine, pinned } from './machine.js'
import { root } from './paths.js'
import { firstLine, stopEverything } from './processes.js'
import { allProxies, SUBJECT } from './proxies/all.js'
import type { Contender } from './proxies/proxy.js'
import type { Report, ScenarioResult } from './report/result.js'
import { renderTable } from './report/table.js'
import { readLatest, writePicture, writeReadme, writeReport } from './report/write.js'
import { runScenario } from './run-scenario.js'
import { allScenarios, scalingScenarios } from './scenarios/all.js'
import { MOST_WORKERS } from './scenarios/scaling.js'
import { DIRECT, type Scenario } from './scenarios/scenario.js'
import type { Settings } from './settings.js'

const { settings, ...asked } = parseArguments(process.argv.slice(2))

if (asked.compare !== undefined) {
  process.exitCode = await compareWith(asked.compare, withoutCompare(process.argv.slice(2)), tell)
} else if (asked.installPeers) {
  process.exitCode = installPeers()
} else if (asked.render) {
  const report = readLatest(asked.out)
  writePicture(report, asked.out)
  if (asked.writeReadme) writeReadme(report)
  process.stdout.write(renderTable(report))
} else if (process.platform !== 'linux') {
  tell('The bench reads /proc, so it needs Linux.')
  process.exitCode = 2
} else {
  try {
    process.exitCode = await bench()
  } finally {
    await stopEverything()
  }
}

async function bench(): Promise<number> {
  const present = allProxies.filter(({ name }) => settings.proxies.includes(name)).filter(isPresent)
  const began = new Date()
  const results: ScenarioResult[] = []
  for (const scenario of allScenarios.filter(({ name }) => settings.scenarios.includes(name))) {
    tell(`${scenario.name}: ${scenario.title}`)
    results.push(
      await runScenario(scenario, present, settings, (text) => tell(`  ${text}`)).catch((error: unknown) =>
        failedScenario(scenario, settings, failureText(error)),
      ),
    )
  }
  const report: Report = {
    format: 1,
    id: randomBytes(3).toString('hex'),
    date: began.toISOString(),
    tookSeconds: Math.round((Date.now() - began.getTime()) / 1000),
    machine: describeMachine(),
    pinned,
    rounds: settings.rounds,
    seconds: settings.seconds,
    connections: settings.connections,
    versions: versions(present, settings, results),
    titles: { ...titles(present), ...laneTitles(results), [DIRECT]: 'no proxy' },
    scenarios: results,
  }
  if (asked.save) {
    writeReport(report, asked.out)
    tell(`Results are in ${relative(root, asked.out) || '.'}`)
  }
  process.stdout.write(`\n${renderTable(report)}`)
  if (asked.writeReadme) writeReadme(report)
  const held = results.every(({ judgement }) => judgement === undefined || judgement.verdict === 'pass')
  return asked.check && !held ? 1 : 0
}

/** So that one scenario that cannot run does not take the others with it, and is no pass either. */
function failedScenario(scenario: Scenario, settings: Settings, message: string): ScenarioResult {
  tell(`  ${scenario.name} failed: ${message}`)
  const { name, title, unit } = scenario
  const judgement = { verdict: 'not judged', text: message } as const
  return { name, title, unit, load: scenario.load(settings), origin: 'none', proxies: [], judgement }
}

function titles(present: readonly Contender[]): Record<string, string> {
  return Object.fromEntries(present.map(({ name, title }) => [name, title]))
}

/** Where Castor is measured with different numbers of workers each has a column of its own. */
function laneTitles(results: readonly ScenarioResult[]): Record<string, string> {
  const run = new Set(results.map(({ name }) => name))
  const lanes = scalingScenarios.filter(({ name }) => run.has(name)).flatMap((scenario) => scenario.lanes ?? [])
  return Object.fromEntries(lanes.map(({ name }) => [name, name === SUBJECT ? `${MOST_WORKERS} workers` : name]))
}

function isPresent(proxy: Contender): boolean {
  const version = proxy.version()
  if (version === undefined) tell(`${proxy.name} is not here: it is left out`)
  return version !== undefined
}

function versions(
  present: readonly Contender[],
  { load }: Settings,
  results: readonly ScenarioResult[],
): Record<string, string> {
  const origin = results.map((result) => /^nginx (.+)/.exec(result.origin)?.[1]).find((found) => found !== undefined)
  const wrk = load === 'wrk' ? /\d+\.\d+[.\d]*/.exec(firstLine('wrk', ['-v']))?.[0] : undefined
  return {
    ...Object.fromEntries(present.map((proxy) => [proxy.title, proxy.version()!])),
    node: process.versions.node,
    ...(wrk === undefined ? {} : { wrk }),
    ...(origin === undefined ? {} : { 'nginx as origin': origin }),
  }
}

/** The command line without what this process does. */
function withoutCompare(args: readonly string[]): string[] {
  return args.filter((arg, index) => !/^--compare(=|$)/.test(arg) && args[index - 1] !== '--compare')
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}
