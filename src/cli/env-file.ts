import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { Option } from 'commander'
import { parseEnvironmentFile } from '../config/environment-file.js'
import type { Environment } from '../config/interpolate.js'
import { CastorError } from '../core/errors.js'

export interface EnvFileOptions {
  readonly envFile?: readonly string[]
}

/** `--env-file`, of every command that reads the configuration. */
export function envFileOption(): Option {
  return new Option(
    '--env-file <file>',
    "take variables from this file, as systemd's EnvironmentFile= does (repeatable)",
  ).argParser<string[]>((file, earlier) => [...(earlier ?? []), file])
}

/** The process's own environment, under what the files say, of which the last counts. Throws USAGE where one cannot be read. */
export function environmentOf({ envFile = [] }: EnvFileOptions): Environment {
  const environment: Record<string, string | undefined> = { ...process.env }
  for (const file of envFile) {
    const text = read(file)
    const { variables, ignored } = parseEnvironmentFile(text)
    for (const line of ignored) {
      process.stderr.write(`warning: ${file}:${line}: this is no assignment to a variable, and systemd ignores it\n`)
    }
    // Node 20 takes the option for its own wherever it stands, and has read the file by its own rules.
    for (const [name, value] of Object.entries(parseEnv(text))) {
      if (environment[name] === value) delete environment[name]
    }
    for (const [name, value] of variables) environment[name] = value
  }
  return environment
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why =
      code === 'EACCES' ? 'this user may not read it; run the command as root, or as the service does' : message
    throw new CastorError('USAGE', `--env-file ${file}: ${why}`, { cause })
  }
}
