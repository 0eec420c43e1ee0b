import { setTimeout as wait } from 'node:timers/promises'
import type { Command } from 'commander'
import { formatAddress, parseTargetAddress } from '../config/addresses.js'
import { loadConfig } from '../config/load.js'
import { CastorError } from '../core/errors.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { readStatusReport, type StatusReport } from './status-report.js'
import { statusView } from './status-view.js'
import { paletteFor } from './table.js'

interface StatusOptions {
  readonly json?: boolean
  readonly watch?: boolean
  readonly config?: string
  readonly admin?: string
  readonly token?: string
}

/** Where the admin API is, and what it asks for. */
interface AdminDoor {
  /** `http://host:port`, without a slash at the end. */
  readonly origin: string
  readonly token: string
}

const DEFAULT_ADMIN = '127.0.0.1:9900'
const PATIENCE_MS = 5_000
const REDRAW_MS = 1_000

export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('how the running process is doing')
    .description('Shows listeners, target groups and targets of the running process.')
    .option('--json', 'print what the admin API says, as it says it')
    .option('--watch', 'show it again each second until Ctrl-C')
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .addHelpText(
      'after',
      `
Exits 0 when healthy, 1 when degraded, 2 for wrong usage, 3 when the process does not answer.

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

function adminDoor(options: StatusOptions): AdminDoor {
  const config = options.config === undefined ? undefined : loadConfig(options.config)
  const token = options.token ?? config?.admin.token ?? process.env.CASTOR_TOKEN ?? ''
  if (options.admin !== undefined || config === undefined) {
    return { origin: originOf(options.admin ?? DEFAULT_ADMIN), token }
  }
  const { address, port } = config.admin.listen
  if (port === 0) {
    throw new CastorError(
      'USAGE',
      `${options.config} lets the system choose the admin port; name it with --admin ADDRESS`,
    )
  }
  // An address that stands for all of them is none to connect to.
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return { origin: `http://${formatAddress(host, port)}`, token }
}

function originOf(written: string): string {
  if (/^https?:\/\//.test(written)) {
    if (!URL.canParse(written)) throw new CastorError('USAGE', `--admin: ${JSON.stringify(written)} is not a URL`)
    return written.replace(/\/+$/, '')
  }
  const parsed = parseTargetAddress(written)
  if (!parsed.ok) throw new CastorError('USAGE', `--admin: ${parsed.problem}`)
  return `http://${formatAddress(parsed.value.host, parsed.value.port)}`
}

async function show(door: AdminDoor, json: boolean, clear: string): Promise<ExitCode> {
  let answer: { text: string; report: StatusReport }
  try {
    answer = await ask(door)
  } catch (error) {
    if (!(error instanceof CastorError)) throw error
    process.stdout.write(clear)
    process.stderr.write(`${error.message}\n`)
    return EXIT.unreachable
  }
  const shown = json ? `${answer.text.trimEnd()}\n` : statusView(answer.report, paletteFor(process.stdout))
  process.stdout.write(clear + shown)
  return answer.report.health === 'healthy' ? EXIT.ok : EXIT.failed
}

/** Throws ADMIN_UNREACHABLE for anything but a status report. */
async function ask(door: AdminDoor): Promise<{ text: string; report: StatusReport }> {
  let code: number
  let text: string
  try {
    const response = await fetch(`${door.origin}/api/v1/status`, {
      headers: door.token === '' ? {} : { authorization: `Bearer ${door.token}` },
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    code = response.status
    text = await response.text()
  } catch (cause) {
    throw new CastorError('ADMIN_UNREACHABLE', `castor does not answer at ${door.origin}: ${why(cause)}`, { cause })
  }
  if (code === 401 || code === 403) {
    throw new CastorError(
      'ADMIN_UNREACHABLE',
      `${door.origin} wants another token; give it with --token or CASTOR_TOKEN`,
    )
  }
  const report = code === 200 ? readStatusReport(json(text)) : undefined
  if (report === undefined) {
    throw new CastorError('ADMIN_UNREACHABLE', `${door.origin} answers ${code}, but not with the status of a castor`)
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

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `no answer within ${PATIENCE_MS / 1000} s`
  const cause = error.cause
  if (!(cause instanceof Error)) return error.message
  const code = (cause as NodeJS.ErrnoException).code
  return code === 'ECONNREFUSED' ? 'connection refused; is it running?' : cause.message || String(code)
}
