import { mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { formatAddress } from '../config/addresses.js'
import type { Environment } from '../config/interpolate.js'
import { loadConfig } from '../config/load.js'
import type { Problem } from '../config/problems.js'
import { type ConfigSource, fileSource } from '../config/source.js'
import { stateDirectory } from '../config/state-directory.js'
import type { StartOptions as CastorOptions, RunningCastor } from '../control/running.js'
import { Predecessor } from '../control/upgrade/predecessor.js'
import type { Config } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { nativeAddon } from '../native/addon.js'
import { endProcess, endProcessWithin } from '../native/end-process.js'
import { openNotes, takeWarnings } from '../observe/notes.js'
import { configFile, DEFAULT_CONFIG_FILE } from './config-file.js'
import { type EnvFileOptions, envFileOption, environmentOf } from './env-file.js'
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.js'
import { HeldLog } from './held-log.js'
import { demoConfigFile } from './package-files.js'
import { collectSet } from './set-option.js'
import { isInspected, watchSignals } from './signals.js'
import { explainFailedStart, type StartAttempt } from './start-failure.js'

/** For what is left once everything was given back: the demo's thread, and what exiting itself waits for. */
const EXIT_MS = 2_000

interface StartOptions extends EnvFileOptions {
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
    .addOption(envFileOption())
    .addHelpText(
      'after',
      `
SIGTERM, SIGQUIT or SIGINT (Ctrl-C) stop accepting and let what is in flight
finish, at most shutdownTimeout long; a second one stops at once. SIGHUP reads
the configuration file anew and applies it, as castor reload does. SIGUSR1 and
SIGUSR2 open the log files anew, as after a rotation. Exits 0 after a clean
stop, 1 after a failure, 2 for wrong configuration or usage.

Examples:
  castor start -c castor.yaml
  castor start --demo
  castor start -c castor.yaml --set log.level=debug \\
    --set listeners.0.listen=0.0.0.0:9000`,
    )
    .action(async (options: StartOptions) => {
      const code = await start(options)
      // Whatever a dependency has left open must not keep a stopped balancer alive.
      process.exit(code)
    })
}

/** What is known so far of a start, and whether it has come about. */
type Attempt = { -readonly [Key in keyof StartAttempt]: StartAttempt[Key] } & {
  started: boolean
  /** The process that this one takes over from. */
  predecessor?: Predecessor | undefined
}

async function start(options: StartOptions): Promise<ExitCode> {
  const { argv, env } = process
  const attempt: Attempt = { called: { argv, env, cwd: process.cwd() }, started: false }
  try {
    // First of all: whatever goes wrong from here on is told to the process that is to be replaced.
    attempt.predecessor = Predecessor.find(env, nativeAddon())
    if (options.demo && options.config !== undefined) {
      throw new CastorError('USAGE', '--demo brings its own configuration; give either --demo or -c FILE')
    }
    if (options.demo) return await startDemoAndRun(options, attempt)
    const file = configFile(options.config, 'or try castor start --demo')
    return await load(file, options.set ?? [], environmentOf(options), attempt)
  } catch (error) {
    attempt.predecessor?.fail(error)
    const told = attempt.started ? undefined : await explainFailedStart(error, attempt)
    if (told === undefined) throw error
    process.stderr.write(told)
    return exitCodeOf(error)
  }
}

async function startDemoAndRun(options: StartOptions, attempt: Attempt): Promise<ExitCode> {
  const { startDemo } = await import('../control/demo.js')
  const demo = await startDemo()
  try {
    const env = { ...environmentOf(options), CASTOR_DEMO_ACCESS_LOG: demoAccessLog() }
    const addresses = demo.addresses.map((address, index) => [`CASTOR_DEMO_TARGET_${index + 1}`, address])
    return await load(demoConfigFile(), options.set ?? [], { ...env, ...Object.fromEntries(addresses) }, attempt, true)
  } finally {
    await demo.stop()
  }
}

/** An empty file for the demo's access log, which would drown everything else on a terminal under load. */
function demoAccessLog(): string {
  for (const folder of [() => stateDirectory(), () => mkdtempSync(join(tmpdir(), 'castor-demo-'))]) {
    try {
      const file = join(folder(), 'demo-access.log')
      mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 })
      writeFileSync(file, '', { mode: 0o600 })
      return file
    } catch {
      // A user without a home, or a file system that cannot be written to.
    }
  }
  return 'off'
}

function load(
  file: string,
  set: readonly string[],
  env: Environment,
  attempt: Attempt,
  demo = false,
): Promise<ExitCode> {
  const warnings: Problem[] = []
  const config = loadConfig(file, {
    set,
    env,
    onWarning: (warning) => warnings.push(warning),
    onPlaces: (place) => (attempt.place = place),
  })
  attempt.config = config
  const { admin } = config
  // So that what the README says to type into a browser's console works on the dashboard's page as well.
  const started = demo
    ? { ...config, admin: { ...admin, pageConnects: ['ws://localhost:*', 'ws://127.0.0.1:*'] } }
    : config
  // A pipe says what it says once.
  const source = statSync(file).isFile() ? fileSource(file, { set, env, isWritable: !demo }) : undefined
  const { predecessor } = attempt
  const more = { ...(source && { source }), ...(predecessor && { predecessor }) }
  return run(started, warnings, more, () => {
    attempt.started = true
  })
}

/** Runs until it is told to stop. `more` is for tests. */
export async function run(
  config: Config,
  configWarnings: readonly Problem[],
  more: Pick<CastorOptions, 'workerFile' | 'source' | 'predecessor'> = {},
  onStarted: () => void = () => {},
): Promise<ExitCode> {
  const notes = openNotes(2)
  const say = (line: string): void => notes.say(`${line}\n`)
  takeWarnings(say)
  const signals = watchSignals(say)
  // Loaded only now: the other commands need neither the threads nor the native addon.
  const { startCastor } = await import('../control/assemble.js')
  const { openLogDestination } = await import('../observe/log.js')
  const logDestination = openLogDestination(config.log)
  const held = process.stderr.isTTY && config.log.format === 'json' ? new HeldLog(logDestination) : undefined
  try {
    const watched = isInspected() ? withoutWatchdog(config, more.source) : { config, more: {} }
    const options = { configWarnings, ownsProcess: true, logDestination: held ?? logDestination }
    const castor = await startCastor(watched.config, { ...options, ...more, ...watched.more })
    onStarted()
    held?.release()
    openNotes(1).say(readyLines(config, castor))
    const code = await signals.drive(castor)
    endProcessWithin(EXIT_MS, code)
    // Exiting would wait for them.
    if (castor.leftovers.length > 0) endProcess(code)
    return code
  } catch (cause) {
    for (const warning of held?.warnings() ?? []) say(warning)
    endProcessWithin(EXIT_MS, EXIT.failed)
    throw cause
  }
}

/** Not by a reload either. */
function withoutWatchdog(config: Config, source: ConfigSource | undefined) {
  return {
    config: { ...config, watchdogMs: 0 },
    more: source && { source: { ...source, set: [...source.set, 'watchdog=off'] } },
  }
}

/** One line for each listening address, for the access log where that is a file, and for the admin API. */
export function readyLines(config: Config, castor: Pick<RunningCastor, 'listeners' | 'admin'>): string {
  const lines = castor.listeners.map(({ name, protocol, address, port }) => {
    const listener = config.listeners.find((candidate) => candidate.name === name)
    const to = listener?.redirectToHttps === undefined ? `group ${listener?.targetGroup ?? '?'}` : 'https'
    return `listening on ${protocol}://${formatAddress(address, port)} (listener ${name} → ${to})`
  })
  const { access } = config.log
  if (access !== 'off' && access !== 'stdout') lines.push(`access log in ${access}`)
  for (const listen of castor.admin.listening) {
    const where = 'path' in listen ? `unix:${listen.path}` : `http://${formatAddress(listen.address, listen.port)}/`
    lines.push(`admin and dashboard on ${where}`)
  }
  return `${lines.join('\n')}\n`
}
