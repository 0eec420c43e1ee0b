import type { Command } from 'commander'
import { formatAddress } from '../config/addresses.js'
import { loadConfig } from '../config/load.js'
import type { Problem } from '../config/problems.js'
import type { StartOptions as CastorOptions, RunningCastor } from '../control/running.js'
import type { Config } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { endProcess, endProcessWithin } from '../native/end-process.js'
import { forgiveStandardStreams, openNotes } from '../observe/notes.js'
import { configFile, DEFAULT_CONFIG_FILE } from './config-file.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { demoConfigFile } from './package-files.js'
import { collectSet } from './set-option.js'
import { isInspected, watchSignals } from './signals.js'

/** For what is left once everything was given back: the demo's thread, and what exiting itself waits for. */
const EXIT_MS = 2_000

interface StartOptions {
  readonly config?: string
  readonly demo?: boolean
  readonly set?: string[]
}

export function addStart(program: Command): void {
  program
    .command('start')
    .summary('run in the foreground')
    .description('Runs the load balancer in the foreground. Prints one line a listener when it is ready.')
    .option('-c, --config <file>', `the configuration file (default: ./${DEFAULT_CONFIG_FILE})`)
    .option('--demo', 'run before three small targets inside the program; needs no file')
    .option('--set <path=value>', 'put a value over what the file says (repeatable)', collectSet)
    .addHelpText(
      'after',
      `
SIGTERM, SIGQUIT or SIGINT (Ctrl-C) stop accepting and let what is in flight finish, at most shutdownTimeout long;
a second one stops at once. SIGUSR1 and SIGUSR2 open the access log anew, as after a rotation. Exits 0 after a clean stop, 1 after a failure, 2 for wrong configuration or usage.

Examples:
  castor start -c castor.yaml
  castor start --demo
  castor start -c castor.yaml --set log.level=debug --set listeners.0.listen=0.0.0.0:9000`,
    )
    .action(async (options: StartOptions) => {
      const code = await start(options)
      // Whatever a dependency has left open must not keep a stopped balancer alive.
      process.exit(code)
    })
}

async function start(options: StartOptions): Promise<ExitCode> {
  if (options.demo && options.config !== undefined) {
    throw new CastorError('USAGE', '--demo brings its own configuration; give either --demo or -c FILE')
  }
  if (options.demo) return startDemoAndRun(options.set ?? [])
  const file = configFile(options.config, 'or try castor start --demo')
  return load(file, options.set ?? [])
}

async function startDemoAndRun(set: readonly string[]): Promise<ExitCode> {
  const { startDemo } = await import('../control/demo.js')
  const demo = await startDemo()
  try {
    const env: NodeJS.ProcessEnv = { ...process.env }
    for (const [index, address] of demo.addresses.entries()) env[`CASTOR_DEMO_TARGET_${index + 1}`] = address
    return await load(demoConfigFile(), set, env)
  } finally {
    await demo.stop()
  }
}

function load(file: string, set: readonly string[], env = process.env): Promise<ExitCode> {
  const warnings: Problem[] = []
  const config = loadConfig(file, { set, env, onWarning: (warning) => warnings.push(warning) })
  return run(config, warnings)
}

/** Runs until it is told to stop. `more` is for tests. */
export async function run(
  config: Config,
  configWarnings: readonly Problem[],
  more: Pick<CastorOptions, 'workerFile'> = {},
): Promise<ExitCode> {
  const notes = openNotes(2)
  const say = (line: string): void => notes.say(`${line}\n`)
  forgiveStandardStreams(say)
  const signals = watchSignals(say)
  // Loaded only now: the other commands need neither the threads nor the native addon.
  const { startCastor } = await import('../control/assemble.js')
  try {
    const watched = isInspected() ? { ...config, watchdogMs: 0 } : config
    const castor = await startCastor(watched, { configWarnings, ownsProcess: true, ...more })
    openNotes(1).say(readyLines(config, castor))
    const code = await signals.drive(castor)
    endProcessWithin(EXIT_MS, code)
    // Exiting would wait for them.
    if (castor.leftovers.length > 0) endProcess(code)
    return code
  } catch (cause) {
    endProcessWithin(EXIT_MS, EXIT.failed)
    throw cause
  }
}

/** One line a listening address, and one for the admin API. */
export function readyLines(config: Config, castor: Pick<RunningCastor, 'listeners' | 'admin'>): string {
  const lines = castor.listeners.map(({ name, protocol, address, port }) => {
    const listener = config.listeners.find((candidate) => candidate.name === name)
    const to = listener?.redirectToHttps === undefined ? `group ${listener?.targetGroup ?? '?'}` : 'https'
    return `listening on ${protocol}://${formatAddress(address, port)} (listener ${name} → ${to})`
  })
  for (const listen of castor.admin.listening) {
    const where = 'path' in listen ? `unix:${listen.path}` : `http://${formatAddress(listen.address, listen.port)}/`
    lines.push(`admin and dashboard on ${where}`)
  }
  return `${lines.join('\n')}\n`
}
