import { Command, CommanderError } from 'commander'
import { version } from '../control/version.js'
import { CastorError, ERROR_KINDS } from '../core/errors.js'
import { endProcess } from '../native/end-process.js'
import { addAudit } from './audit.js'
import { addBench } from './bench.js'
import { addCheck } from './check.js'
import { addDoctor } from './doctor.js'
import { addDrainHost } from './drain-host.js'
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.js'
import { addExplain } from './explain.js'
import { addImport } from './import.js'
import { addKeepalived } from './keepalived.js'
import { addReload } from './reload.js'
import { addSchema } from './schema.js'
import { addStart } from './start.js'
import { addStatus } from './status.js'
import { addTargetCommands } from './target.js'
import { addUpgrade } from './upgrade.js'

function program(): Command {
  const castor = new Command('castor')
    .description('An application load balancer for your own hosts: TCP, HTTP and WebSocket on every core.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help; also after a command')
    .helpCommand('help [command]', 'print help for a command')
    .showHelpAfterError('(castor --help shows the commands, castor COMMAND --help the options of one)')
    .configureHelp({ subcommandTerm: termOf })
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  castor start --demo            three demo targets on 8080, dashboard on 9900
  castor check -c castor.yaml    everything that is wrong with a configuration
  castor start -c castor.yaml    run it
  castor status --watch          how it is doing
  castor diff                    what castor reload would change
  castor bench -c 64 -d 10       put load on it

Exit codes: 0 done, 1 failed (status: degraded; diff: something differs),
2 wrong configuration or usage, 3 status and diff: it does not answer.`,
    )
  addStart(castor)
  addCheck(castor)
  addDoctor(castor)
  addSchema(castor)
  addStatus(castor)
  addExplain(castor)
  addTargetCommands(castor)
  addReload(castor)
  addAudit(castor)
  addKeepalived(castor)
  addImport(castor)
  addDrainHost(castor)
  addUpgrade(castor)
  addBench(castor)
  return castor
}

/** How help lists a command: with its arguments only where those leave room for what it does. */
function termOf(command: Command): string {
  const isOfAnother = command.parent?.parent != null
  return isOfAnother ? `${command.name()} ${command.usage()}` : command.name()
}

/** Options whose values are easily given without naming them. */
const NAMED = [
  { long: '--config', hint: (name: string) => `The configuration is named with -c: castor ${name} -c FILE` },
  { long: '--url', hint: (name: string) => `What to ask for is named with --url: castor ${name} --url URL` },
]

/** What was probably meant by an argument too many. */
function meant(castor: Command): string {
  const command = castor.commands.find((each) => each.name() === process.argv[2])
  const named = NAMED.find(({ long }) => command?.options.some((option) => option.long === long))
  return named === undefined ? '' : `${named.hint(command!.name())}\n`
}

/** What an error that a command has not dealt with itself means for the caller. */
function report(error: unknown, castor: Command): ExitCode {
  if (error instanceof CommanderError && error.code === 'commander.excessArguments') {
    process.stderr.write(meant(castor))
  }
  // Commander has said its part already; anything except help and version that was asked for is a usage error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.invalid
  if (error instanceof CastorError) {
    const usage = exitCodeOf(error) === EXIT.invalid
    // What the machine or its settings did not allow comes as the system's own word: say what it was about.
    const summary = error.origin === 'operator' && !usage ? `${ERROR_KINDS[error.code].summary}: ` : ''
    process.stderr.write(`${summary}${error.message}\n`)
    return exitCodeOf(error)
  }
  // A call of the system that failed, such as writing a file that was named, is no fault of the program's.
  const isSystem = error instanceof Error && 'syscall' in error
  const said = error instanceof Error ? (isSystem ? error.message : (error.stack ?? error.message)) : String(error)
  process.stderr.write(`${said}\n`)
  return EXIT.failed
}

/**
 * Who reads the output has seen enough (`| head`): that is no failure of the command. A running balancer goes on, whatever
 * Node or a library writes there.
 */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' && process.argv[2] !== 'start') process.exit(process.exitCode ?? EXIT.ok)
  })
}

/** Runs the command that the arguments name, and ends the process. */
export async function runCommand(): Promise<void> {
  const castor = program()
  try {
    await castor.parseAsync()
  } catch (error) {
    // Not just a code for later: whatever a failed start has left open must not keep the process.
    const code = report(error, castor)
    if (error instanceof CastorError && error.code === 'THREAD_STUCK') endProcess(code)
    process.exit(code)
  }
}
