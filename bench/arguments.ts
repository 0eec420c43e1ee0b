import { Command, InvalidArgumentError, Option } from 'commander'
import { openFileLimit } from './machine.js'
import { beforeFolder, resultsFolder } from './paths.js'
import { isInstalled } from './processes.js'
import { allProxies, defaultProxies } from './proxies/all.js'
import { allScenarios, scalingScenarios, standardScenarios } from './scenarios/all.js'
import type { Settings } from './settings.js'

export interface Arguments {
  readonly settings: Settings
  readonly check: boolean
  readonly save: boolean
  readonly out: string
  readonly writeReadme: boolean
  readonly installPeers: boolean
  readonly render: boolean
  /** A commit that this checkout is measured beside. */
  readonly compare: string | undefined
}

/** Files a process has open beside its client connections. */
const OTHER_FILES = 512

/** Reads the command line; on a wrong one prints why and ends the process with 2. */
export function parseArguments(argv: readonly string[]): Arguments {
  const command = new Command('npm run bench --')
    .description('CPU per request, memory and latency of Castor beside other proxies, measured in turn')
    .option('--scenario <names>', `only these: ${names(allScenarios)}`, list(names(allScenarios)))
    .option('--proxies <names>', `only these: ${names(allProxies)}`, list(names(allProxies)))
    .option('--rounds <n>', 'measurements of each proxy a scenario', count)
    .option('--seconds <n>', 'length of one measurement', count)
    .option('--connections <n>', 'client connections at once', count, 64)
    .option('--rate <n>', 'keep-alive requests a second, instead of as many as it takes', count)
    .addOption(new Option('--load <program>', 'for HTTP (wrk where installed)').choices(['wrk', 'autocannon']))
    .addOption(new Option('--origin <server>', 'for HTTP (nginx where installed)').choices(['nginx', 'own']))
    .option('--compare <commit>', 'build that commit as well and measure beside it: what a change costs')
    .option('--scaling', 'CPU per request with one, two and four workers, and how evenly they share the work')
    .option('--quick', 'three rounds of one second, fewer connections and requests: a look, not a result')
    .option('--check', 'end with 1 when a limit is missed or could not be judged')
    .option('--out <folder>', 'where results go', resultsFolder)
    .option('--no-save', 'write no results')
    .option('--write-readme', 'renew the table in README.md')
    .option('--render', 'measure nothing: draw the latest results again')
    .option('--install-peers', 'install the proxies from npm into bench/peers, and end')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse(argv, { from: 'user' })
  const given = command.opts()
  const quick = given.quick === true
  return {
    settings: {
      rounds: given.rounds ?? (quick ? 3 : 5),
      seconds: given.seconds ?? (quick ? 1 : 2),
      connections: given.connections,
      scenarios: given.scenario ?? (given.scaling ? scalingScenarios : standardScenarios).map(({ name }) => name),
      proxies: given.proxies ?? defaultProxies.map(({ name }) => name),
      load: given.load ?? (isInstalled('wrk') ? 'wrk' : 'autocannon'),
      origin: given.origin ?? (isInstalled('nginx') ? 'nginx' : 'own'),
      rate: given.rate,
      idleConnections: Math.min(quick ? 2000 : 10_000, openFileLimit() - OTHER_FILES),
      allocRequests: quick ? 300_000 : 1_000_000,
    },
    check: given.check === true,
    // What was compared with a commit says nothing to others.
    save: given.save && beforeFolder === undefined,
    out: given.out,
    writeReadme: given.writeReadme === true,
    installPeers: given.installPeers === true,
    render: given.render === true,
    compare: given.compare,
  }
}

function names(all: readonly { readonly name: string }[]): string {
  return all.map(({ name }) => name).join(', ')
}

function list(allowed: string): (text: string) => string[] {
  const known = allowed.split(', ')
  return (text) => {
    const chosen = text.split(',').map((name) => name.trim())
    const unknown = chosen.filter((name) => !known.includes(name))
    if (unknown.length > 0) throw new InvalidArgumentError(`No such name: ${unknown.join(', ')}.`)
    return chosen
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('A whole number above 0, please.')
  return Number(text)
}
