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
  const where = problem.line > 0 ? `${problem.source}:${problem.line}:${problem.column}` : problem.source
  return problem.path === '' ? `${where}: ${problem.message}` : `${where}: ${problem.path}: ${problem.message}`
}

/** CONFIG_INVALID with everything that is wrong: in the message a line each, in `problems` as data. */
export class ConfigError extends CastorError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('CONFIG_INVALID', problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}
