import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { diffDocuments, isSame } from '../config/diff.js'
import { toDocument } from '../config/document.js'
import { formatDiff } from '../config/format-diff.js'
import { loadConfig } from '../config/load.js'
import { maskSecrets } from '../config/mask-secrets.js'
import { ConfigError, formatProblem } from '../config/problems.js'
import type { Fields } from '../config/tree.js'
import { CastorError } from '../core/errors.js'
import { type AdminClient, type AdminClientOptions, adminDoor, askAdmin, DEFAULT_ADMIN } from './admin-client.js'
import { envFileOption, environmentOf } from './env-file.js'
import { EXIT, type ExitCode } from './exit-code.js'

/** Until every thread has the new configuration, names resolved; well above what any of it takes. */
const RELOAD_TIMEOUT_MS = 60_000

/** What the commands write to; replaced in tests. */
export interface Output {
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
  exitCode?: number | string | null | undefined
}

interface Options extends AdminClientOptions {
  readonly json?: boolean
  readonly dryRun?: boolean
}

/** `castor reload` and `castor diff`: the configuration file and the running process. */
export function addReload(program: Command, output: Output = process): void {
  finding(
    program
      .command('reload')
      .summary('apply the changed configuration file to the running process')
      .description(
        'Has the running process read its configuration file anew and apply what changed, without a restart. Waits, and says what came of it.',
      )
      .option('--dry-run', 'say what would change, and change nothing'),
  )
    .addHelpText(
      'after',
      `
The process reads the file that it was started with, with its own environment
and --set options. A file that is wrong, or changes what only a restart can,
changes nothing. Exits 0 when the file holds now, also where it held before; 1
when it was refused, could not be applied, or the process does not answer; 2
when the file is wrong.

Examples:
  castor reload
  castor reload --dry-run -c /etc/castor/castor.yaml`,
    )
    .action(async (options: Options) => {
      output.exitCode = await reload(options, output)
    })
  finding(
    program
      .command('diff')
      .summary('show what a reload would change')
      .description('Shows what a reload of the configuration file would change in the running process.'),
  )
    .addHelpText(
      'after',
      `
With the file that the process runs by, or without -c, the process itself
compares; another file is read here, with the environment of this command, and
its secrets are not compared. Operators' changes (castor drain, weight, target)
survive a reload and are no difference.
Lines begin with + for what comes, - for what goes, ~ for what changes, and !
for what needs a restart. Exits 0 when a reload would change nothing, 1 when it
would, 2 when the file is wrong, 3 when the process does not answer.

Example:
  castor diff -c /etc/castor/castor.yaml`,
    )
    .action(async (options: Options) => {
      output.exitCode = await diff(options, output)
    })
}

function finding(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration file; also says where the admin API is')
    .option('--admin <address>', `where the admin API is, also unix:/PATH (default: ${DEFAULT_ADMIN})`)
    .option('--token <token>', 'the admin token (default: from -c, else the environment variable CASTOR_TOKEN)')
    .addOption(envFileOption())
    .option('--json', 'print the answer as JSON')
}

async function reload(options: Options, output: Output): Promise<ExitCode> {
  const answer = await ask(options, 'POST', '/api/v1/reload', options.dryRun ? { dryRun: true } : {}, output)
  if (answer === undefined) return EXIT.failed
  print(answer, options.json === true, options.dryRun === true, output)
  switch (answer.said.error?.code) {
    case undefined:
      return EXIT.ok
    case 'CONFIG_INVALID':
      return EXIT.invalid
    default:
      return EXIT.failed
  }
}

async function diff(options: Options, output: Output): Promise<ExitCode> {
  const inForce = await ask(options, 'GET', '/api/v1/config', undefined, output)
  if (inForce === undefined) return EXIT.unreachable
  if (options.config !== undefined && !isSameFile(options.config, inForce.said.file)) {
    return compareHere(options.config, options, inForce.said.config ?? {}, output)
  }
  const answer = await ask(options, 'GET', '/api/v1/config/diff', undefined, output)
  if (answer === undefined) return EXIT.unreachable
  print(answer, options.json === true, true, output)
  if (answer.said.error === undefined) return answer.said.result === 'unchanged' ? EXIT.ok : EXIT.failed
  return answer.said.error.code === 'RESTART_REQUIRED' ? EXIT.failed : EXIT.invalid
}

function isSameFile(here: string, there: string | null | undefined): boolean {
  if (!there) return false
  if (resolve(here) === there) return true
  try {
    return realpathSync(here) === realpathSync(there)
  } catch {
    return false
  }
}

/** Another file than the one that the process runs by. */
function compareHere(file: string, options: Options, inForce: Fields, output: Output): ExitCode {
  let after: Fields
  try {
    after = maskSecrets(toDocument(loadConfig(file, { env: environmentOf(options) }))) as Fields
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    output.stderr.write(`${error.problems.map(formatProblem).join('\n')}\n`)
    return EXIT.invalid
  }
  const changes = diffDocuments(inForce, after)
  const same = isSame(changes)
  const lines = formatDiff(changes)
  if (options.json)
    output.stdout.write(`${JSON.stringify({ result: same ? 'unchanged' : 'changed', file, changes, lines })}\n`)
  else output.stdout.write(`${same ? `${file} says what is in force` : lines.join('\n')}\n`)
  return same ? EXIT.ok : EXIT.failed
}

const answerOf = z.object({
  result: z.string().optional(),
  version: z.number().optional(),
  file: z.string().nullish(),
  config: z.record(z.string(), z.unknown()).optional(),
  warnings: z.array(z.string()).catch([]),
  lines: z.array(z.string()).catch([]),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      lines: z.array(z.string()).catch([]),
      problems: z.array(z.object({ text: z.string() })).catch([]),
    })
    .optional(),
})

interface Answered {
  readonly said: z.infer<typeof answerOf>
  readonly text: string
}

/** What the process says; where it says nothing that can be used, the reason is printed. */
async function ask(
  options: Options,
  method: string,
  path: string,
  body: object | undefined,
  output: Output,
): Promise<Answered | undefined> {
  const door: AdminClient = adminDoor(options)
  try {
    const { code, text } = await askAdmin(door, method, path, body, RELOAD_TIMEOUT_MS)
    const said = answerOf.safeParse(asJson(text)).data
    if (said !== undefined && (code === 200 || said.error !== undefined)) return { said, text }
    output.stderr.write(`${door.name} answers ${code}, but not as a castor that can reload does\n`)
  } catch (error) {
    if (!(error instanceof CastorError) || error.code === 'USAGE') throw error
    output.stderr.write(`${error.message}\n`)
  }
  return undefined
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function print({ said, text }: Answered, json: boolean, isPreview: boolean, output: Output): void {
  if (json) {
    output.stdout.write(`${text.trimEnd()}\n`)
    return
  }
  for (const warning of said.warnings) output.stderr.write(`warning: ${warning}\n`)
  const { error, lines, result, version, file } = said
  if (error !== undefined) {
    const details = [...error.problems.map((problem) => problem.text), ...error.lines]
    output.stderr.write(`${[...details, error.message].join('\n')}\n`)
    return
  }
  const last =
    result === 'unchanged'
      ? `${file} says what is in force, version ${version}`
      : isPreview
        ? undefined
        : `reloaded: version ${version} of the configuration is in force`
  output.stdout.write(`${[...lines, ...(last === undefined ? [] : [last])].join('\n')}\n`)
}
