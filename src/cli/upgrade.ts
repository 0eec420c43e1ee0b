import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { UpgradeStep } from '../admin/facts.js'
import { type AdminClient, type AdminClientOptions, adminDoor, DEFAULT_ADMIN, streamAdmin } from './admin-client.js'
import { EXIT, type ExitCode } from './exit-code.js'

interface UpgradeOptions extends AdminClientOptions {
  readonly program?: string
  readonly json?: boolean
}

/** What the new program says of a configuration that it cannot use. */
const WRONG_FILE = ['CONFIG_INVALID', 'CONFIG_UNREADABLE', 'USAGE']

/** `upgrade`: another process, perhaps of another version, takes over the sockets; the running one drains. */
export function addUpgrade(program: Command): void {
  program
    .command('upgrade')
    .summary('replace the running process without losing a connection')
    .description(
      'Starts the program anew beside the running process, hands it the listening sockets, sessions, what operators changed and ticket keys, and lets the running process finish what it has. Where the new one does not get to serve, nothing changes.',
    )
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .option(
      '--program <path>',
      'run this installation: its directory, main.js, or an executable; over a Unix socket only',
    )
    .option('--json', 'print each step as a JSON object on a line')
    .addHelpText(
      'after',
      `
The new process is started with the arguments, the environment and the directory
of the running one, by the same path: put the new version there first (a
symbolic link that moves does), or name it with --program. It reads the
configuration file anew. Exits 0 when the new process serves, 1 when it does
not, 2 when it finds the configuration wrong.

Examples:
  castor upgrade -c /etc/castor/castor.yaml
  castor upgrade --admin unix:/run/castor/admin.sock --program /opt/castor-2.1`,
    )
    .action(async (options: UpgradeOptions) => {
      process.exitCode = await upgrade(adminDoor(options), options)
    })
}

async function upgrade(client: AdminClient, { program, json = false }: UpgradeOptions): Promise<ExitCode> {
  const body = program === undefined ? {} : { program: resolve(program) }
  let last: UpgradeStep | undefined
  try {
    for await (const line of streamAdmin(client, 'POST', '/api/v1/upgrade', body)) {
      const step = JSON.parse(line) as UpgradeStep | { readonly step: 'waiting' }
      if (step.step === 'waiting') continue
      last = step
      if (json) process.stdout.write(`${line}\n`)
      else if (step.step !== 'failed') process.stdout.write(`${show(step)}\n`)
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return EXIT.failed
  }
  if (last?.step === 'done') return EXIT.ok
  const why = last?.step === 'failed' ? last.message : 'the running process said no more'
  process.stderr.write(`the upgrade failed, and the running process goes on: ${why}\n`)
  return last?.step === 'failed' && WRONG_FILE.includes(last.code) ? EXIT.invalid : EXIT.failed
}

function show(step: Exclude<UpgradeStep, { step: 'failed' }>): string {
  switch (step.step) {
    case 'starting':
      return `starting ${step.command} (pid ${step.pid})`
    case 'started':
      return `version ${step.version} opens its addresses and checks its targets`
    case 'prepared':
      return `it is ready; ${step.sessions} sessions went over`
    case 'done':
      return `pid ${step.pid} serves; the process before it finishes what it has`
  }
}
