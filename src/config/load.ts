import { dirname } from 'node:path'
import type { Config } from '../core/config.js'
import { CastorError } from '../core/errors.js'
import { crossCheck } from './check.js'
import { checkFiles } from './check-files.js'
import { warnOfUnnamedHost } from './check-pair.js'
import { warnOfStickyCookies } from './check-stickiness.js'
import { warnOfShortTokens } from './check-tokens.js'
import { inspectPlugins } from './inspect-plugins.js'
import type { Environment } from './interpolate.js'
import { findLater } from './later.js'
import { applyOverrides, type Override } from './overrides.js'
import { isModuleFile } from './plugin-module.js'
import { ConfigError, formatPath, formatPlace, type Path, type Problem } from './problems.js'
import { programText } from './program-text.js'
import { exposure, readFileOrPipe } from './read-file.js'
import { pathKey, readYaml, type YamlTree } from './read-yaml.js'
import { type Machine, resolveConfig, thisMachine } from './resolve.js'
import { warnOfAnyUpgrade } from './schema-upgrades.js'
import type { Report } from './tree.js'
import { type Issue, type Validated, validate } from './validate.js'
import { warnOfRules } from './warn-of-rules.js'
import { writtenSecrets } from './written-secrets.js'

export interface LoadOptions {
  /** `path=value` each, put over what the file says. */
  readonly set?: readonly string[]
  /** Where `${NAME}` looks; the process's own environment where left out. */
  readonly env?: Environment
  readonly machine?: Machine
  /** False leaves certificates and keys unread, for whoever only wants to know an address. Default true. */
  readonly readCertificates?: boolean
  /** Whether an expired certificate is an error. Default false: a warning. */
  readonly refuseExpired?: boolean
  /** What others on the host may do with the text's file: secrets that are written in it are warned of then. */
  readonly exposed?: string | undefined
  /** Told of what is not wrong, but will be. */
  readonly onWarning?: (warning: Problem) => void
  /** Gets what says where a value is configured, for what goes wrong with it later: `castor.yaml:4:13: log.access`. */
  readonly onPlaces?: (place: (path: Path) => string) => void
}

/** Reads and checks a file. Throws CONFIG_UNREADABLE, or `ConfigError` (CONFIG_INVALID) with every problem. */
export function loadConfig(path: string, options: LoadOptions = {}): Config {
  let text: string
  try {
    text = isModuleFile(path) ? programText(path) : readFileOrPipe(path).toString('utf8')
  } catch (cause) {
    const why = (cause as Error).message
    throw new CastorError('CONFIG_UNREADABLE', `${path}: the configuration file cannot be read: ${why}`, { cause })
  }
  return parseConfig(text, path, { ...options, exposed: exposure(path) })
}

/** The same for text that is at hand; `fileName` is what problems are reported under. */
export function parseConfig(text: string, fileName: string, options: LoadOptions = {}): Config {
  const environment = options.env ?? process.env
  const yaml = readYaml(text, environment)
  const problems: Problem[] = yaml.problems.map((problem) => ({
    source: fileName,
    ...(isModuleFile(fileName) ? { line: 0, column: 0 } : yaml.position(problem.offset)),
    path: formatPath(problem.path),
    message: problem.message,
  }))
  // Nothing can be said about the values of what could not be read.
  if (yaml.broken) throw new ConfigError(sorted(problems))

  const overridden = applyOverrides(yaml.value === undefined ? {} : yaml.value, options.set ?? [], environment)
  for (const { path, message, source } of overridden.problems) {
    problems.push({ source, line: 0, column: 0, path: formatPath(path), message })
  }
  const tree = overridden.tree
  const locate = isModuleFile(fileName)
    ? withoutLine(locator(fileName, yaml, overridden.overrides))
    : locator(fileName, yaml, overridden.overrides)
  options.onPlaces?.((path) => formatPlace(locate({ path, message: '', at: 'value' })))
  const later = new Set<string>()
  findLater(tree, (path, message) => {
    later.add(pathKey(path))
    problems.push(locate({ path, message, at: 'key' }))
  })

  const fromEnvironment = new Set([...yaml.fromEnvironment, ...overridden.fromEnvironment])
  const validated = validateTyped(tree, fromEnvironment)
  // What is said already needs no second complaint about the same value or what is inside it.
  const told = (path: Path): boolean =>
    yaml.unresolved.has(pathKey(path)) || path.some((_, index) => later.has(pathKey(path.slice(0, index + 1))))
  const report = (issue: Issue): void => {
    if (!told(issue.path)) problems.push(locate(issue))
  }
  if ('issues' in validated) for (const issue of validated.issues) report(issue)
  crossCheck(tree, (path, message, at = 'value') => report({ path, message, at }))
  warnOfStickyCookies(tree, (path, message) => {
    if (!told(path)) options.onWarning?.(locate({ path, message, at: 'value' }))
  })
  warnOfAnyUpgrade(tree, (path, message) => options.onWarning?.(locate({ path, message, at: 'value' })))
  if (options.exposed !== undefined) {
    for (const path of writtenSecrets(tree, yaml.referenced)) {
      const message = `is a secret that this file holds, and ${options.exposed}; chmod 640 it, or take the value from the environment`
      options.onWarning?.(locate({ path, message, at: 'value' }))
    }
  }
  if (options.readCertificates !== false) {
    checkFiles(tree, dirname(fileName), undefined, (path, message, severity) => {
      const isError = severity === 'error' || (severity === 'expired' && options.refuseExpired === true)
      if (isError) report({ path, message, at: 'value' })
      else options.onWarning?.(locate({ path, message, at: 'value' }))
    })
  }
  const plugins =
    options.readCertificates === false
      ? []
      : inspectPlugins(tree, dirname(fileName), (path, message) => report({ path, message, at: 'value' }))
  if (problems.length > 0 || 'issues' in validated) throw new ConfigError(sorted(problems))
  const config = resolveConfig(validated.file, options.machine ?? thisMachine, dirname(fileName), plugins)
  const { onWarning } = options
  if (onWarning === undefined) return config
  const warn: Report = (path, message, at = 'value') => onWarning(locate({ path, message, at }))
  warnOfUnnamedHost(config, tree, warn)
  warnOfRules(config, tree, warn)
  warnOfShortTokens(config.admin, warn)
  return config
}

/**
 * Validates; and where the schema wants a number or a boolean and the environment gave its text, once more with that
 * read as one. Text stays text where text is wanted, so that a secret made of digits is not a number.
 */
function validateTyped(tree: unknown, fromEnvironment: ReadonlySet<string>): Validated {
  const first = validate(tree)
  if (!('issues' in first)) return first
  let changed = false
  for (const { path } of first.issues) {
    if (!fromEnvironment.has(pathKey(path))) continue
    const holder = path
      .slice(0, -1)
      .reduce<unknown>((inner, step) => (inner as Record<string | number, unknown>)[step], tree)
    const key = path.at(-1)!
    const written = (holder as Record<string | number, unknown>)[key]
    const typed = written === 'true' ? true : written === 'false' ? false : numberOf(written)
    if (typed === undefined) continue
    ;(holder as Record<string | number, unknown>)[key] = typed
    changed = true
  }
  return changed ? validate(tree) : first
}

function numberOf(written: unknown): number | undefined {
  return typeof written === 'string' && /^[-+]?\d+(\.\d+)?$/.test(written) ? Number(written) : undefined
}

/** Finds where a problem stands: in the file, at its nearest ancestor there, or in a `--set`. */
function locator(fileName: string, yaml: YamlTree, overrides: readonly Override[]): (issue: Issue) => Problem {
  return ({ path, message, at }) => {
    const override = overrides.findLast((candidate) => isPrefix(candidate.path, path))
    const problem = { path: formatPath(path), message }
    if (override !== undefined) return { ...problem, source: override.source, line: 0, column: 0 }
    for (let length = path.length; length >= 0; length--) {
      const found = yaml.places.get(pathKey(path.slice(0, length)))
      if (found === undefined) {
        const made = overrides.find((candidate) => isPrefix(path.slice(0, length), candidate.path))
        if (made !== undefined && length > 0) return { ...problem, source: made.source, line: 0, column: 0 }
        continue
      }
      // What is missing is missing from the map that should hold it: its own key says which.
      const whole = length === path.length && at === 'value'
      const offset = whole ? found.value : (found.key ?? found.value)
      return { ...problem, source: fileName, ...yaml.position(offset) }
    }
    return { ...problem, source: fileName, line: 1, column: 1 }
  }
}

/** The text is what a program made: where in the program that was cannot be told. */
function withoutLine(locate: (issue: Issue) => Problem): (issue: Issue) => Problem {
  return (issue) => ({ ...locate(issue), line: 0, column: 0 })
}

function isPrefix(prefix: Path, path: Path): boolean {
  return prefix.length <= path.length && prefix.every((step, index) => String(step) === String(path[index]))
}

/** In the order of the file; what came from the command line last. */
function sorted(problems: readonly Problem[]): Problem[] {
  const rank = (problem: Problem): number => (problem.line === 0 ? Number.POSITIVE_INFINITY : problem.line)
  return [...problems].sort((a, b) => (rank(a) === rank(b) ? a.column - b.column : rank(a) - rank(b)))
}
