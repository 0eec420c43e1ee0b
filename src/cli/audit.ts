import type { Command } from 'commander'
import { z } from 'zod'
import { CastorError } from '../core/errors.js'
import { type AdminClientOptions, adminDoor, askAdmin, DEFAULT_ADMIN } from './admin-client.js'
import { envFileOption } from './env-file.js'
import { EXIT, type ExitCode } from './exit-code.js'
import type { Output } from './reload.js'
import { type Column, paletteFor, table } from './table.js'

interface Options extends AdminClientOptions {
  readonly json?: boolean
  readonly limit: string
}

/** `castor audit`: who changed what of the running process. */
export function addAudit(program: Command, output: Output = process): void {
  program
    .command('audit')
    .summary('who changed what of the running process')
    .description('Shows the last changes of the running process, and what was refused, the newest first.')
    .option('-n, --limit <number>', 'so many of them, at most 200', '20')
    .option('--json', 'print what the admin API says, as it says it')
    .option('-c, --config <file>', 'take the admin address and token from this configuration')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .addOption(envFileOption())
    .addHelpText(
      'after',
      `
Only what was asked of this process since its start is known to it; the audit
log itself (log.audit) has the rest. Exits 3 when the process does not answer.

Examples:
  castor audit
  castor audit -n 200 --json | jq '.entries[] | select(.result != "done")'`,
    )
    .action(async (options: Options) => {
      output.exitCode = await audit(options, output)
    })
}

const values = z.record(z.string(), z.unknown()).nullish().catch(null)

const answer = z.object({
  entries: z.array(
    z.object({
      time: z.string(),
      by: z.object({ kind: z.string(), name: z.string().nullish() }),
      from: z.string().nullish(),
      action: z.string(),
      request: z
        .object({ params: z.record(z.string(), z.unknown()) })
        .nullish()
        .catch(null),
      before: values,
      after: values,
      result: z.string(),
      reason: z.string().nullish(),
    }),
  ),
})

type Entry = z.infer<typeof answer>['entries'][number]

async function audit(options: Options, output: Output): Promise<ExitCode> {
  const client = adminDoor(options)
  try {
    const { code, text } = await askAdmin(client, 'GET', `/api/v1/audit?limit=${encodeURIComponent(options.limit)}`)
    if (code === 400) throw new CastorError('USAGE', '--limit: must be a whole number from 1 to 200')
    const said = code === 200 ? answer.safeParse(JSON.parse(text)).data : undefined
    if (said === undefined) {
      output.stderr.write(`${client.name} answers ${code}, but not as a castor with an audit log does\n`)
      return EXIT.unreachable
    }
    const shown = said.entries.length === 0 ? 'nothing was changed' : view(said.entries).trimEnd()
    output.stdout.write(options.json ? `${text.trimEnd()}\n` : `${shown}\n`)
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof CastorError) || error.code === 'USAGE') throw error
    output.stderr.write(`${error.message}\n`)
    return EXIT.unreachable
  }
}

const COLUMNS: readonly Column[] = ['time', 'by', 'from', 'action', 'of', 'result', 'what'].map((title) => ({ title }))

function view(entries: readonly Entry[]): string {
  const rows = entries.map((entry) => [
    entry.time,
    [entry.by.kind, entry.by.name].filter(Boolean).join(' '),
    entry.from ?? '-',
    entry.action,
    Object.values(entry.request?.params ?? {}).join(' ') || '-',
    entry.result,
    whatOf(entry),
  ])
  return table(COLUMNS, rows, paletteFor(process.stdout))
}

function whatOf({ before, after, reason }: Entry): string {
  if (reason) return reason
  const keys = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null))
  return keys.map((key) => `${key}: ${show(before?.[key])} → ${show(after?.[key])}`).join(', ')
}
