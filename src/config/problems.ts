import { CastorError } from '../core/errors.js'

/** From the top of the file to a value: keys of maps, places in lists. */
export type Path = readonly (string | number)[]

/** One thing that is wrong with a configuration, and where. */
export interface Problem {
  /** The file's name as given, or `--set …` for a value that came from the command line. */
  readonly source: string
  /** From 1, in the file; both 0 for a value from the command line. Columns count UTF-16 units. */
  readonly line: number
  readonly column: number
  /** `listeners.0.idleTimeout`, in the form that `--set` takes; empty for the file as a whole. */
  readonly path: string
  /** What is wrong; what to write instead. */
  readonly message: string
}

export function formatPath(path: Path): string {
  return path.join('.')
}

/** `file:line:column: path: message`. */
export function formatProblem(problem: Problem): string {
  return `${formatPlace(problem)}: ${plain(shorten(problem.message, MAX_MESSAGE))}`
}

/** `file:line:column: path`. */
export function formatPlace({ source, line, column, path }: Problem): string {
  const where = line > 0 ? `${source}:${line}:${column}` : source
  return plain(path === '' ? where : `${where}: ${shorten(path, MAX_PATH)}`)
}

const MAX_MESSAGE = 600
const MAX_PATH = 200
const MAX_LISTED = 100

function shorten(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}…`
}

/** One line without what a terminal would obey. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`
  })
}

/** CONFIG_INVALID with everything that is wrong: in the message a line each, the first hundred; in `problems` as data, all. */
export class ConfigError extends CastorError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const lines = problems.slice(0, MAX_LISTED).map(formatProblem)
    if (problems.length > MAX_LISTED) lines.push(`and ${problems.length - MAX_LISTED} more`)
    super('CONFIG_INVALID', lines.join('\n'))
    this.problems = problems
  }
}
