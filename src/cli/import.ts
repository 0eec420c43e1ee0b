import { Argument, type Command, Option } from 'commander'
import { readFileOrPipe } from '../config/read-file.js'
import { CastorError } from '../core/errors.js'
import { detectSource } from '../import/detect.js'
import { formatFinding } from '../import/findings.js'
import { SOURCES, type Source, type Translation, translate } from '../import/translate.js'
import { EXIT, type ExitCode } from './exit-code.js'

interface ImportOptions {
  readonly from?: Source
  readonly json?: boolean
}

/** `import`: another program's configuration as Castor's. */
export function addImport(program: Command): void {
  program
    .command('import')
    .summary('translate another program’s configuration')
    .description(
      'Translates a configuration of HAProxy, nginx, Traefik or Caddy: Castor’s file on standard output, and line by line on standard error what it could not translate and why.',
    )
    .addArgument(new Argument('<file>', 'haproxy.cfg, nginx.conf, a dynamic file of Traefik, or a Caddyfile'))
    .addOption(new Option('--from <program>', 'what the file is of (default: told by its content)').choices(SOURCES))
    .option('--json', 'both as one JSON document')
    .addHelpText(
      'after',
      `
Read what it says before you trust the result, and run castor check on it.
Nothing that the file names is read or changed, neither certificates nor files
that it includes.
Exits 0 when all was translated, 1 when a part was, 2 when nothing was.

Example:
  castor import /etc/haproxy/haproxy.cfg > castor.yaml
  castor check -c castor.yaml`,
    )
    .action((file: string, options: ImportOptions) => {
      process.exitCode = runImport(file, options)
    })
}

function runImport(file: string, options: ImportOptions): ExitCode {
  const text = readText(file)
  const source = options.from ?? detectSource(text)
  if (source === undefined) {
    throw new CastorError(
      'USAGE',
      `${file}: it is not clear which program this is of; say so: --from ${SOURCES.join('|')}`,
    )
  }
  const result = translate(text, source, file)
  if (options.json) process.stdout.write(`${JSON.stringify(asDocument(file, result), undefined, 2)}\n`)
  else {
    for (const finding of result.findings) process.stderr.write(`${formatFinding(file, finding)}\n`)
    process.stdout.write(result.yaml ?? '')
  }
  if (result.yaml === undefined) return EXIT.invalid
  return result.findings.some(({ kind }) => kind === 'untranslated') ? EXIT.failed : EXIT.ok
}

function readText(file: string): string {
  try {
    return readFileOrPipe(file)
      .toString('utf8')
      .replace(/^\uFEFF/, '')
  } catch (cause) {
    throw new CastorError('CONFIG_UNREADABLE', `${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

function asDocument(file: string, { source, yaml, findings }: Translation): object {
  return {
    file,
    from: source,
    config: yaml ?? null,
    notTranslated: findings.filter(({ kind }) => kind === 'untranslated').map(({ kind: _kind, ...rest }) => rest),
    notes: findings.filter(({ kind }) => kind === 'note').map(({ kind: _kind, ...rest }) => rest),
  }
}
