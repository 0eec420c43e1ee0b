import { setTimeout as wait } from 'node:timers/promises'
import type { Command } from 'commander'
import { CastorError } from '../core/errors.js'
import { type AdminClient, type AdminClientOptions, adminDoor, askAdmin, DEFAULT_ADMIN } from './admin-client.js'
import { envFileOption } from './env-file.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { readStatusReport, type StatusReport } from './status-report.js'
import { statusView } from './status-view.js'
import { fitScreen, paletteFor } from './table.js'

interface StatusOptions extends AdminClientOptions {
  readonly json?: boolean
  readonly watch?: boolean
}

const REDRAW_MS = 1_000

export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('how the running process is doing')
    .description('Shows listeners, target groups and targets of the running process.')
    .option('--json', 'print what the admin API says, as it says it')
    .option('--watch', 'show it again each second until Ctrl-C')
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .addOption(envFileOption())
    .addHelpText(
      'after',
      `
Exits 0 when healthy, 1 when degraded, 2 for wrong usage, 3 when the process
does not answer.

Examples:
  castor status
  castor status --watch -c castor.yaml
  castor status --json --admin 10.0.0.5:9900 | jq .targetGroups`,
    )
    .action(async (options: StatusOptions) => {
      process.exitCode = await status(options)
    })
}

async function status(options: StatusOptions): Promise<ExitCode> {
  const door = adminDoor(options)
  if (!options.watch) return show(door, options.json === true, '')
  // With --watch the code is that of the last look.
  let last: ExitCode = EXIT.unreachable
  process.on('SIGINT', () => process.exit(last))
  process.on('SIGTERM', () => process.exit(last))
  const clear = process.stdout.isTTY ? '\u001b[H\u001b[J' : ''
  for (;;) {
    last = await show(door, options.json === true, clear)
    await wait(REDRAW_MS)
  }
}

async function show(door: AdminClient, json: boolean, clear: string): Promise<ExitCode> {
  let answer: { text: string; report: StatusReport }
  try {
    answer = await ask(door)
  } catch (error) {
    if (!(error instanceof CastorError)) throw error
    process.stdout.write(clear)
    process.stderr.write(`${error.message}\n`)
    return EXIT.unreachable
  }
  const whole = json ? `${answer.text.trimEnd()}\n` : statusView(answer.report, paletteFor(process.stdout))
  const { columns = 80, rows = 24 } = process.stdout
  const shown = clear !== '' && !json ? fitScreen(whole, columns, rows) : whole
  process.stdout.write(clear + shown)
  return answer.report.health === 'healthy' ? EXIT.ok : EXIT.failed
}

/** Throws ADMIN_UNREACHABLE for anything except a status report. */
async function ask(door: AdminClient): Promise<{ text: string; report: StatusReport }> {
  const { code, text } = await askAdmin(door, 'GET', '/api/v1/status')
  const report = code === 200 ? readStatusReport(json(text)) : undefined
  if (report === undefined) {
    throw new CastorError('ADMIN_UNREACHABLE', `${door.name} answers ${code}, but not with the status of a castor`)
  }
  return { text, report }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
